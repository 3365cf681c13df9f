/* What a ledger written by hand holds about claimed addresses. */
#include "report/sights.h"
#include "tests/derive_kit.h"

#define V2 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define THIRD "dddddddddddddddddddddddddddddddddddddddd"
#define OTHER "cccccccccccccccccccccccccccccccccccccccc"

static struct facts facts;
static struct sights sights;
static struct verdict_is found;		/* of the last claim() */
static char spoken[65];			/* the other infohash then, or "" */

static void open_case(int require)
{
	run(ev, "COMMIT");
	assert_int_equal(facts_open(&facts, folder, true), 0);
	assert_int_equal(sights_open(&sights, &facts, require), 0);
}

static void close_case(void)
{
	sights_close(&sights);
	facts_close(&facts);
}

/* "verdict level; watched or not" of a claim at NIGHT + at_s. */
static void claim(const char *ip, int port, int at_s, const char *hash,
    const char *want, struct beside *b)
{
	struct claim c = { .port = port, .timed = true,
	    .from_utc_ns = NIGHT + at_s * S, .to_utc_ns = NIGHT + at_s * S,
	    .bytes = -1, .pieces = -1 };
	struct verdict_of v;
	char got[64];

	snprintf(c.ip, sizeof(c.ip), "%s", ip);
	snprintf(c.infohash, sizeof(c.infohash), "%s", hash);
	assert_int_equal(sights_of(&sights, &c, 0, &v, b), 0);
	v.within_ns = 60 * S;
	v.require = 5;
	verdict_find(&v, &found);
	spoken[0] = '\0';
	if (found.other_torrent >= 0)
		assert_int_equal(sights_hash(&sights,
		    v.sight[found.other_torrent].seq, spoken), 0);
	assert_int_equal(sights_others(&sights, &c, 60 * S, b), 0);
	snprintf(got, sizeof(got), "%s %d", verdict_name(found.verdict),
	    found.level);
	if (strcmp(got, want))
		fail_msg("%s port %d at %d s: %s, not %s", ip, port, at_s, got,
		    want);
}

static int64_t talk(int64_t at, const char *ip, int port, const char *hash)
{
	char detail[200];
	int64_t c = add(at, "dial", HASH, -2, ip, port,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");

	add(at + S, "reached", HASH, c, ip, port, "{}");
	snprintf(detail, sizeof(detail), "{\"by\":\"peer\",\"infohash\":\"%s\","
	    "\"peer_id\":\"" PEER_ID "\",\"expected\":%s}", hash,
	    strcmp(hash, HASH) ? "false" : "true");
	add(at + S, "handshake", HASH, c, ip, port, detail);
	return c;
}

static void hybrid(void)
{
	add(NIGHT - 300 * S, "run", "", -1, "", -1, "{\"program\":\"x\","
	    "\"vantage\":[\"10.0.0.100\"]}");
	add(NIGHT - 300 * S, "torrent", HASH, -1, "", -1, "{\"source\":"
	    "\"file\",\"version\":\"hybrid\",\"infohash_v1\":\"" HASH "\","
	    "\"infohash_v2\":\"" V2 "\",\"name\":\"a\",\"pieces\":10}");
}

static void live(void **state)
{
	char v2[41];
	struct beside b;
	int64_t c;

	(void)state;
	hybrid();
	c = talk(NIGHT, "10.0.0.2", 40000, HASH);
	add(NIGHT + 2 * S, "extended", HASH, c, "10.0.0.2", 40000,
	    "{\"by\":\"peer\",\"client\":\"a/1\",\"port\":6881}");
	piece(NIGHT + 5 * S, c, "10.0.0.2", 40000, 16, "true", "true");
	add(NIGHT + 20 * S, "have_none", HASH, c, "10.0.0.2", 40000,
	    "{\"by\":\"peer\",\"claimed\":0,\"pieces\":10}");
	add(NIGHT + 30 * S, "closed", HASH, c, "10.0.0.2", 40000,
	    "{\"by\":\"us\",\"why\":\"done\",\"rx_bytes\":50,\"tx_bytes\":9}");
	/* In vain, and in vain while the observer stalled. */
	c = add(NIGHT, "dial", HASH, -2, "10.0.0.3", 1,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT + 3 * S, "unreached", HASH, c, "10.0.0.3", 1,
	    "{\"why\":\"timeout\"}");
	c = add(NIGHT + 500 * S, "dial", HASH, -2, "10.0.0.3", 1,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT + 503 * S, "unreached", HASH, c, "10.0.0.3", 1,
	    "{\"why\":\"timeout\"}");
	add(NIGHT + 504 * S, "stall", "", -1, "", -1, "{\"cause\":\"loop\","
	    "\"from_utc_ns\":1767226101000000000,\"to_utc_ns\":"
	    "1767226102000000000,\"dropped\":0}");
	/* It answered with another infohash. */
	talk(NIGHT, "10.0.0.4", 4, OTHER);
	/* And at another time with a third. */
	talk(NIGHT + 400 * S, "10.0.0.4", 4, THIRD);
	listed(NIGHT + 600 * S, "10.0.0.5", 5);
	open_case(5);
	claim("10.0.0.2", 40000, 5, HASH, "supported 5", &b);
	assert_false(b.listen_port || b.import || b.own);
	assert_int_equal(b.withdrawn, 1);
	claim("10.0.0.2", 6881, 5, HASH, "supported 5", &b);
	assert_true(b.listen_port);
	claim("10.0.0.2", -1, 5, HASH, "supported 5", &b);
	claim("10.0.0.2", 7, 5, HASH, "not supported -1", &b);
	/* The other names of the torrent. */
	snprintf(v2, sizeof(v2), "%.40s", V2);
	claim("10.0.0.2", 6881, 5, V2, "supported 5", &b);
	claim("10.0.0.2", 6881, 5, v2, "supported 5", &b);
	claim("10.0.0.2", 6881, 5, OTHER, "contradicted -1", &b);
	assert_string_equal(spoken, HASH);
	/* After the piece the conversation goes on, and then it does not. */
	claim("10.0.0.2", 6881, 66, HASH, "not supported 2", &b);
	claim("10.0.0.2", 6881, 100, HASH, "not supported -1", &b);
	claim("10.0.0.3", 1, 0, HASH, "contradicted -1", &b);
	assert_true(found.stalled < 0);		/* that was later */
	claim("10.0.0.3", 1, 501, HASH, "not supported -1", &b);
	assert_true(found.stalled >= 0);
	claim("10.0.0.4", 4, 0, HASH, "contradicted 1", &b);
	assert_string_equal(spoken, OTHER);
	claim("10.0.0.4", 4, 401, HASH, "contradicted 1", &b);
	assert_string_equal(spoken, THIRD);
	claim("10.0.0.4", 4, 0, OTHER, "outside coverage 1", &b);
	assert_true(b.spoke_seq > 0);
	claim("10.0.0.5", 5, 600, HASH, "not supported 0", &b);
	claim("10.0.0.9", 9, 5, HASH, "not supported -1", &b);
	assert_int_equal(b.others, 1);
	assert_string_equal(b.other_ip, "10.0.0.2");
	claim("10.0.0.9", 9, 99999, HASH, "outside coverage -1", &b);
	claim("10.0.0.9", 9, 5, OTHER, "outside coverage -1", &b);
	assert_false(b.torrent_known);
	claim("10.0.0.100", 9, 5, HASH, "not supported -1", &b);
	assert_true(b.own);
	close_case();
}

static void imports(void **state)
{
	struct beside b;
	int64_t c;

	(void)state;
	imported = true;
	add(NIGHT + 9000 * S, "run", "", -1, "", -1, "{\"program\":\"x\","
	    "\"config\":{\"import\":true},\"vantage\":[]}");
	c = add(NIGHT, "flow", HASH, -2, "10.0.0.1", 1, "{\"transport\":"
	    "\"tcp\",\"initiator\":\"10.0.0.1:1\",\"responder\":\"10.0.0.2:2\","
	    "\"began\":\"handshake\"}");
	handshake(NIGHT, HASH, c, "10.0.0.2", 2, true);
	piece(NIGHT + 5 * S, c, "10.0.0.2", 2, 16, "true", "false");
	add(NIGHT + 9 * S, "closed", HASH, c, "10.0.0.1", 1, "{\"by\":"
	    "\"initiator\",\"why\":\"fin\",\"initiator_bytes\":70,"
	    "\"responder_bytes\":900}");
	add(NIGHT + 9001 * S, "packets", "", -1, "", -1, "{\"file\":\"x\","
	    "\"first_utc_ns\":1767225590000000000,\"last_utc_ns\":"
	    "1767225700000000000,\"imported\":{\"name\":\"x\"}}");
	open_case(5);
	claim("10.0.0.2", 2, 5, HASH, "contradicted 2", &b);
	assert_true(b.import);
	claim("10.0.0.1", 1, 5, HASH, "not supported 1", &b);
	claim("10.0.0.9", 1, 100, HASH, "not supported -1", &b);
	claim("10.0.0.9", 1, 101, HASH, "outside coverage -1", &b);
	claim("10.0.0.9", 1, -10, HASH, "not supported -1", &b);
	claim("10.0.0.9", 1, -11, HASH, "outside coverage -1", &b);
	claim("10.0.0.9", 1, 5, OTHER, "outside coverage -1", &b);
	close_case();
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(live), T(imports) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
