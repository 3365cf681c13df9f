#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>

#include "schema/json.h"
#include "schema/log.h"

#define B(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static const struct {
	struct span in;
	const char *want;
} texts[] = {
	{ B(""), "\"\"" },
	{ B("plain ~ text/"), "\"plain ~ text/\"" },
	{ B("a\"b\\c"), "\"a\\\"b\\\\c\"" },
	{ B("\n\t\x7f\x1f"), "\"\\u000a\\u0009\\u007f\\u001f\"" },
	{ B("a\0b"), "\"a\\ufffdb\"" },
	{ B("\xc3\xa4"), "\"\\u00e4\"" },
	{ B("\xe2\x80\x94"), "\"\\u2014\"" },
	{ B("\xf0\x9f\x98\x80"), "\"\\ud83d\\ude00\"" },
	{ B("\xf4\x8f\xbf\xbf"), "\"\\udbff\\udfff\"" },
	/* Not UTF-8: cut short, alone, too long a form, surrogates, too far. */
	{ B("\xc3"), "\"\\ufffd\"" },
	{ B("\xc3(") , "\"\\ufffd(\"" },
	{ B("\xe2\x80"), "\"\\ufffd\\ufffd\"" },
	{ B("\x80\xbf"), "\"\\ufffd\\ufffd\"" },
	{ B("\xc0\x80"), "\"\\ufffd\\ufffd\"" },
	{ B("\xe0\x80\xaf"), "\"\\ufffd\\ufffd\\ufffd\"" },
	{ B("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
	{ B("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ B("\xf8\x88\x80\x80\x80"),
	    "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ B("\xff\xfe"), "\"\\ufffd\\ufffd\"" },
};

static void escapes_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct span in = texts[i].in;
		uint8_t *copy = malloc(in.n ? in.n : 1);
		struct json j;

		memcpy(copy, in.p, in.n);
		json_init(&j, JSON_MOST);
		json_text(&j, NULL, span_of(copy, in.n));
		assert_string_equal(json_done(&j), texts[i].want);
		json_fini(&j);
		free(copy);
	}
}

static void nests(void **state)
{
	struct json j;

	(void)state;
	json_init(&j, JSON_MOST);
	for (int round = 0; round < 2; round++) {
		json_reset(&j);
		json_open(&j, NULL, '{');
		json_int(&j, "least", INT64_MIN);
		json_int(&j, "most", INT64_MAX);
		json_uint(&j, "u", UINT64_MAX);
		json_int(&j, "zero", 0);
		json_bool(&j, "yes", true);
		json_bool(&j, "no", false);
		json_null(&j, "none");
		json_str(&j, "s", NULL);
		json_str(&j, "t", "x");
		json_open(&j, "a", '[');
		json_close(&j, ']');
		json_open(&j, "b", '[');
		json_open(&j, NULL, '[');
		json_int(&j, NULL, 1);
		json_int(&j, NULL, -2);
		json_close(&j, ']');
		json_open(&j, NULL, '{');
		json_close(&j, '}');
		json_close(&j, ']');
		json_hex(&j, "h", span_of("\x00\xfe", 2));
		/* Names of extensions are the peer's, and are keys. */
		json_int(&j, "k\"\n", 3);
		json_close(&j, '}');
		assert_string_equal(json_done(&j),
		    "{\"least\":-9223372036854775808,"
		    "\"most\":9223372036854775807,"
		    "\"u\":18446744073709551615,\"zero\":0,\"yes\":true,"
		    "\"no\":false,\"none\":null,\"s\":null,\"t\":\"x\","
		    "\"a\":[],\"b\":[[1,-2],{}],\"h\":\"00fe\","
		    "\"k\\\"\\u000a\":3}");
	}
	json_fini(&j);
}

/* Whatever the bytes, SQLite finds JSON in what we wrote, and no byte of it is
 * outside printable ASCII. */
static void sqlite_reads_it(void **state)
{
	sqlite3 *db;
	sqlite3_stmt *s;

	(void)state;
	srand(1);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT json_valid(?1), "
	    "length(json_extract(?1, '$.t')) > 0", -1, &s, NULL);
	for (int round = 0; round < 3000; round++) {
		uint8_t bytes[24];
		size_t n = 1 + (size_t)rand() % sizeof(bytes);
		struct json j;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(rand() % 3 ? rand() :
			    0xc0 | rand() % 0x36);
		json_init(&j, JSON_MOST);
		json_open(&j, NULL, '{');
		json_text(&j, "t", span_of(bytes, n));
		json_close(&j, '}');
		for (const char *p = json_done(&j); *p; p++)
			assert_in_range(*p, ' ', '~');
		sqlite3_bind_text(s, 1, j.text, -1, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(s), SQLITE_ROW);
		assert_int_equal(sqlite3_column_int(s, 0), 1);
		assert_int_equal(sqlite3_column_int(s, 1), 1);
		sqlite3_reset(s);
		json_fini(&j);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
}

static void keeps_to_its_most(void **state)
{
	struct json j;

	(void)state;
	for (size_t most = 0; most < 12; most++) {
		json_init(&j, most);
		json_str(&j, NULL, "12345678");
		if (most < 10)
			assert_null(json_done(&j));
		else
			assert_string_equal(json_done(&j), "\"12345678\"");
		json_int(&j, NULL, 5);
		assert_null(json_done(&j));
		json_reset(&j);
		assert_string_equal(json_done(&j), "");
		json_fini(&j);
	}
}

static void hex_both_ways(void **state)
{
	char text[9];
	uint8_t out[4];

	(void)state;
	assert_string_equal(hex_of("\x00\x9a\xbc\xff", 4, text), "009abcff");
	assert_true(hex_read(span_str("009aBCff"), out, 4));
	assert_memory_equal(out, "\x00\x9a\xbc\xff", 4);
	assert_false(hex_read(span_str("009abcf"), out, 4));
	assert_false(hex_read(span_str("009abcff0"), out, 4));
	assert_false(hex_read(span_str("009abcfg"), out, 4));
	assert_false(hex_read(span_str("0x9abcff"), out, 4));
	assert_false(hex_read(span_str("@@@@@@@@"), out, 4));
}

static void log_is_safe(void **state)
{
	char buf[12];

	(void)state;
	assert_string_equal(log_safe(span_of("a\x1b[2J", 5), buf, 12),
	    "a\\x1b[2J");
	/* Cut before what does not fit whole. */
	assert_string_equal(log_safe(span_of("12345678\x1b", 9), buf, 12),
	    "12345678");
	assert_string_equal(log_safe(span_str("123456789012"), buf, 12),
	    "12345678901");
	assert_string_equal(log_safe(span_str("x"), buf, 1), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_text),
		cmocka_unit_test(nests),
		cmocka_unit_test(sqlite_reads_it),
		cmocka_unit_test(keeps_to_its_most),
		cmocka_unit_test(hex_both_ways),
		cmocka_unit_test(log_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
