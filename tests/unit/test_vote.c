#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "monitor/vote.h"

static struct endpoint at(const char *text)
{
	struct endpoint e = { 0 };

	assert_true(endpoint_parse_ip(span_str(text), &e));
	return e;
}

static bool cast(struct vote *v, unsigned voter, const char *says,
    struct endpoint *winner)
{
	struct endpoint who = { .family = 4, .addr = { 9, 9,
		(uint8_t)(voter >> 8), (uint8_t)voter } };
	struct endpoint what = at(says);

	what.port = (uint16_t)(1000 + voter);
	return vote_cast(v, &who, &what, winner);
}

static void test_majority(void **state)
{
	struct vote v = { 0 };
	struct endpoint won = { 0 }, one = at("1.2.3.4");

	(void)state;
	assert_false(cast(&v, 1, "1.2.3.4", &won));
	assert_false(cast(&v, 1, "1.2.3.4", &won));	/* once each */
	assert_false(cast(&v, 1, "1.2.3.4", &won));
	assert_false(cast(&v, 2, "1.2.3.4", &won));
	assert_true(cast(&v, 3, "1.2.3.4", &won));
	assert_int_equal(endpoint_cmp(&won, &one), 0);	/* no port */
}

static void test_no_majority(void **state)
{
	struct vote v = { 0 };
	struct endpoint won = { 0 };

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		assert_false(cast(&v, i, i % 3 == 0 ? "1.2.3.4" : i % 3 == 1 ?
		    "5.6.7.8" : "9.9.9.9", &won));
	/* A ninth address is not counted, but its voter has voted. */
	v = (struct vote){ 0 };
	for (unsigned i = 0; i < VOTE_SAID; i++) {
		char text[16];

		snprintf(text, sizeof(text), "1.2.3.%u", i);
		assert_false(cast(&v, i, text, &won));
	}
	for (unsigned i = VOTE_SAID; i < VOTE_VOTERS; i++)
		assert_false(cast(&v, i, "8.8.8.8", &won));
	/* The next round begins without them. */
	assert_false(cast(&v, 100, "8.8.8.8", &won));
	assert_false(cast(&v, 101, "8.8.8.8", &won));
	assert_true(cast(&v, 102, "8.8.8.8", &won));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_majority),
		cmocka_unit_test(test_no_majority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
