#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>

#include "schema/record.h"

static sqlite3 *db;
static sqlite3_stmt *record, *named;

static int open_db(void **state)
{
	(void)state;
	if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "SELECT " RECORD_LINE " FROM (SELECT ?1 AS "
	    "seq, ?2 AS utc_ns, ?3 AS mono_ns, ?4 AS kind, ?5 AS swarm, "
	    "?6 AS conn, ?7 AS ip, ?8 AS port, ?9 AS detail, "
	    "?10 AS raw_sha256, ?11 AS salt)", -1, &record, NULL) ||
	    sqlite3_prepare_v2(db, "SELECT " NAMED_LINE " FROM (SELECT ?1 AS "
	    "seq, ?2 AS n, ?3 AS ip, ?4 AS port, ?5 AS salt)", -1, &named,
	    NULL))
		return -1;
	return 0;
}

static int close_db(void **state)
{
	(void)state;
	sqlite3_finalize(record);
	sqlite3_finalize(named);
	sqlite3_close(db);
	return 0;
}

static int64_t any_int(void)
{
	static const int64_t ends[] = { 0, 1, -1, -2, 9, 10, 99, 100,
		INT64_MAX, INT64_MIN, INT64_MIN + 1, INT32_MAX, INT32_MIN };

	if (rand() % 2)
		return ends[(size_t)rand() % (sizeof(ends) / sizeof(ends[0]))];
	return (int64_t)((uint64_t)(unsigned)rand() << 33 ^
	    (uint64_t)(unsigned)rand() << 13 ^ (uint64_t)(unsigned)rand());
}

/* Printable ASCII, every third a quote; sometimes NULL, sometimes empty. */
static const char *any_text(char *buf, size_t room)
{
	size_t n = (size_t)rand() % room;

	if (rand() % 5 == 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(rand() % 3 ? ' ' + rand() % 95 : '\'');
	buf[n] = '\0';
	return buf;
}

static void bind_some(sqlite3_stmt *s, int at, int64_t v)
{
	if (v < 0)
		sqlite3_bind_null(s, at);
	else
		sqlite3_bind_int64(s, at, v);
}

/* The line we write is the line SQLite writes, and room is kept to exactly. */
static void agree(sqlite3_stmt *s, const char *ours, size_t n)
{
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_int_equal(sqlite3_column_bytes(s, 0), n);
	assert_memory_equal(sqlite3_column_text(s, 0), ours, n);
	sqlite3_reset(s);
}

static void line_is_sqlites(void **state)
{
	char kind[20], swarm[70], ip[50], detail[400], sum[70], salt[40];

	(void)state;
	srand(2);
	for (int round = 0; round < 20000; round++) {
		int64_t seq = any_int(), utc = any_int(), mono = any_int();
		int64_t conn = any_int();
		int32_t port = rand() % 65537 - 1;
		const char *k = any_text(kind, sizeof(kind));
		const char *w = any_text(swarm, sizeof(swarm));
		const char *i = any_text(ip, sizeof(ip));
		const char *d = any_text(detail, sizeof(detail));
		const char *h = any_text(sum, sizeof(sum));
		const char *t = any_text(salt, sizeof(salt));
		size_t n, room = 1500;
		char *buf = malloc(room);

		n = record_line(buf, room, seq, utc, mono, k, w, conn, i, port,
		    d, h, t);
		assert_true(n > 0);
		sqlite3_bind_int64(record, 1, seq);
		sqlite3_bind_int64(record, 2, utc);
		bind_some(record, 3, mono);
		sqlite3_bind_text(record, 4, k, -1, SQLITE_STATIC);
		sqlite3_bind_text(record, 5, w, -1, SQLITE_STATIC);
		bind_some(record, 6, conn);
		sqlite3_bind_text(record, 7, i, -1, SQLITE_STATIC);
		bind_some(record, 8, port);
		sqlite3_bind_text(record, 9, d, -1, SQLITE_STATIC);
		sqlite3_bind_text(record, 10, h, -1, SQLITE_STATIC);
		sqlite3_bind_text(record, 11, t, -1, SQLITE_STATIC);
		agree(record, buf, n);

		/* Exactly enough is enough; a byte less is none. */
		buf = realloc(buf, n);
		assert_int_equal(record_line(buf, n, seq, utc, mono, k, w,
		    conn, i, port, d, h, t), n);
		buf = realloc(buf, n - 1);
		assert_int_equal(record_line(buf, n - 1, seq, utc, mono, k, w,
		    conn, i, port, d, h, t), 0);
		free(buf);
	}
}

static void named_line_is_sqlites(void **state)
{
	char ip[46], salt[33], buf[200];

	(void)state;
	srand(3);
	for (int round = 0; round < 3000; round++) {
		int64_t seq = any_int(), n = any_int();
		uint16_t port = (uint16_t)rand();
		const char *i = any_text(ip, sizeof(ip));
		const char *t = any_text(salt, sizeof(salt));
		size_t got = named_line(buf, sizeof(buf), seq, n, i, port, t);

		sqlite3_bind_int64(named, 1, seq);
		sqlite3_bind_int64(named, 2, n);
		sqlite3_bind_text(named, 3, i, -1, SQLITE_STATIC);
		sqlite3_bind_int64(named, 4, port);
		sqlite3_bind_text(named, 5, t, -1, SQLITE_STATIC);
		agree(named, buf, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_sqlites),
		cmocka_unit_test(named_line_is_sqlites),
	};

	return cmocka_run_group_tests(tests, open_db, close_db);
}
