/* Who named whom. */
#include "tests/derive_kit.h"

/* The DHT and local discovery name peers too; what is no answer does not. */
static void other_sources(void **state)
{
	sqlite3 *db;
	int64_t seq;

	(void)state;
	torrent();
	add(NIGHT, "dht", "", -1, "", -1, "{\"own_id\":\"00\"}");
	for (int i = 0; i < 2; i++) {
		seq = add(NIGHT + i * S, "dht", HASH, -1, i ? "2001:db8::9" :
		    "1.2.3.4", 6881, "{\"query\":\"get_peers\"}");
		name(seq, 0, "10.0.0.7", 7);
		name(seq, 1, "10.0.0.8", 0);
	}
	add(NIGHT + 3 * S, "dht", HASH, -1, "", -1, "{\"lookup\":"
	    "\"get_peers\",\"began_utc_ns\":1767225600000000000,"
	    "\"answered\":2}");
	add(NIGHT + 9 * S, "dht", HASH, -1, "", -1, "{\"lookup\":"
	    "\"get_peers\",\"began_utc_ns\":1767225604000000000,"
	    "\"answered\":0}");
	seq = add(NIGHT + 4 * S, "listed", HASH, -1, "10.0.0.7", 6771,
	    "{\"source\":\"lsd\",\"witness\":\"10.0.0.7:6771\"}");
	name(seq, 0, "10.0.0.7", 7);
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT ip, port, source, witness, times FROM sighting "
	    "WHERE source <> 'tracker'",
	    "10.0.0.7|7|dht|1.2.3.4:6881|1\n"
	    "10.0.0.7|7|dht|[2001:db8::9]:6881|1\n"
	    "10.0.0.7|7|lsd|10.0.0.7:6771|1\n"
	    "10.0.0.8|0|dht|1.2.3.4:6881|1\n"
	    "10.0.0.8|0|dht|[2001:db8::9]:6881|1\n");
	expect(db, "SELECT ip, level, sightings FROM endpoint "
	    "WHERE ip LIKE '10.0.0.%'", "10.0.0.7|0|3\n10.0.0.8|0|2\n");
	expect(db, "SELECT source, polls, failures, (from_utc_ns - "
	    "1767225600000000000) / 1000000000, (to_utc_ns - "
	    "1767225600000000000) / 1000000000 FROM coverage "
	    "WHERE source = 'dht'", "dht|2|1|0|9\n");
	sqlite3_close(db);
}

/* Who made peers up, and who answers to anything. */
static void decoys(void **state)
{
	static const char decoy[] = "00112233445566778899aabbccddeeff00112233";
	static const char other[] = "ff112233445566778899aabbccddeeff00112233";
	static const struct {
		const char *hash, *witness, *ip[3];
		int port[3];
	} answers[] = {
		/* the observer, and once more as others see it */
		{ decoy, "http://true/", { "192.0.2.1", "203.0.113.1" },
		    { 6881, 6881 } },
		{ other, "http://true/", { NULL }, { 0 } },
		{ decoy, "http://false/", { "192.0.2.1", "10.9.9.9" },
		    { 6881, 1 } },
		{ other, "http://false/", { "10.9.9.8", "10.9.9.7" },
		    { 6881, 6881 } },
	};
	char detail[300];
	sqlite3 *db;
	int64_t seq;

	(void)state;
	add(NIGHT - 100 * S, "run", "", -1, "", -1, "{\"vantage\":"
	    "[\"192.0.2.1\"],\"config\":{\"listen\":6881}}");
	for (int i = 0; i < 2; i++) {
		snprintf(detail, sizeof(detail), "{\"infohash\":\"%s\","
		    "\"number\":%d,\"use\":\"sources\"}", i ? other : decoy,
		    i);
		add(NIGHT - 99 * S, "decoy", "", -1, "", -1, detail);
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		add(NIGHT, "announce", answers[i].hash, -1, "10.0.0.1", 6969,
		    "{\"tracker\":\"http://t/a\",\"outcome\":\"ok\"}");
		snprintf(detail, sizeof(detail), "{\"source\":\"tracker\","
		    "\"witness\":\"%s\",\"failure\":null}",
		    answers[i].witness);
		seq = add(NIGHT, "listed", answers[i].hash, -1, "10.0.0.1",
		    6969, detail);
		for (int k = 0; answers[i].ip[k]; k++)
			name(seq, k, answers[i].ip[k], answers[i].port[k]);
	}
	/* One that refuses says nothing of decoys. */
	add(NIGHT, "listed", decoy, -1, "10.0.0.1", 6969, "{\"source\":"
	    "\"tracker\",\"witness\":\"http://shut/\",\"failure\":\"no\"}");
	seq = add(NIGHT, "dial", decoy, -2, "10.0.0.2", 6881,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT, "reached", decoy, seq, "10.0.0.2", 6881, "{}");
	handshake(NIGHT, decoy, seq, "10.0.0.2", 6881, true);
	add(NIGHT, "decoy", decoy, seq, "10.0.0.2", 6881,
	    "{\"infohash\":\"x\",\"accepted\":true}");
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT witness, asked, named FROM decoy_source",
	    "http://false/|2|2\nhttp://true/|2|0\n");
	expect(db, "SELECT ip, port, accepted FROM decoy_endpoint",
	    "10.0.0.2|6881|1\n");
	expect(db, "SELECT count(*) FROM sighting", "0\n");
	expect(db, "SELECT count(*) FROM endpoint", "0\n");
	expect(db, "SELECT count(*) FROM coverage", "0\n");
	sqlite3_close(db);
}

/* Peers that peers name, and claims that nobody could count. */
static void gossip(void **state)
{
	sqlite3 *db;
	int64_t c, seq;

	(void)state;
	torrent();
	c = add(NIGHT, "dial", HASH, -2, "10.0.0.2", 6881,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT, "reached", HASH, c, "10.0.0.2", 6881, "{}");
	handshake(NIGHT, HASH, c, "10.0.0.2", 6881, true);
	seq = add(NIGHT, "pex", HASH, c, "10.0.0.2", 6881, "{\"by\":\"peer\","
	    "\"added\":2,\"dropped\":1,\"named_added\":2}");
	name(seq, 0, "10.0.0.3", 1);
	name(seq, 1, "2001:db8::3", 2);
	name(seq, 2, "10.0.0.4", 3);
	seq = add(NIGHT, "listed", HASH, -1, "", -1, "{\"source\":\"magnet\","
	    "\"witness\":\"magnet:?x\"}");
	name(seq, 0, "10.0.0.5", 4);
	add(NIGHT, "have_all", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"peer\",\"claimed\":null,\"pieces\":null}");
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT ip, source, witness FROM sighting",
	    "10.0.0.3|pex|10.0.0.2:6881\n10.0.0.5|magnet|magnet:?x\n"
	    "2001:db8::3|pex|10.0.0.2:6881\n");
	expect(db, "SELECT ip, level FROM endpoint", "10.0.0.2|3\n"
	    "10.0.0.3|0\n10.0.0.5|0\n2001:db8::3|0\n");
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(other_sources), T(decoys), T(gossip)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
