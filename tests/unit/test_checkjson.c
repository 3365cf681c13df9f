/* Against SQLite's own judgement, of given texts and of many damaged ones. */
#include "report/checkjson.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sqlite3.h>


static sqlite3_stmt *judge;

static bool sqlite_says(const char *text, size_t n)
{
	bool ok;

	sqlite3_reset(judge);
	sqlite3_bind_text(judge, 1, text, (int)n, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(judge), SQLITE_ROW);
	ok = sqlite3_column_int(judge, 0) == 1;
	return ok;
}

static const struct {
	const char *text;
	bool object;
} cases[] = {
	{ "{}", true }, { "{ }", true }, { "{\"a\":1}", true },
	{ " {\"a\" : [1 , -2.5e+3, \"x\\u00e4\\n\", null,true,false,{}]} ",
	    true },
	{ "{\"a\":{\"b\":[[],[{}]]}}", true }, { "{\"a\":0.5,\"a\":-0}", true },
	{ "", false }, { "[]", false }, { "1", false }, { "null", false },
	{ "{", false }, { "}", false }, { "{]", false }, { "[}", false },
	{ "{\"a\"}", false }, { "{\"a\":}", false }, { "{\"a\":1,}", false },
	{ "{,}", false }, { "{a:1}", false }, { "{\"a\":01}", false },
	{ "{\"a\":1.}", false }, { "{\"a\":.5}", false },
	{ "{\"a\":+1}", false }, { "{\"a\":1e}", false },
	{ "{\"a\":--1}", false }, { "{\"a\":\"\\x\"}", false },
	{ "{\"a\":\"\\u12g4\"}", false }, { "{\"a\":\"b}", false },
	{ "{\"a\":[1,]}", false }, { "{\"a\":[1 2]}", false },
	{ "{\"a\":tru}", false }, { "{\"a\":nul", false },
	{ "{\"a\":1}}", false }, { "{\"a\":1} x", false },
	{ "{\"a\":1}{}", false }, { "{\"a\":[}", false },
};

static void given(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].text);

		if (checkjson_object(cases[i].text, n) != cases[i].object ||
		    sqlite_says(cases[i].text, n) != cases[i].object)
			fail_msg("%s", cases[i].text);
	}
}

static void deep(void **state)
{
	char text[2 * CHECKJSON_DEPTH + 64];
	size_t n = 0;

	(void)state;
	memcpy(text, "{\"a\":", 5);
	n = 5;
	for (int i = 1; i < CHECKJSON_DEPTH; i++)
		text[n++] = '[';
	for (int i = 1; i < CHECKJSON_DEPTH; i++)
		text[n++] = ']';
	text[n++] = '}';
	assert_true(checkjson_object(text, n));
	memmove(text + 6, text + 5, n - 5);
	text[5] = '[';
	assert_false(checkjson_object(text, n + 1));
}

/* Good ones with bytes changed, taken out and put in. */
static void damaged(void **state)
{
	static const char bytes[] = "{}[]\",:\\u0123456789eE+-. tfn";
	unsigned objects = 0;

	(void)state;
	srand(7);
	for (unsigned i = 0; i < 200000; i++) {
		const char *from = cases[(unsigned)rand() % 6].text;
		size_t n = strlen(from), at;
		char text[160], *heap;
		bool ours, theirs;

		memcpy(text, from, n);
		for (int k = rand() % 3; k >= 0; k--) {
			at = (size_t)rand() % (n + 1);
			if (rand() % 3 == 0 && at < n) {
				memmove(text + at, text + at + 1, n - at - 1);
				n--;
			} else if (rand() % 2 && n < sizeof(text) - 1) {
				memmove(text + at + 1, text + at, n - at);
				text[at] = bytes[(size_t)rand() %
				    (sizeof(bytes) - 1)];
				n++;
			} else if (at < n) {
				text[at] = bytes[(size_t)rand() %
				    (sizeof(bytes) - 1)];
			}
		}
		heap = malloc(n ? n : 1);
		assert_non_null(heap);
		memcpy(heap, text, n);
		ours = checkjson_object(heap, n);
		theirs = sqlite_says(heap, n);
		free(heap);
		text[n] = '\0';
		objects += ours;
		/* SQLite 3.40 takes {["a"]:1}: it looks at the last string of
		 * a key alone. */
		if (theirs && !ours && strpbrk(text + 1, "[{"))
			continue;
		if (ours != theirs)
			fail_msg("%s", text);
	}
	assert_in_range(objects, 1000, 199000);
}

static int open_judge(void **state)
{
	sqlite3 *db;

	(void)state;
	return sqlite3_open(":memory:", &db) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "SELECT CASE WHEN json_valid(?1) THEN "
	    "json_type(?1) = 'object' ELSE 0 END", -1, &judge, NULL) !=
	    SQLITE_OK;
}

static int close_judge(void **state)
{
	sqlite3 *db = sqlite3_db_handle(judge);

	(void)state;
	sqlite3_finalize(judge);
	return sqlite3_close(db) != SQLITE_OK;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given),
		cmocka_unit_test(deep),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, open_judge, close_judge);
}
