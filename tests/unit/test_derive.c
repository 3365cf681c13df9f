#include "schema/derive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "evidence_sql.h"

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NIGHT 1767225600000000000LL	/* 2026-01-01T00:00:00Z */
#define S 1000000000LL
#define ROOT "abababababababababababababababababababababababababababababababab"

static char folder[64], evidence[96], derived[96];
static sqlite3 *ev;
static int64_t next_seq;

static void run(sqlite3 *db, const char *sql)
{
	char *err = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK)
		fail_msg("%s: %.200s", err, sql);
}

__attribute__((format(printf, 2, 3)))
static void runf(sqlite3 *db, const char *fmt, ...)
{
	va_list ap;
	char *sql = NULL;

	va_start(ap, fmt);
	assert_true(vasprintf(&sql, fmt, ap) >= 0);
	va_end(ap);
	run(db, sql);
	free(sql);
}

/* conn -2 opens one. The record's seq. */
static int64_t add(int64_t utc_ns, const char *kind, const char *swarm,
    int64_t conn, const char *ip, int port, const char *detail)
{
	char own[24] = "NULL";

	if (conn != -1)
		snprintf(own, sizeof(own), "%lld",
		    (long long)(conn == -2 ? next_seq : conn));
	runf(ev, "INSERT INTO record VALUES (%lld, %lld, 1, '%s', "
	    "nullif('%s', ''), %s, nullif('%s', ''), nullif(%d, -1), '%s', "
	    "NULL, lower(hex(randomblob(16))))", (long long)next_seq,
	    (long long)utc_ns, kind, swarm, own, ip, port, detail);
	return next_seq++;
}

static void name(int64_t seq, int n, const char *ip, int port)
{
	runf(ev, "INSERT INTO named VALUES (%lld, %d, '%s', %d, "
	    "lower(hex(randomblob(16))))", (long long)seq, n, ip, port);
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_derive.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(evidence, sizeof(evidence), "%s/evidence.db", folder);
	snprintf(derived, sizeof(derived), "%s/derived.db", folder);
	assert_int_equal(sqlite3_open(evidence, &ev), SQLITE_OK);
	run(ev, "PRAGMA synchronous = OFF");
	run(ev, (const char *)evidence_sql);
	run(ev, "BEGIN");
	next_seq = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sqlite3_close(ev);
	unlink(evidence);
	unlink(derived);
	rmdir(folder);
	return 0;
}

/* All rows of a query, '|' between columns, a line each; to be freed. */
static char *dump(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	assert_non_null(f);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	while (sqlite3_step(st) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			const unsigned char *t = sqlite3_column_text(st, i);

			fprintf(f, "%s%s", i ? "|" : "",
			    t ? (const char *)t : "-");
		}
		fputc('\n', f);
	}
	sqlite3_finalize(st);
	fclose(f);
	return out;
}

static void expect(sqlite3 *db, const char *sql, const char *want)
{
	char *got = dump(db, sql);

	assert_string_equal(got, want);
	free(got);
}

static char *dump_all(sqlite3 *db)
{
	static const char *const table[] = { "swarm", "sighting", "contact",
	    "piece_check", "endpoint", "coverage", "decoy_answer",
	    "decoy_source", "decoy_endpoint", "about", "poll",
	    "built" };
	char *out = strdup("");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char sql[160], *rows, *more = NULL;

		snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY "
		    "1, 2, 3, 4%s", table[i],
		    strcmp(table[i], "about") ? "" : " LIMIT 0");
		if (strcmp(table[i], "about") == 0)
			snprintf(sql, sizeof(sql),
			    "SELECT * FROM about ORDER BY 1, 2");
		rows = dump(db, sql);
		assert_true(asprintf(&more, "%s== %s\n%s", out, table[i],
		    rows) > 0);
		free(rows);
		free(out);
		out = more;
	}
	return out;
}

/* --- one known story --------------------------------------------------------- */

#define PEER_ID "2d7142343539302d303132333435363738396162"

static void torrent(void)
{
	add(NIGHT - 100 * S, "run", "", -1, "", -1, "{\"program\":\"x\"}");
	add(NIGHT - 99 * S, "torrent", HASH, -1, "", -1,
	    "{\"source\":\"file\",\"version\":\"1\",\"infohash_v1\":\"" HASH
	    "\",\"infohash_v2\":null,\"name\":\"a name\",\"total_bytes\":160,"
	    "\"piece_bytes\":16,\"pieces\":10,\"private\":false}");
}

static void listed(int64_t at, const char *ip, int port)
{
	int64_t seq;

	add(at, "announce", HASH, -1, "10.0.0.1", 6969,
	    "{\"tracker\":\"http://t/a\",\"sent_utc_ns\":1767225500000000000,"
	    "\"outcome\":\"ok\"}");
	seq = add(at, "listed", HASH, -1, "10.0.0.1", 6969,
	    "{\"source\":\"tracker\",\"witness\":\"http://t/a\"}");
	name(seq, 0, ip, port);
	name(seq, 1, "2001:db8::1", 1);
}

static void handshake(int64_t at, const char *swarm, int64_t c,
    const char *ip, int port, bool expected)
{
	char detail[256];

	snprintf(detail, sizeof(detail), "{\"by\":\"peer\",\"infohash\":\"%s\","
	    "\"peer_id\":\"" PEER_ID "\",\"client\":\"qBittorrent 4.5.9\","
	    "\"expected\":%s}", HASH, expected ? "true" : "false");
	add(at, "handshake", swarm, c, ip, port, detail);
}

static void piece(int64_t at, int64_t c, const char *ip, int port, int came,
    const char *complete, const char *match)
{
	char detail[160];

	snprintf(detail, sizeof(detail), "{\"by\":\"peer\",\"piece\":3,"
	    "\"bytes\":16,\"came\":%d,\"complete\":%s,\"match\":%s}", came,
	    complete, match);
	add(at, "piece", HASH, c, ip, port, detail);
}

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
	sqlite3_close(db);
}

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

/* --- increments --------------------------------------------------------------- */

static unsigned seed;
static unsigned roll(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* Conversations interleaved at random over two midnights. */
static void random_ledger(int records)
{
	static const char *const step[] = { "handshake", "extended",
	    "bitfield", "have", "donthave", "piece", "choke", "malformed",
	    "encrypted", "closed" };
	struct {
		int64_t conn;
		int port;
		bool in, greeted;
	} live[12] = { { 0 } };

	torrent();
	for (int i = 0; i < records; i++) {
		int64_t at = NIGHT + ((int64_t)i - records / 3) * 300 * S -
		    (int64_t)roll(9) * S;
		unsigned k = roll(12);
		char detail[400], ip[16];
		const char *kind;
		unsigned what;

		if (roll(20) == 0)
			add(at, "run", "", -1, "", -1, "{}");
		if (roll(6) == 0)
			listed(at, roll(2) ? "10.1.0.1" : "10.1.0.2",
			    (int)(1000 + roll(4)));
		snprintf(ip, sizeof(ip), "10.1.0.%u", k % 3 + 1);
		if (live[k].conn == 0) {
			live[k].in = roll(2);
			live[k].greeted = false;
			live[k].port = (int)(1000 + roll(5));
			live[k].conn = add(at, live[k].in ? "accept" : "dial",
			    live[k].in ? "" : HASH, -2, ip, live[k].port,
			    roll(4) ? "{\"transport\":\"tcp\",\"encryption\":"
			    "\"none\"}" : "{\"transport\":\"utp\","
			    "\"encryption\":null}");
			if (!live[k].in) {
				bool up = roll(3);

				add(at + S, up ? "reached" : "unreached", HASH,
				    live[k].conn, ip, live[k].port,
				    "{\"why\":\"refused\"}");
				if (!up)
					live[k].conn = 0;
			}
			continue;
		}
		what = roll(10);
		kind = step[what];
		snprintf(detail, sizeof(detail), "{\"by\":\"%s\",\"infohash\":"
		    "\"" HASH "\",\"peer_id\":\"%040u\",\"client\":\"c%u\","
		    "\"expected\":%s,\"port\":%u,\"claimed\":%u,\"pieces\":10,"
		    "\"piece\":%u,\"came\":%u,\"complete\":%s,\"match\":%s,"
		    "\"why\":\"w%u\",\"rx_bytes\":%u,\"tx_bytes\":1,"
		    "\"select\":%u}",
		    roll(5) ? "peer" : "us", roll(99), roll(9),
		    roll(3) ? "true" : "false", roll(3) * 1000, roll(11),
		    roll(10), roll(3) * 8, roll(2) ? "true" : "false",
		    roll(2) ? "true" : "false", roll(9), roll(999),
		    roll(2) + 1);
		if (what == 0 && strstr(detail, "d\":true") &&
		    strstr(detail, "\"peer\""))
			live[k].greeted = true;
		add(at, kind, live[k].in && !live[k].greeted ? "" : HASH,
		    live[k].conn, ip, live[k].port, detail);
		if (what == 9)
			live[k].conn = 0;
	}
	run(ev, "COMMIT");
}

/* Says the first line that differs. */
static void assert_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		const char *la = strchr(a, '\n'), *lb = strchr(b, '\n');

		if (la == NULL || lb == NULL || la - a != lb - b ||
		    memcmp(a, b, (size_t)(la - a)) != 0)
			break;
		a = la + 1;
		b = lb + 1;
	}
	if (strcmp(a, b) != 0)
		fail_msg("\n%.*s\n%.*s", (int)strcspn(a, "\n"), a,
		    (int)strcspn(b, "\n"), b);
}

static void any_steps_give_the_same(void **state)
{
	for (unsigned s = 1; s <= 12; s++) {
		sqlite3 *whole, *parts;
		char *a, *b;
		int r, steps = 0;

		if (s > 1)
			setup(state);
		seed = s * 7919;
		random_ledger(250);
		whole = derive_build(evidence, ":memory:");
		assert_non_null(whole);
		assert_int_equal(sqlite3_open_v2(":memory:", &parts,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL), SQLITE_OK);
		runf(parts, "ATTACH 'file:%s?mode=ro' AS evidence", evidence);
		while ((r = derive_step(parts, 1 + roll(s < 4 ? 1 : 40))) > 0)
			steps++;
		assert_int_equal(r, 0);
		assert_true(steps > 5);
		run(parts, "UPDATE built SET script = 'x'");
		run(whole, "UPDATE built SET script = 'x'");
		a = dump_all(whole);
		b = dump_all(parts);
		assert_same(a, b);
		assert_true(strstr(a, "|5|") != NULL);
		free(a);
		free(b);
		sqlite3_close(whole);
		sqlite3_close(parts);
		if (s < 12)
			teardown(state);
	}
}

static void assert_same_as_scratch(void)
{
	sqlite3 *fresh = derive_build(evidence, ":memory:"), *file;
	char *a, *b;

	assert_non_null(fresh);
	assert_int_equal(sqlite3_open(derived, &file), SQLITE_OK);
	a = dump_all(fresh);
	b = dump_all(file);
	assert_same(a, b);
	free(a);
	free(b);
	sqlite3_close(fresh);
	sqlite3_close(file);
}

static void updates_and_rebuilds(void **state)
{
	char *before;
	sqlite3 *db;
	FILE *f;

	(void)state;
	seed = 1;
	random_ledger(60);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	run(ev, "BEGIN");
	random_ledger(60);	/* more of it */
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* Nothing new: the file does not change. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	before = dump(db, "SELECT * FROM built");
	assert_int_equal(derive_update(folder), 0);
	expect(db, "SELECT * FROM built", before);
	free(before);
	sqlite3_close(db);
	/* Made from another ledger: rebuilt. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET salt = 'other'; DELETE FROM contact");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* By another version: rebuilt. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET script = 'old'; DROP TABLE contact");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* A head of another tree: rebuilt. */
	runf(ev, "INSERT INTO checkpoint VALUES (%lld, 1, '" ROOT "', 'n')",
	    (long long)next_seq);
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET root = 'cd'; DELETE FROM endpoint");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* No database at all: rebuilt. */
	f = fopen(derived, "w");
	assert_non_null(f);
	for (int i = 0; i < 999; i++)
		fputs("no database ", f);
	fclose(f);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* Records erased: what they gave goes too. */
	run(ev, "DROP TRIGGER record_delete; DELETE FROM record WHERE kind = "
	    "'listed' AND seq % 2");
	add(NIGHT, "erased", "", -1, "", -1, "{}");
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_whole_conversation), T(levels), T(ourselves), T(incoming),
		T(encrypted), T(other_sources),
		T(any_steps_give_the_same), T(updates_and_rebuilds),
		T(decoys), T(gossip), T(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
