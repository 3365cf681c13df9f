/*
 * A ledger written by hand, record by record, and what derived.sql makes of
 * it: for the tests of the derived tables.
 */
#ifndef TESTS_DERIVE_KIT_H
#define TESTS_DERIVE_KIT_H

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
static bool imported;		/* the records added have no mono_ns */

static inline void run(sqlite3 *db, const char *sql)
{
	char *err = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK)
		fail_msg("%s: %.200s", err, sql);
}

__attribute__((format(printf, 2, 3)))
static inline void runf(sqlite3 *db, const char *fmt, ...)
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
static inline int64_t add(int64_t utc_ns, const char *kind, const char *swarm,
    int64_t conn, const char *ip, int port, const char *detail)
{
	char own[24] = "NULL";

	if (conn != -1)
		snprintf(own, sizeof(own), "%lld",
		    (long long)(conn == -2 ? next_seq : conn));
	runf(ev, "INSERT INTO record VALUES (%lld, %lld, %s, '%s', "
	    "nullif('%s', ''), %s, nullif('%s', ''), nullif(%d, -1), '%s', "
	    "NULL, lower(hex(randomblob(16))))", (long long)next_seq,
	    (long long)utc_ns, imported ? "NULL" : "1", kind, swarm, own, ip, port, detail);
	return next_seq++;
}

static inline void name(int64_t seq, int n, const char *ip, int port)
{
	runf(ev, "INSERT INTO named VALUES (%lld, %d, '%s', %d, "
	    "lower(hex(randomblob(16))))", (long long)seq, n, ip, port);
}

static inline int setup(void **state)
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
	imported = false;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	sqlite3_close(ev);
	unlink(evidence);
	unlink(derived);
	rmdir(folder);
	return 0;
}

/* All rows of a query, '|' between columns, a line each; to be freed. */
static inline char *dump(sqlite3 *db, const char *sql)
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

static inline void expect(sqlite3 *db, const char *sql, const char *want)
{
	char *got = dump(db, sql);

	assert_string_equal(got, want);
	free(got);
}

static inline char *dump_all(sqlite3 *db)
{
	static const char *const table[] = { "extent", "about",
	    "swarm", "sighting", "contact",
	    "piece_check", "endpoint", "coverage", "decoy_answer",
	    "decoy_source", "decoy_endpoint", "poll", "rung",
	    "built" };
	char *out = strdup("");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char sql[160], *rows, *more = NULL;

		snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY 1, 2%s",
		    table[i], i < 2 ? "" : ", 3, 4");
		rows = dump(db, sql);
		assert_true(asprintf(&more, "%s== %s\n%s", out, table[i],
		    rows) > 0);
		free(rows);
		free(out);
		out = more;
	}
	return out;
}

#define PEER_ID "2d7142343539302d303132333435363738396162"

static inline void torrent(void)
{
	add(NIGHT - 100 * S, "run", "", -1, "", -1, "{\"program\":\"x\"}");
	add(NIGHT - 99 * S, "torrent", HASH, -1, "", -1,
	    "{\"source\":\"file\",\"version\":\"1\",\"infohash_v1\":\"" HASH
	    "\",\"infohash_v2\":null,\"name\":\"a name\",\"total_bytes\":160,"
	    "\"piece_bytes\":16,\"pieces\":10,\"private\":false}");
}

static inline void listed(int64_t at, const char *ip, int port)
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

static inline void handshake(int64_t at, const char *swarm, int64_t c,
    const char *ip, int port, bool expected)
{
	char detail[256];

	snprintf(detail, sizeof(detail), "{\"by\":\"peer\",\"infohash\":\"%s\","
	    "\"peer_id\":\"" PEER_ID "\",\"client\":\"qBittorrent 4.5.9\","
	    "\"expected\":%s}", HASH, expected ? "true" : "false");
	add(at, "handshake", swarm, c, ip, port, detail);
}

static inline void piece(int64_t at, int64_t c, const char *ip, int port, int came,
    const char *complete, const char *match)
{
	char detail[160];

	snprintf(detail, sizeof(detail), "{\"by\":\"peer\",\"piece\":3,"
	    "\"bytes\":16,\"came\":%d,\"complete\":%s,\"match\":%s}", came,
	    complete, match);
	add(at, "piece", HASH, c, ip, port, detail);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
