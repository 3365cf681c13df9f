/*
 * Which times packets may lack, by what the ledger says of savefiles.
 */
#include "capture/ledgered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define S 1000000000LL

static struct ledgered *of(sqlite3 **db, const char *sql)
{
	struct ledgered *l;

	assert_int_equal(sqlite3_open(":memory:", db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(*db, "CREATE TABLE record(seq, utc_ns, "
	    "kind, detail); CREATE TABLE gone(seq)", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_exec(*db, sql, NULL, NULL, NULL), SQLITE_OK);
	l = ledgered_new(*db);
	assert_non_null(l);
	return l;
}

static void end(struct ledgered *l, sqlite3 *db)
{
	ledgered_free(l);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define FILE_OF(n, told, first, last, dropped, salvaged) \
	"INSERT INTO record VALUES (" #n "," #told "000000000,'packets'," \
	"json_object('file','packets/00000" #n ".pcap','first_utc_ns'," \
	#first "000000000,'last_utc_ns'," #last "000000000," \
	"'dropped_kernel'," #dropped ",'dropped_interface',0," \
	"'salvaged'," #salvaged "));"

/* Drops of 2: behind the packets of 1, up to when they were counted. */
static void where_drops_may_lie(void **state)
{
	static const struct {
		int64_t from, to;
		bool lossy;
	} t[] = {
		{ 100, 110, false }, { 147, 147, false }, { 149, 149, true },
		{ 160, 165, true }, { 185, 190, true }, { 220, 225, true },
		{ 233, 240, false }, { 100, 300, true },
	};
	sqlite3 *db;
	struct ledgered *l = of(&db, FILE_OF(1, 151, 100, 150, 0, 0)
	    FILE_OF(2, 230, 180, 200, 7, 0) FILE_OF(3, 400, 231, 399, 0, 0));

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(ledgered_lossy(l, t[i].from * S,
		    t[i].to * S), t[i].lossy);
	end(l, db);
}

/* Unknown is not none. The next run tells of a savefile that a killed one
 * left. */
static void where_nobody_knows(void **state)
{
	sqlite3 *db;
	struct ledgered *l = of(&db, FILE_OF(1, 300, 100, 150, -1, 1));

	(void)state;
	assert_true(ledgered_lossy(l, 120 * S, 121 * S));
	assert_false(ledgered_lossy(l, 160 * S, 161 * S));
	end(l, db);
}

static void where_none_were_kept(void **state)
{
	sqlite3 *db;
	struct ledgered *l = of(&db, FILE_OF(1, 151, 100, 150, 0, 0)
	    "INSERT INTO record VALUES (2, 1, 'no_packets', '{}')");

	(void)state;
	assert_true(ledgered_lossy(l, 120 * S, 121 * S));
	end(l, db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_drops_may_lie),
		cmocka_unit_test(where_nobody_knows),
		cmocka_unit_test(where_none_were_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
