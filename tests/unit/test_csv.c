#include "report/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct {
	const char *in, *out;
} cells[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "a,b", "\"a,b\"" },
	{ "say \"x\"", "\"say \"\"x\"\"\"" },
	{ " led", "\" led\"" },
	{ "=1+1", "'=1+1" },
	{ "+1", "'+1" },
	{ "-1", "'-1" },
	{ "@SUM(A1)", "'@SUM(A1)" },
	{ "\t=1", "'\\u0009=1" },
	{ "\r=1", "'\\u000d=1" },
	{ "=HYPERLINK(\"http://x\",1)",
	    "\"'=HYPERLINK(\"\"http://x\"\",1)\"" },
	{ "a\nb", "a\\u000ab" },
	{ "a=b", "a=b" },
	{ "a;=1+1", "a;'=1+1" },
	{ "a;b; @SUM(A1);", "a;b;' @SUM(A1);" },
	{ "a;\"=1", "\"a;'\"\"=1\"" },
	{ "a,b;-1", "\"a,b;'-1\"" },
	{ "\u202ex", "\\u202ex" },
	{ "\xf3\xa0\x81\x81", "\\U000e0041" },
	{ "\xff", "\\ufffd" },
	{ "\u65e5\u672c", "\u65e5\u672c" },
};

static void cells_are_inert(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		char *out = NULL, *copy = strdup(cells[i].in);
		size_t n;
		FILE *f = open_memstream(&out, &n);

		assert_non_null(f);
		assert_non_null(copy);
		csv_text(f, copy);
		fclose(f);
		assert_string_equal(out, cells[i].out);
		free(out);
		free(copy);
	}
}

static void a_query(void **state)
{
	sqlite3 *db;
	struct rows q;
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	/* Numbers stay numbers, minus sign and all; NULL is nothing. */
	rows_open(&q, db, "SELECT -5 AS n, NULL AS none, '-5' AS t, ?1 AS k "
	    "UNION ALL SELECT 7, 1, 'x', ''", "key");
	assert_int_equal(csv_write(f, &q), 0);
	assert_int_equal(rows_close(&q), 0);
	fclose(f);
	assert_string_equal(out, "n,none,t,k\r\n-5,,'-5,key\r\n7,1,x,\r\n");
	free(out);
	f = open_memstream(&out, &n);
	rows_open(&q, db, "SELECT * FROM nowhere", NULL);
	assert_int_equal(csv_write(f, &q), -1);
	assert_int_equal(rows_close(&q), -1);
	fclose(f);
	free(out);
	/* A row that fails half-way fails the table. */
	f = open_memstream(&out, &n);
	rows_open(&q, db, "SELECT json_extract(value, '$') FROM "
	    "(SELECT '1' AS value UNION ALL SELECT '{')", NULL);
	assert_int_equal(csv_write(f, &q), -1);
	assert_int_equal(rows_close(&q), -1);
	fclose(f);
	free(out);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_inert),
		cmocka_unit_test(a_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
