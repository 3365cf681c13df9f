/* Times as tables write them: each text, and the one time it is read as, or
 * why it is refused. */
#include "report/claimtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "report/when.h"
#include "tests/exact.h"

static const struct {
	const char *text;
	enum dateorder order;
	int zone_s;
	const char *want;	/* when_exact's text, or the reason's beginning */
} cases[] = {
	{ "2026-01-31T23:59:59Z", 0, 3600, "2026-01-31T23:59:59.000000000Z" },
	{ "2026-01-31 23:59:59", 0, 0, "2026-01-31T23:59:59.000000000Z" },
	{ "2026-01-31 23:59:59", 0, 7200, "2026-01-31T21:59:59.000000000Z" },
	{ "2026-01-31 23:59:59.25", 0, 0, "2026-01-31T23:59:59.250000000Z" },
	{ "2026-01-31T23:59:59,123456789Z", 0, 0,
	    "2026-01-31T23:59:59.123456789Z" },
	{ "2026-01-31T23:59", 0, 0, "2026-01-31T23:59:00.000000000Z" },
	{ "2026/01/31 23:59:59 UTC", 0, 3600,
	    "2026-01-31T23:59:59.000000000Z" },
	{ "2026-01-31 23:59:59 GMT+2", 0, 0, "2026-01-31T21:59:59.000000000Z" },
	{ "2026-01-31T23:59:59+0530", 0, 0, "2026-01-31T18:29:59.000000000Z" },
	{ "2026-01-31T23:59:59-05:00", 0, 0, "2026-02-01T04:59:59.000000000Z" },
	{ "20260131T235959Z", 0, 0, "2026-01-31T23:59:59.000000000Z" },
	{ "1/31/2026 11:59:59 PM", 0, 0, "day and month" },
	{ "1/31/2026 11:59:59 PM", DATES_MDY, 0,
	    "2026-01-31T23:59:59.000000000Z" },
	{ "01/02/2026 12:00:00 AM", DATES_MDY, 0,
	    "2026-01-02T00:00:00.000000000Z" },
	{ "01/02/2026 12:00:00 pm", DATES_DMY, 0,
	    "2026-02-01T12:00:00.000000000Z" },
	{ "02/02/2026 1:00 PM", 0, 0, "2026-02-02T13:00:00.000000000Z" },
	{ "31.01.2026 23:59:59", DATES_MDY, 0,
	    "2026-01-31T23:59:59.000000000Z" },
	{ "31-01-2026, 23:59:59", DATES_DMY, 0,
	    "2026-01-31T23:59:59.000000000Z" },
	{ "31-Jan-2026 23:59:59", 0, 0, "2026-01-31T23:59:59.000000000Z" },
	{ "Jan 31, 2026 11:59 PM", 0, 0, "2026-01-31T23:59:00.000000000Z" },
	{ "31 January 2026 23:59:59 +0100", 0, 0,
	    "2026-01-31T22:59:59.000000000Z" },
	{ "Sat, 31 Jan 2026 23:59:59 GMT", 0, 0,
	    "2026-01-31T23:59:59.000000000Z" },
	{ "1769903999", 0, 3600, "2026-01-31T23:59:59.000000000Z" },
	{ "1769903999.5", 0, 0, "2026-01-31T23:59:59.500000000Z" },
	{ "1769903999000", 0, 0, "2026-01-31T23:59:59.000000000Z" },
	{ "1769903999000001", 0, 0, "2026-01-31T23:59:59.000001000Z" },
	{ "1769903999000000001", 0, 0, "2026-01-31T23:59:59.000000001Z" },
	/* a day and its neighbour */
	{ "2026-01-01T00:00:00+01:00", 0, 0, "2025-12-31T23:00:00.000000000Z" },
	{ "2024-02-29 00:00:00", 0, 0, "2024-02-29T00:00:00.000000000Z" },
	/* refused */
	{ "2026-02-29 00:00:00", 0, 0, "there is no such day" },
	{ "31/31/2026 00:00:00", DATES_DMY, 0, "there is no such day" },
	{ "31/01/2026 00:00:00", DATES_MDY, 0, "there is no such day" },
	{ "1/31/26 00:00:00", DATES_MDY, 0, "the year is not of four" },
	{ "2026-01-31", 0, 0, "it has no time of day" },
	{ "2026-01-31 24:00:00", 0, 0, "it is no time of day" },
	{ "2026-01-31 23:59:60", 0, 0, "it is a leap second" },
	{ "2026-01-31 13:00:00 PM", 0, 0, "AM or PM" },
	{ "2026-01-31 23:59:59 EST", 0, 0, "it names a zone" },
	{ "2026-01-31 23:59:59 +99:00", 0, 0, "its offset" },
	{ "2026-01-31 23:59:59Z 5", 0, 0, "something stands behind" },
	{ "46053.999988", 0, 0, "it looks like a spreadsheet" },
	{ "1769", 0, 0, "it is a number" },
	{ "9791103999", 0, 0, "it is seconds beyond" },	/* found by fuzzing */
	{ "9791103999000", 0, 0, "it is milliseconds beyond" },
	{ "9791103999000000", 0, 0, "it is microseconds beyond" },
	{ "9791103999000000000", 0, 0, "the time holds a number" },
	{ "9191103999000000000", 0, 0, "it is nanoseconds beyond" },
	{ "9999999999999999999999999999", 0, 0, "the time holds a number" },
	{ "31-Foo-2026 23:59:59", 0, 0, "it is no date" },
	{ "yesterday", 0, 0, "no day of the month" },
	{ "1600-01-01 00:00:00", 0, 0, "the year is not within" },
	{ "::::::::::::::::::::::::::::", 0, 0, "the time has too many" },
	{ "", 0, 0, "there is no time" },
};

static void texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct claimtime t;
		char got[WHEN_MAX];
		int64_t utc = 0;
		size_t n = strlen(cases[i].text);
		struct span copy = exact(cases[i].text, n);
		const char *why = claimtime_read(copy, &t);

		if (why == NULL)
			why = claimtime_utc(&t, cases[i].order,
			    cases[i].zone_s, &utc);
		if (why == NULL)
			why = when_exact(utc, got);
		if (strncmp(why, cases[i].want, strlen(cases[i].want)))
			fail_msg("%s: %s", cases[i].text, why);
		unexact(copy);
	}
}

static void orders(void **state)
{
	static const struct {
		const char *text;
		enum dateorder order;
		int64_t step_s;
	} rows[] = {
		{ "1/2/2026 00:00:00", DATES_UNKNOWN, 1 },
		{ "13/2/2026 00:00:00", DATES_DMY, 1 },
		{ "2/13/2026 00:00", DATES_MDY, 60 },
		{ "1.2.2026 00:00", DATES_DMY, 60 },
		{ "2026-02-13 00:00", DATES_UNKNOWN, 60 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct claimtime t;

		assert_null(claimtime_read(span_str(rows[i].text), &t));
		assert_int_equal(claimtime_order(&t), rows[i].order);
		assert_int_equal(t.step_ns, rows[i].step_s * 1000000000);
	}
}

static void zones(void **state)
{
	static const struct {
		const char *text;
		int want;	/* 99: none */
	} rows[] = {
		{ "UTC", 0 }, { "z", 0 }, { "+02:00", 7200 }, { "-0530",
		    -19800 }, { "+2", 7200 }, { "UTC+2", 7200 },
		{ "CET", 99 }, { "", 99 }, { "+25:00", 99 }, { "2", 99 },
		{ "+02:00x", 99 }, { "+", 99 }, { "+2:7", 99 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int32_t z = 99;

		assert_int_equal(claimtime_zone(span_str(rows[i].text), &z),
		    rows[i].want != 99);
		assert_int_equal(z, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(orders),
		cmocka_unit_test(zones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
