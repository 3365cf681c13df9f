/*
 * LEDBAT (RFC 6817): the window by delays, timed by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/ledbat.h"

#define MS 1000u
#define S 1000000u

/* Delays count from their lowest, on clocks that wrap. */
static void delays(void **state)
{
	struct ledbat l;
	uint32_t base = 0xffffff00u;

	(void)state;
	ledbat_init(&l, 1000);
	ledbat_rtt(&l, 300 * MS);
	ledbat_ack(&l, 1000, 4000, base, S);
	assert_int_equal(l.cwnd, 5000);
	for (int i = 0; i < 4; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 90 * MS, S);
	assert_false(l.slow_start);
	uint32_t cwnd = l.cwnd;
	for (int i = 0; i < 20; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 150 * MS, S);
	assert_true(l.cwnd < cwnd);
	cwnd = l.cwnd;
	ledbat_ack(&l, 1000, l.cwnd, 0, S);		/* none given */
	ledbat_ack(&l, 1000, l.cwnd, INT32_MAX, S);
	assert_true(l.cwnd <= cwnd);
	for (int i = 0; i < 200; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS, S);
	assert_int_equal(l.cwnd, 2000);
	/* What is not used does not grow. */
	for (int i = 0; i < 100; i++)
		ledbat_ack(&l, 100, 100, base, 2 * S);
	assert_int_equal(l.cwnd, 2000);
	/* After minutes the path is another one. */
	for (uint64_t m = 1; m <= LEDBAT_BASE + 1; m++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS,
		    S + m * 61 * S);
	cwnd = l.cwnd;
	for (int i = 0; i < 50; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS, 800 * S);
	assert_true(l.cwnd > cwnd);
	ledbat_timeout(&l);
	assert_int_equal(l.cwnd, 1000);
	assert_true(ledbat_rto_us(&l) >= 500 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
