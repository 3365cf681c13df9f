/* Conversations and the ladder. */
#include <fcntl.h>
#include <sys/file.h>

#include "schema/derivedb.h"
#include "tests/derive_kit.h"

static void a_whole_conversation(void **state)
{
	sqlite3 *db;
	int64_t c, dead;

	(void)state;
	torrent();
	listed(NIGHT - 90 * S, "10.0.0.2", 6881);
	c = add(NIGHT - 10 * S, "dial", HASH, -2, "10.0.0.2", 6881,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT - 9 * S, "reached", HASH, c, "10.0.0.2", 6881, "{}");
	add(NIGHT - 9 * S, "greeted", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"us\"}");
	handshake(NIGHT - 8 * S, HASH, c, "10.0.0.2", 6881, true);
	add(NIGHT - 7 * S, "extended", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"peer\",\"client\":\"other/1\",\"port\":7000}");
	add(NIGHT - 6 * S, "bitfield", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"peer\",\"claimed\":4,\"pieces\":10}");
	add(NIGHT - 5 * S, "have", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"peer\",\"count\":1,\"pieces\":[7],\"claimed\":5}");
	dead = add(NIGHT, "dial", HASH, -2, "10.0.0.9", 99,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	piece(NIGHT + 1 * S, c, "10.0.0.2", 6881, 8, "false", "null");
	piece(NIGHT + 2 * S, c, "10.0.0.2", 6881, 16, "true", "false");
	add(NIGHT + 3 * S, "unreached", HASH, dead, "10.0.0.9", 99,
	    "{\"why\":\"refused\"}");
	piece(NIGHT + 4 * S, c, "10.0.0.2", 6881, 16, "true", "true");
	add(NIGHT + 60 * S, "closed", HASH, c, "10.0.0.2", 6881,
	    "{\"by\":\"us\",\"why\":\"done\",\"rx_bytes\":50,\"tx_bytes\":9}");
	/* A vain dial later that day must not stretch the first address. */
	c = add(NIGHT + 900 * S, "dial", HASH, -2, "10.0.0.2", 6881,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	add(NIGHT + 901 * S, "unreached", HASH, c, "10.0.0.2", 6881,
	    "{\"why\":\"timeout\"}");
	run(ev, "COMMIT");

	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT * FROM swarm", HASH "|a name|160|16|10|1|0\n");
	expect(db, "SELECT ip, port, source, witness, times, first_seq "
	    "FROM sighting", "10.0.0.2|6881|tracker|http://t/a|1|3\n"
	    "2001:db8::1|1|tracker|http://t/a|1|3\n");
	expect(db, "SELECT conn, origin, ip, port, listen_port, direction, "
	    "transport, encryption, (opened_utc_ns - 1767225600000000000) / "
	    "1000000000, (closed_utc_ns - 1767225600000000000) / 1000000000, "
	    "outcome, peer_id, client, pieces_claimed, pieces_total, rx_bytes, "
	    "tx_bytes, pieces_matched, pieces_failed, level FROM contact",
	    "4|live|10.0.0.2|6881|7000|out|tcp|none|-9|60|done|" PEER_ID
	    "|other/1|5|10|50|9|1|1|5\n"
	    "11|live|10.0.0.9|99|-|out|tcp|none|0|3|refused|-|-|-|-|-|-|0|0|0\n"
	    "17|live|10.0.0.2|6881|-|out|tcp|none|900|901|timeout|-|-|-|-|-|-|"
	    "0|0|0\n");
	expect(db, "SELECT conn, piece, bytes, ok FROM piece_check",
	    "4|3|8|-\n4|3|16|0\n4|3|16|1\n");
	/* Two days; `closed` by us is no sign of life at 60 s. */
	expect(db, "SELECT ip, port, port_kind, utc_day, level, (first_utc_ns "
	    "- 1767225600000000000) / 1000000000, (last_utc_ns - "
	    "1767225600000000000) / 1000000000, sightings, contacts, "
	    "pieces_matched, pieces_failed FROM endpoint",
	    "10.0.0.2|6881|listed|2025-12-31|0|-90|-90|1|0|0|0\n"
	    "10.0.0.2|6881|remote|2025-12-31|3|-9|-5|0|1|0|0\n"
	    "10.0.0.2|6881|remote|2026-01-01|5|1|4|0|1|1|1\n"
	    "10.0.0.2|7000|listen|2025-12-31|3|-7|-5|0|1|0|0\n"
	    "10.0.0.2|7000|listen|2026-01-01|5|1|4|0|0|1|1\n"
	    "10.0.0.9|99|remote|2026-01-01|0|0|3|0|1|0|0\n"
	    "2001:db8::1|1|listed|2025-12-31|0|-90|-90|1|0|0|0\n");
	expect(db, "SELECT source, polls, failures FROM coverage",
	    "http://t/a|1|0\n");
	expect(db, "SELECT greeted_seq, (greeted_utc_ns - 1767225600000000000) "
	    "/ 1000000000, claimed_seq, (claimed_utc_ns - 1767225600000000000) "
	    "/ 1000000000 FROM rung", "7|-8|9|-6\n");
	sqlite3_close(db);
}

/* Through an address translator the observer can meet itself. */
static void ourselves(void **state)
{
	static const char *const ids[] = { "00", PEER_ID };
	sqlite3 *db;

	(void)state;
	torrent();
	for (int i = 0; i < 2; i++) {
		char detail[120];
		int64_t c;

		snprintf(detail, sizeof(detail),
		    "{\"config\":{\"peer_id\":\"%s\"}}", ids[i]);
		add(NIGHT + i, "run", "", -1, "", -1, detail);
		c = add(NIGHT + i, "accept", "", -2, "10.0.0.3", i + 1,
		    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
		handshake(NIGHT + i, HASH, c, "10.0.0.3", i + 1, true);
		add(NIGHT + i, "have_all", HASH, c, "10.0.0.3", i + 1,
		    "{\"by\":\"peer\",\"claimed\":10,\"pieces\":10}");
	}
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT port, level, ifnull(swarm, '') FROM contact "
	    "ORDER BY 1", "1|3|" HASH "\n2|1|\n");
	expect(db, "SELECT port FROM endpoint", "1\n");
	sqlite3_close(db);
}

/* What a conversation's last records say, and the level that follows. */
static const struct {
	const char *what;
	bool expected;		/* its infohash */
	const char *kind, *detail;
	int level;
} ladder[] = {
	{ "no claim", true, NULL, NULL, 2 },
	{ "another infohash", false, NULL, NULL, 1 },
	{ "another infohash, then a claim", false, "have_all",
	    "{\"by\":\"peer\",\"claimed\":10,\"pieces\":10}", 1 },
	{ "claims none", true, "have_none",
	    "{\"by\":\"peer\",\"claimed\":0,\"pieces\":10}", 2 },
	{ "claims one", true, "have",
	    "{\"by\":\"peer\",\"count\":1,\"pieces\":[1],\"claimed\":1}", 3 },
	{ "we claim, not the peer", true, "have_all",
	    "{\"by\":\"us\",\"claimed\":10,\"pieces\":10}", 2 },
	{ "bitfield of the wrong size", true, "malformed",
	    "{\"by\":\"peer\",\"where\":\"peer\",\"reason\":\"size\"}", 2 },
	{ "no block came", true, "piece", "{\"by\":\"peer\",\"piece\":0,"
	    "\"came\":0,\"complete\":false,\"match\":null}", 2 },
	{ "some blocks came", true, "piece", "{\"by\":\"peer\",\"piece\":0,"
	    "\"came\":8,\"complete\":false,\"match\":null}", 4 },
	{ "failed its hash", true, "piece", "{\"by\":\"peer\",\"piece\":0,"
	    "\"came\":16,\"complete\":true,\"match\":false}", 2 },
	{ "matched", true, "piece", "{\"by\":\"peer\",\"piece\":0,"
	    "\"came\":16,\"complete\":true,\"match\":true}", 5 },
	{ "matched, of another torrent", false, "piece", "{\"by\":\"peer\","
	    "\"piece\":0,\"came\":16,\"complete\":true,\"match\":true}", 1 },
};

static void levels(void **state)
{
	char want[64], sql[96];
	sqlite3 *db;

	(void)state;
	torrent();
	for (size_t i = 0; i < sizeof(ladder) / sizeof(ladder[0]); i++) {
		int64_t c = add(NIGHT, "dial", HASH, -2, "10.0.0.3",
		    (int)i + 1, "{\"transport\":\"tcp\",\"encryption\":\"none\"}");

		add(NIGHT, "reached", HASH, c, "10.0.0.3", (int)i + 1, "{}");
		handshake(NIGHT, HASH, c, "10.0.0.3", (int)i + 1,
		    ladder[i].expected);
		if (ladder[i].kind)
			add(NIGHT, ladder[i].kind, HASH, c, "10.0.0.3",
			    (int)i + 1, ladder[i].detail);
	}
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	for (size_t i = 0; i < sizeof(ladder) / sizeof(ladder[0]); i++) {
		print_message("%s\n", ladder[i].what);
		snprintf(want, sizeof(want), "%d|%d\n", ladder[i].level,
		    ladder[i].level);
		snprintf(sql, sizeof(sql), "SELECT c.level, e.level FROM "
		    "contact c JOIN endpoint e USING (ip, port) WHERE port = "
		    "%zu", i + 1);
		expect(db, sql, want);
	}
	sqlite3_close(db);
}

/* Incoming: no swarm until the handshake names one; uTP not reached before
 * the far end proved its address. */
static void incoming(void **state)
{
	sqlite3 *db;
	int64_t a, b, u, v;

	(void)state;
	torrent();
	a = add(NIGHT - S, "accept", "", -2, "10.0.0.5", 40001,
	    "{\"transport\":\"tcp\",\"encryption\":null}");
	b = add(NIGHT, "accept", "", -2, "10.0.0.6", 40002,
	    "{\"transport\":\"tcp\",\"encryption\":\"none\"}");
	u = add(NIGHT, "accept", "", -2, "10.0.0.7", 40003,
	    "{\"transport\":\"utp\",\"encryption\":null}");
	v = add(NIGHT + 4 * S, "accept", "", -2, "10.0.0.8", 40004,
	    "{\"transport\":\"utp\",\"encryption\":null}");
	add(NIGHT + 5 * S, "reached", "", v, "10.0.0.8", 40004,
	    "{\"local\":null,\"took_ms\":1000}");
	add(NIGHT + S, "malformed", "", a, "10.0.0.5", 40001,
	    "{\"by\":\"peer\",\"reason\":\"x\"}");
	handshake(NIGHT + 2 * S, HASH, a, "10.0.0.5", 40001, true);
	add(NIGHT + 2 * S, "encrypted", HASH, a, "10.0.0.5", 40001,
	    "{\"by\":\"peer\",\"select\":2}");
	handshake(NIGHT + 2 * S, "", b, "10.0.0.6", 40002, false);
	add(NIGHT + 3 * S, "closed", HASH, a, "10.0.0.5", 40001,
	    "{\"by\":\"peer\",\"why\":\"eof\",\"rx_bytes\":1,\"tx_bytes\":2}");
	run(ev, "COMMIT");
	(void)u;
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT swarm, port, direction, encryption, outcome, level "
	    "FROM contact ORDER BY port",
	    HASH "|40001|in|rc4|eof|2\n-|40002|in|none|open|1\n"
	    "-|40003|in|-|open|0\n-|40004|in|-|open|1\n");
	expect(db, "SELECT ip, port, source, witness, times, first_seq FROM "
	    "sighting", "10.0.0.5|40001|incoming||1|2\n");
	expect(db, "SELECT ip, port_kind, utc_day, level, (first_utc_ns - "
	    "1767225600000000000) / 1000000000, (last_utc_ns - "
	    "1767225600000000000) / 1000000000, contacts FROM endpoint",
	    "10.0.0.5|remote|2025-12-31|1|-1|-1|1\n"
	    "10.0.0.5|remote|2026-01-01|2|2|3|0\n");
	sqlite3_close(db);
}

/* What a dial came to under encryption, and what never settled. */
static void encrypted(void **state)
{
	static const struct {
		const char *how, *select, *want;
	} rows[] = {
		{ "none", NULL, "none" }, { "mse", NULL, "-" },
		{ "mse", "null", "-" }, { "mse", "1", "plaintext" },
		{ "mse", "2", "rc4" },
	};
	char detail[100], want[200] = "";
	sqlite3 *db;

	(void)state;
	torrent();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int port = (int)(1000 + i);
		int64_t c;

		snprintf(detail, sizeof(detail), "{\"transport\":\"tcp\","
		    "\"encryption\":\"%s\"}", rows[i].how);
		c = add(NIGHT, "dial", HASH, -2, "10.0.0.9", port, detail);
		add(NIGHT, "reached", HASH, c, "10.0.0.9", port, "{}");
		snprintf(detail, sizeof(detail), "{\"by\":\"us\","
		    "\"select\":%s}", rows[i].select ? rows[i].select : "");
		if (rows[i].select)
			add(NIGHT + S, "encrypted", HASH, c, "10.0.0.9", port,
			    detail);
		snprintf(want + strlen(want), sizeof(want) - strlen(want),
		    "%d|%s|1\n", port, rows[i].want);
	}
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT port, encryption, level FROM contact ORDER BY 1",
	    want);
	sqlite3_close(db);
}

static void refusals(void **state)
{
	sqlite3 *db;
	bool temporary;

	(void)state;
	torrent();
	run(ev, "COMMIT");
	assert_null(derive_build("/nonexistent/evidence.db", ":memory:"));
	assert_null(derive_open("/nonexistent", &temporary));
	run(ev, "PRAGMA user_version = 9");
	assert_null(derive_build(evidence, ":memory:"));
	run(ev, "PRAGMA user_version = 1; PRAGMA application_id = 4");
	assert_null(derive_build(evidence, ":memory:"));
	run(ev, "PRAGMA application_id = 0x53574531");
	db = derive_open(folder, &temporary);
	assert_non_null(db);
	assert_false(temporary);
	sqlite3_close(db);
	/* A detail that is no JSON: refused, not passed over. */
	add(NIGHT, "dial", HASH, -2, "10.0.0.2", 1, "{");
	assert_int_equal(derive_update(folder), -1);
}

/* Files of those who were killed while they worked go; others stay. */
static void left_over(void **state)
{
	char *left = derivedb_text("%s/derived.work.Killed", folder);
	char *held = derivedb_text("%s/derived.work.Lives1", folder);
	char *other = derivedb_text("%s/derived.work.of.mine", folder);
	int fd = open(held, O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
	close(open(left, O_RDWR | O_CREAT, 0600));
	close(open(other, O_RDWR | O_CREAT, 0600));
	torrent();
	run(ev, "COMMIT");
	assert_int_equal(derive_update(folder), 0);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(access(held, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	close(fd);
	unlink(held);
	unlink(other);
	free(left);
	free(held);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_conversation), T(levels), T(ourselves),
		T(incoming), T(encrypted), T(refusals), T(left_over)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
