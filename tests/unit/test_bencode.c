#include "wire/bencode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
	const char *name;
	const char *in;
	size_t n;
	enum wire_status want;
	size_t at;		/* OK: bytes taken; BAD: offset */
	unsigned notes;
} cases[] = {
#define B(s) s, sizeof(s) - 1
	{ "zero", B("i0e"), WIRE_OK, 3, 0 },
	{ "minus", B("i-42e"), WIRE_OK, 5, 0 },
	{ "most", B("i9223372036854775807e"), WIRE_OK, 21, 0 },
	{ "least", B("i-9223372036854775808e"), WIRE_OK, 22, 0 },
	{ "one too many", B("i9223372036854775808e"), WIRE_BAD, 0, 0 },
	{ "one too few", B("i-9223372036854775809e"), WIRE_BAD, 0, 0 },
	{ "far too many", B("i99999999999999999999999999e"), WIRE_BAD, 0, 0 },
	{ "leading zero", B("i007e"), WIRE_OK, 5, BEN_LEADING_ZERO },
	{ "many zeros", B("i0000000000000000000000000000001e"), WIRE_OK, 33,
	    BEN_LEADING_ZERO },
	{ "minus zero", B("i-0e"), WIRE_OK, 4, BEN_LEADING_ZERO },
	{ "no digits", B("ie"), WIRE_BAD, 0, 0 },
	{ "only minus", B("i-e"), WIRE_BAD, 0, 0 },
	{ "two minus", B("i--1e"), WIRE_BAD, 0, 0 },
	{ "plus", B("i+1e"), WIRE_BAD, 0, 0 },
	{ "blank", B("i 1e"), WIRE_BAD, 0, 0 },
	{ "string", B("4:spam"), WIRE_OK, 6, 0 },
	{ "empty string", B("0:"), WIRE_OK, 2, 0 },
	{ "then more", B("1:ai1e"), WIRE_OK, 3, 0 },
	{ "zeros before a length", B("03:abc"), WIRE_OK, 6,
	    BEN_LEADING_ZERO },
	{ "absurd length", B("2147483648:"), WIRE_BAD, 0, 0 },
	{ "overflowing length", B("99999999999999999999999:"), WIRE_BAD, 0,
	    0 },
	{ "no colon", B("4spam"), WIRE_BAD, 0, 0 },
	{ "negative length", B("-1:a"), WIRE_BAD, 0, 0 },
	{ "list", B("li1e1:ale0:e"), WIRE_OK, 12, 0 },
	{ "empty list", B("le"), WIRE_OK, 2, 0 },
	{ "dict", B("d1:ai1e1:bli2eee"), WIRE_OK, 16, 0 },
	{ "empty dict", B("de"), WIRE_OK, 2, 0 },
	{ "unsorted", B("d1:bi1e1:ai2ee"), WIRE_OK, 14, BEN_UNSORTED },
	{ "prefix first", B("d1:a0:2:aa0:e"), WIRE_OK, 13, 0 },
	{ "prefix last", B("d2:aa0:1:a0:e"), WIRE_OK, 13, BEN_UNSORTED },
	{ "bytes are unsigned", B("d1:a0:1:\xff""0:e"), WIRE_OK, 12, 0 },
	{ "repeated", B("d1:a0:1:a0:e"), WIRE_OK, 12, BEN_REPEATED },
	{ "unsorted inside", B("ld1:b0:1:a0:ee"), WIRE_OK, 14,
	    BEN_UNSORTED },
	{ "each dict on its own", B("d1:bd1:a0:e1:c0:e"), WIRE_OK, 17, 0 },
	{ "a number as key", B("di1ei2ee"), WIRE_BAD, 1, 0 },
	{ "a list as key", B("dlei2ee"), WIRE_BAD, 1, 0 },
	{ "key alone", B("d1:ae"), WIRE_BAD, 4, 0 },
	{ "end alone", B("e"), WIRE_BAD, 0, 0 },
	{ "nonsense", B("x"), WIRE_BAD, 0, 0 },
	{ "nonsense inside", B("d1:alxee"), WIRE_BAD, 5, 0 },
};

/* At every length: what is whole says so, what is cut says MORE (or finds the
 * fault early), and the input is untouched unless OK. */
static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t cut = 0; cut <= cases[i].n; cut++) {
			uint8_t *p = malloc(cut ? cut : 1);
			struct cur c;
			struct ben v = { 0 };
			unsigned notes = 0;
			struct wire_error err = { 0 };
			enum wire_status got;

			assert_non_null(p);
			memcpy(p, cases[i].in, cut);
			c = cur_of(span_of(p, cut));
			got = ben_next(&c, &v, &notes, &err);
			if (got == WIRE_OK ?
			    cases[i].want != WIRE_OK || cut < cases[i].at :
			    got == WIRE_MORE ? cut == cases[i].n ||
			    (cases[i].want == WIRE_OK && cut >= cases[i].at) :
			    cases[i].want != WIRE_BAD ||
			    err.offset != cases[i].at)
				fail_msg("%s cut at %zu: %d at %zu (%s)",
				    cases[i].name, cut, got, err.offset,
				    err.reason ? err.reason : "");
			if (got == WIRE_OK) {
				assert_int_equal(c.p - p, cases[i].at);
				assert_int_equal(notes, cases[i].notes);
				assert_ptr_equal(v.raw.p, p);
				assert_int_equal(v.raw.n, cases[i].at);
			} else {
				assert_ptr_equal(c.p, p);
				assert_non_null(err.reason);
			}
			free(p);
		}
}

static void test_values(void **state)
{
	static const char text[] =
	    "d1:ai-7e1:bl3:xyzd1:k1:vee1:c5:hello1:d1:1e";
	struct cur c = cur_of(span_str(text)), in;
	struct span key;
	struct ben v, w, k;
	struct wire_error err;

	(void)state;
	assert_int_equal(ben_next(&c, &v, NULL, &err), WIRE_OK);
	assert_int_equal(v.type, BEN_DICT);
	assert_true(ben_get(&v, "a", BEN_INT, &w));
	assert_int_equal(w.num, -7);
	assert_true(span_is(w.raw, "i-7e"));
	assert_true(ben_get(&v, "c", BEN_STR, &w));
	assert_true(span_is(w.text, "hello"));
	assert_false(ben_get(&v, "c", BEN_INT, &w));
	assert_false(ben_get(&v, "k", BEN_STR, &w));
	assert_false(ben_get(&v, "", BEN_STR, &w));
	assert_true(ben_get(&v, "b", BEN_LIST, &w));
	assert_true(span_is(w.raw, "l3:xyzd1:k1:vee"));
	in = cur_of(w.text);
	assert_true(ben_item(&in, &k));
	assert_true(span_is(k.text, "xyz"));
	assert_true(ben_item(&in, &k));
	assert_true(span_is(k.raw, "d1:k1:ve"));
	assert_false(ben_item(&in, &k));
	in = cur_of(v.text);
	for (int i = 0; i < 4; i++) {
		assert_true(ben_pair(&in, &key, &w));
		assert_int_equal(key.p[0], 'a' + i);
	}
	assert_false(ben_pair(&in, &key, &w));
}

static void test_tokens(void **state)
{
	static const enum ben_type want[] = { BEN_DICT, BEN_STR, BEN_LIST,
	    BEN_INT, BEN_END, BEN_END };
	struct cur c = cur_of(span_str("d1:ali1eee"));
	struct ben v;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		assert_true(ben_token(&c, &v));
		assert_int_equal(v.type, want[i]);
	}
	assert_false(ben_token(&c, &v));
}

static void test_depth(void **state)
{
	char text[2 * BEN_DEPTH_MAX + 4];
	struct wire_error err;
	struct ben v;

	(void)state;
	for (size_t n = BEN_DEPTH_MAX; n <= BEN_DEPTH_MAX + 1; n++) {
		struct cur c = cur_of(span_of(text, 2 * n));

		memset(text, 'l', n);
		memset(text + n, 'e', n);
		assert_int_equal(ben_next(&c, &v, NULL, &err),
		    n == BEN_DEPTH_MAX ? WIRE_OK : WIRE_BAD);
	}
	assert_int_equal(err.offset, BEN_DEPTH_MAX);
}

/* 100 MB of nesting is refused at the bound, not walked. */
static void test_nesting(void **state)
{
	size_t n = 100u << 20;
	uint8_t *p = malloc(n);
	struct wire_error err;
	struct ben v;
	struct cur c;

	(void)state;
	assert_non_null(p);
	memset(p, 'd', n);
	c = cur_of(span_of(p, n));
	assert_int_equal(ben_next(&c, &v, NULL, &err), WIRE_BAD);
	memset(p, 'l', n);
	assert_int_equal(ben_next(&c, &v, NULL, &err), WIRE_BAD);
	assert_int_equal(err.offset, BEN_DEPTH_MAX);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
