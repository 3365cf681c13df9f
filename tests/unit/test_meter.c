#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/meter.h"

#define S 1000000000ll

/* Reads whenever it may, as much as one read gives: over any time no more than
 * the rate's worth, what was saved up and one read; and hardly less. */
static void test_keeps_its_rate(void **state)
{
	static const int64_t rates[] = { 16384, 1000003, 125000000,
		METER_MOST };

	(void)state;
	for (int i = 0; i < 4; i++) {
		int64_t rate = rates[i], read = rate < 65536 ? 1000 : 65536;
		int64_t step = S * read / rate / 3 + 1, now = 5, end, sum = 0;
		struct meter m;

		meter_init(&m, rate, now);
		end = now + 300000 * step;
		for (; now < end; now += step)
			if (meter_left(&m, now) > 0) {
				meter_take(&m, read);
				sum += read;
			}
		int64_t due = (int64_t)((double)(end - 5) / S * (double)rate);
		assert_in_range(sum, (uint64_t)((double)due * 0.999),
		    (uint64_t)(due + rate / 4 + read));
	}
}

static void test_saves_little(void **state)
{
	struct meter m;

	(void)state;
	meter_init(&m, 100000, 0);
	assert_int_equal(meter_left(&m, 0), 25000);
	meter_take(&m, 125000);
	assert_int_equal(meter_left(&m, 0), -100000);
	assert_int_equal(meter_left(&m, S / 2), -50000);
	assert_int_equal(meter_left(&m, S), 0);
	assert_int_equal(meter_left(&m, S + 10000), 1);
	/* However long nothing comes, and the longest time there is. */
	assert_int_equal(meter_left(&m, 1000000 * S), 25000);
	assert_int_equal(meter_left(&m, INT64_MAX), 25000);
	meter_take(&m, 25001);
	assert_int_equal(meter_left(&m, INT64_MAX), -1);
}

static void test_no_bound(void **state)
{
	struct meter m;

	(void)state;
	meter_init(&m, 0, 0);
	meter_take(&m, INT64_MAX);
	meter_take(&m, INT64_MAX);
	assert_true(meter_left(&m, 1) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_its_rate),
		cmocka_unit_test(test_saves_little),
		cmocka_unit_test(test_no_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
