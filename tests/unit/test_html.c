#include "report/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "report/caution.h"
#include "report/ladder.h"
#include "report/when.h"

#define ODD(n) "<span class=odd>U+" n "</span>"

static const struct {
	const char *in, *out;
} texts[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "<script>&\"'", "&lt;script&gt;&amp;&quot;&#39;" },
	{ "a\nb\tc", "a" ODD("000A") "b" ODD("0009") "c" },
	{ "\x1b[31m\x7f", ODD("001B") "[31m" ODD("007F") },
	{ "Gr\u00fc\u00dfe \u65e5\u672c", "Gr\u00fc\u00dfe \u65e5\u672c" },
	{ "\u05e9\u05dc", "\u05e9\u05dc" },	/* letters may go right to left */
	{ "a\u202egpj", "a" ODD("202E") "gpj" },
	{ "\u2066x\u2069", ODD("2066") "x" ODD("2069") },
	{ "\u200b\ufeff\u00ad\u061c", ODD("200B") ODD("FEFF") ODD("00AD")
	    ODD("061C") },
	{ "\xc2\x85", ODD("0085") },
	{ "\u00a0\u3000", ODD("00A0") ODD("3000") },
	{ "\xf3\xa0\x81\x81", ODD("E0041") },	/* a tag */
	{ "\xee\x80\x80", ODD("E000") },	/* private use */
	{ "e\u0301\u0302", "e\u0301\u0302" },
	{ "e\u0301\u0302\u0303", "e\u0301\u0302" ODD("0303") },
	/* Not UTF-8: overlong, surrogate, lone, cut, beyond the last. */
	{ "\xc0\xbc", ODD("FFFD") ODD("FFFD") },
	{ "\xed\xa0\x80", ODD("FFFD") ODD("FFFD") ODD("FFFD") },
	{ "\x80z", ODD("FFFD") "z" },
	{ "z\xe2\x80", "z" ODD("FFFD") ODD("FFFD") },
	{ "\xf4\x90\x80\x80", ODD("FFFD") ODD("FFFD") ODD("FFFD")
	    ODD("FFFD") },
	{ "\xff", ODD("FFFD") },
};

static char *written(void (*put)(FILE *, const char *), const char *in)
{
	/* An exact copy, so that ASan sees one byte too many. */
	char *copy = strdup(in), *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	assert_non_null(copy);
	assert_non_null(f);
	put(f, copy);
	fclose(f);
	free(copy);
	return out;
}

static void hostile_text_is_inert(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char want[512], *got = written(html_text, texts[i].in);

		snprintf(want, sizeof(want), "<bdi>%s</bdi>", texts[i].out);
		assert_string_equal(got, want);
		free(got);
		got = written(html_plain, texts[i].in);
		if (strchr(texts[i].in, '\n') == NULL)
			assert_string_equal(got, texts[i].out);
		free(got);
	}
}

static void every_byte_is_safe(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char in[3] = { (char)a, (char)b, 0 };
			char *got = written(html_plain, in);
			const char *p = got;

			while ((p = strchr(p, '<')) != NULL) {
				assert_true(strncmp(p, "<span class=odd>U+", 18)
				    == 0 || strncmp(p, "</span>", 7) == 0);
				p++;
			}
			for (p = got; *p; p++)
				assert_true((unsigned char)*p >= ' ' ||
				    *p == '\n');
			free(got);
		}
	}
}

static void long_text_is_cut(void **state)
{
	char *in = malloc(100001), *got;

	(void)state;
	assert_non_null(in);
	memset(in, 'x', 100000);
	in[100000] = '\0';
	got = written(html_text, in);
	assert_true(strlen(got) < 600);
	assert_non_null(strstr(got, "99600 more bytes"));
	free(got);
	free(in);
	got = written(html_text, "");
	assert_string_equal(got, "<bdi></bdi>");
	free(got);
}

static void numbers(void **state)
{
	static const struct {
		long long n;
		const char *want;
	} c[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1000" },
		{ 12345, "12\u202f345" }, { 1234567, "1\u202f234\u202f567" },
		{ -123456, "-123\u202f456" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		char *out = NULL;
		size_t n;
		FILE *f = open_memstream(&out, &n);

		assert_non_null(f);
		html_number(f, c[i].n);
		fclose(f);
		assert_string_equal(out, c[i].want);
		free(out);
	}
}

static void times(void **state)
{
	char b[WHEN_MAX];

	(void)state;
	assert_string_equal(when_text(0, BOUND_UNKNOWN, b),
	    "1970-01-01T00:00:00Z");
	/* Digits only where the clock carried them; truncated. */
	assert_string_equal(when_text(1999999999, BOUND_UNKNOWN, b),
	    "1970-01-01T00:00:01Z");
	assert_string_equal(when_text(1999999999, 5000000, b),
	    "1970-01-01T00:00:01.999Z");
	assert_string_equal(when_text(1999999999, 1000000000, b),
	    "1970-01-01T00:00:01Z");
	assert_string_equal(when_exact(-1, b),
	    "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(when_exact(INT64_MAX, b),
	    "2262-04-11T23:47:16.854775807Z");
	assert_string_equal(when_exact(INT64_MIN, b),
	    "1677-09-21T00:12:43.145224192Z");
	assert_string_equal(when_bound(BOUND_UNKNOWN, b), "± unknown");
	assert_string_equal(when_bound(1, b), "± 1 ms");
	assert_string_equal(when_bound(12345678, b), "± 13 ms");
	assert_string_equal(when_bound(999000001, b), "± 1 s");
	assert_string_equal(when_bound(1000000001, b), "± 2 s");
	assert_string_equal(when_span(3500000000, b), "3.5 s");
	assert_string_equal(when_span(3723LL * 1000000000, b), "1 h 02 min");
}

/* No wording may say what no level shows. */
static void the_ladder_does_not_conclude(void **state)
{
	static const char *const never[] = { "infring", "illegal", "guilty",
		"pirat", "shared", "distribut", "upload", "defendant",
		"subscriber", "offend" };

	(void)state;
	assert_ptr_equal(ladder_at(-5), ladder_at(0));
	assert_ptr_equal(ladder_at(99), ladder_at(LADDER_TOP));
	for (int i = 0; i <= LADDER_TOP; i++)
		for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++)
			assert_null(strstr(ladder_at(i)->observed, never[k]));
	for (int i = 0; i < CAUTION_COUNT; i++)
		for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++)
			assert_null(strstr(caution_meaning((enum caution)i),
			    never[k]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_is_inert),
		cmocka_unit_test(every_byte_is_safe),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(the_ladder_does_not_conclude),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
