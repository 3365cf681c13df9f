/* Bounds of samples, held against counting every case in whole numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "report/estimate.h"

#define MOST 24

static uint64_t choose(int64_t n, int64_t k)
{
	uint64_t r = 1;

	if (k < 0 || k > n)
		return 0;
	for (int64_t i = 1; i <= k; i++)
		r = r * (uint64_t)(n - k + i) / (uint64_t)i;
	return r;
}

/* Of all ways to draw n of `all`, in how many at least k are held. */
static uint64_t ways(int64_t all, int64_t held, int64_t n, int64_t k)
{
	uint64_t sum = 0;

	for (int64_t x = k; x <= n; x++)
		sum += choose(held, x) * choose(all - held, n - x);
	return sum;
}

static void tails(void **state)
{
	(void)state;
	for (int64_t all = 1; all <= MOST; all++)
		for (int64_t held = 0; held <= all; held++)
			for (int64_t n = 0; n <= all; n++)
				for (int64_t k = 0; k <= n; k++) {
					long double total =
					    (long double)choose(all, n);
					long double up = (long double)ways(all,
					    held, n, k) / total;
					long double down = 1 - (long double)
					    ways(all, held, n, k + 1) / total;

					assert_true(estimate_at_least(all,
					    held, n, k) - up < 1e-15L);
					assert_true(up - estimate_at_least(all,
					    held, n, k) < 1e-15L);
					assert_true(estimate_at_most(all,
					    held, n, k) - down < 1e-15L);
					assert_true(down - estimate_at_most(
					    all, held, n, k) < 1e-15L);
				}
}

static void least_held(void **state)
{
	(void)state;
	for (int64_t all = 1; all <= MOST; all++)
		for (int64_t n = 0; n <= all; n++)
			for (int64_t k = 0; k <= n; k++) {
				int64_t held = k;

				/* P >= 1/20, in whole numbers */
				while (ways(all, held, n, k) * 20 <
				    choose(all, n))
					held++;
				assert_int_equal(estimate_least_held(all, n, k),
				    k ? held : 0);
			}
	/* What reports print of the made-up case, and the ends. */
	assert_int_equal(estimate_least_held(64, 3, 3), 25);
	assert_int_equal(estimate_least_held(64, 64, 64), 64);
	assert_int_equal(estimate_least_held(64, 3, 0), 0);
	assert_int_equal(estimate_least_held(16777216, 3, 3), 6180780);
	assert_int_equal(estimate_least_held(1000, 59, 59), 952);
}

/* Every size tried. */
static void population(void **state)
{
	struct estimate_size e;

	(void)state;
	for (int64_t a = 1; a <= 9; a++)
		for (int64_t b = 1; b <= 9; b++)
			for (int64_t m = 1; m <= a && m <= b; m++) {
				int64_t low = -1, high = -1;

				for (int64_t n = a + b - m; n < 4000; n++) {
					long double p = estimate_at_least(n, a,
					    b, m), q = estimate_at_most(n, a, b,
					    m);

					if (p < 0.025L || q < 0.025L)
						continue;
					low = low < 0 ? n : low;
					high = n;
				}
				assert_true(estimate_population(a, b, m, &e));
				assert_int_equal(e.low, low);
				assert_int_equal(e.high, high);
				assert_true(e.size + 1 >= (a + 1) * (b + 1) /
				    (m + 1));
			}
	/* Chapman 1951: (n1 + 1)(n2 + 1)/(m + 1) - 1. */
	assert_true(estimate_population(200, 150, 60, &e));
	assert_int_equal(e.size, 496);
	assert_true(e.low < 497 && e.high > 497 && e.low > 380 &&
	    e.high < 700);
	assert_true(estimate_population(10, 10, 0, &e));
	assert_int_equal(e.high, -1);
	assert_false(estimate_population(3, 5, 4, &e));
	assert_false(estimate_population(-1, 5, 0, &e));
	assert_true(estimate_population(2000000, 1000000, 999, &e));
	assert_true(e.low < e.size && e.size < e.high);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tails),
		cmocka_unit_test(least_held),
		cmocka_unit_test(population),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
