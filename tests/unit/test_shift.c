/* One shift that makes many claims fit. */
#include "report/shift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define S 1000000000LL

static struct shift_in in[2000];
static size_t n;

static void fits(size_t claim, int64_t from_s, int64_t to_s)
{
	in[n++] = (struct shift_in){ from_s * S, to_s * S, claim };
}

static struct shift find(void)
{
	struct shift s;

	shift_find(in, n, &s);
	n = 0;
	return s;
}

static void none(void **state)
{
	struct shift s;

	(void)state;
	s = find();
	assert_false(s.found);
	assert_int_equal(s.of, 0);
	for (size_t i = 0; i < 9; i++)	/* all fit as they stand */
		fits(i, -60, 60);
	s = find();
	assert_false(s.found);
	assert_int_equal(s.fit_now, 9);
	fits(0, 3540, 3660);		/* two are too few */
	fits(1, 3540, 3660);
	assert_false(find().found);
	for (size_t i = 0; i < 9; i++)	/* each another */
		fits(i, (int64_t)i * 1000 + 100, (int64_t)i * 1000 + 200);
	assert_false(find().found);
}

static void zone(void **state)
{
	struct shift s;

	(void)state;
	for (size_t i = 0; i < 8; i++)	/* an hour, and some seconds of play */
		fits(i, 3540 + (int64_t)i, 3660 + (int64_t)i);
	fits(8, -60, 60);		/* one fits as it stands */
	s = find();
	assert_true(s.found);
	assert_true(s.zone);
	assert_int_equal(s.by_ns, 3600 * S);
	assert_int_equal(s.fit, 8);
	assert_int_equal(s.fit_now, 1);
	assert_int_equal(s.of, 9);
	assert_int_equal(s.least_ns, 3547 * S);
	assert_int_equal(s.most_ns, 3660 * S);
	for (size_t i = 0; i < 4; i++)	/* 5 h 30 min the other way */
		fits(i, -19860, -19740);
	s = find();
	assert_true(s.found && s.zone);
	assert_int_equal(s.by_ns, -19800 * S);
}

static void clock_off(void **state)
{
	struct shift s;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		fits(i, 100, 220);
	s = find();
	assert_true(s.found);
	assert_false(s.zone);
	assert_int_equal(s.by_ns, 160 * S);
}

/* What a claim says twice counts once. */
static void once(void **state)
{
	struct shift s;

	(void)state;
	for (int k = 0; k < 5; k++)
		fits(0, 100 + k, 220 + k);
	fits(1, 100, 220);
	s = find();
	assert_false(s.found);
	assert_int_equal(s.fit, 2);
}

/* Against trying every beginning. */
static void by_trial(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t claims = 3 + (size_t)round % 9, best = 0;
		struct shift_in all[64];
		size_t many = 0;
		struct shift s;

		for (size_t i = 0; i < claims * 3; i++) {
			int64_t a;

			seed = seed * 1103515245u + 12345u;
			a = (int64_t)(seed >> 16) % 100 - 50;
			fits(i % claims, a, a + (int64_t)(seed >> 9) % 20);
			all[many++] = in[n - 1];
		}
		for (size_t i = 0; i < many; i++) {
			size_t now = 0;

			for (size_t c = 0; c < claims; c++) {
				bool fit = false;

				for (size_t k = 0; k < many; k++)
					fit |= all[k].claim == c &&
					    all[k].from_ns <= all[i].from_ns &&
					    all[k].to_ns >= all[i].from_ns;
				now += fit;
			}
			best = now > best ? now : best;
		}
		s = find();
		assert_int_equal(s.fit, best);
		assert_int_equal(s.of, claims);
		assert_true(s.least_ns <= s.by_ns && s.by_ns <= s.most_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none), cmocka_unit_test(zone),
		cmocka_unit_test(clock_off), cmocka_unit_test(once),
		cmocka_unit_test(by_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
