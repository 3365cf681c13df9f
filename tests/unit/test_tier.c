#include "monitor/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define S 1000000000ll

/* Two trackers in tier 0, one each in 1 and 2. */
#define SLOTS { { .tier = 0, .id = 10 }, { .tier = 0, .id = 11 }, \
	{ .tier = 1, .id = 12 }, { .tier = 2, .id = 13 } }

static unsigned next(struct tier_walk *w, int64_t now)
{
	unsigned id = 0;

	return tier_next(w, now, &id) ? id : 0;
}

static void tiers_in_order_until_one_answers(void **state)
{
	static const uint32_t rnd[4];		/* i % 1: no surprise */
	struct tier_slot slots[] = SLOTS;
	struct tier_walk w;
	unsigned first, second;

	(void)state;
	tier_init(&w, slots, 4, rnd, 5 * S);
	assert_int_equal(next(&w, 5 * S - 1), 0);
	first = next(&w, 5 * S);
	assert_true(first == 10 || first == 11);
	assert_int_equal(next(&w, 5 * S), 0);	/* one at a time */
	assert_true(tier_due(&w) == INT64_MAX);
	tier_failed(&w, first, -1, 5 * S);
	assert_true(tier_due(&w) <= 5 * S);	/* the next one at once */
	second = next(&w, 5 * S);
	assert_true(second != first && (second == 10 || second == 11));
	tier_failed(&w, second, -1, 6 * S);
	assert_int_equal(next(&w, 6 * S), 12);
	tier_ok(&w, 12, 100, -1, 6 * S);
	assert_true(tier_due(&w) == 106 * S);
	assert_int_equal(next(&w, 105 * S), 0);
	/* Then from the first tier again, whose backoff is over. */
	assert_int_equal(next(&w, 106 * S), first);
	tier_failed(&w, first, -1, 106 * S);
	assert_int_equal(next(&w, 106 * S), second);
	/* What answered moves to the front of its tier, and not beyond. */
	tier_ok(&w, second, -1, -1, 106 * S);
	assert_true(tier_due(&w) == (106 + TIER_INTERVAL_S) * S);
	assert_int_equal(next(&w, tier_due(&w)), second);
	tier_failed(&w, second, -1, 5000 * S);
	assert_int_equal(next(&w, 5000 * S), first);
	tier_failed(&w, first, -1, 5000 * S);
	assert_int_equal(next(&w, 5000 * S), 12);
	tier_failed(&w, 12, -1, 5000 * S);
	assert_int_equal(next(&w, 5000 * S), 13);
	tier_ok(&w, 13, -1, -1, 5000 * S);
	assert_int_equal(w.slots[3].id, 13);
}

static void backoff_doubles_to_an_hour(void **state)
{
	struct tier_slot slot = { .id = 7 };
	struct tier_walk w;
	uint32_t rnd = 0;
	int64_t now = 0, want_s = 15;

	(void)state;
	tier_init(&w, &slot, 1, &rnd, now);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(next(&w, now), 7);
		tier_failed(&w, 7, -1, now);
		assert_true(tier_due(&w) == now + want_s * S);
		assert_int_equal(next(&w, tier_due(&w) - 1), 0);
		now = tier_due(&w);
		want_s = want_s * 2 < 3600 ? want_s * 2 : 3600;
	}
	assert_int_equal(next(&w, now), 7);
	tier_ok(&w, 7, 60, -1, now);
	now = tier_due(&w);
	assert_int_equal(next(&w, now), 7);
	tier_failed(&w, 7, -1, now);
	assert_true(tier_due(&w) == now + 15 * S);	/* forgotten */
	/* A refusal's own interval counts if it is longer. */
	now = tier_due(&w);
	next(&w, now);
	tier_failed(&w, 7, 7200, now);
	assert_true(tier_due(&w) == now + 7200 * S);
}

static void intervals(void **state)
{
	static const struct { int64_t interval, least, want; } cases[] = {
		{ -1, -1, 1800 }, { 0, -1, 1800 }, { 0, 0, 1800 },
		{ 1, -1, 60 }, { 59, 30, 60 }, { 900, -1, 900 },
		{ 900, 1200, 1200 }, { 900, 600, 900 }, { -1, 600, 600 },
		{ 86401, -1, 86400 }, { INT64_MAX, INT64_MAX, 86400 },
		{ INT64_MIN, INT64_MIN, 1800 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tier_interval(cases[i].interval,
		    cases[i].least), cases[i].want);
}

/* Whatever a tracker answers, it is asked again, in a day at the latest, and
 * never sooner than 15 s after; than 60 s, if it named us peers. */
static void neither_hurried_nor_put_off(void **state)
{
	static const int64_t said[] = { INT64_MIN, -1, 0, 1, 59, 60, 1800,
		86400, 86401, INT32_MAX, 1ll << 31, UINT32_MAX, INT64_MAX };
	const size_t n = sizeof(said) / sizeof(said[0]);
	struct tier_slot slot = { .id = 7 };
	struct tier_walk w;
	uint32_t rnd = 0;
	int64_t now = 0, wait_s;

	(void)state;
	tier_init(&w, &slot, 1, &rnd, now);
	for (size_t i = 0; i < n * n * 3; i++) {
		int64_t a = said[i % n], b = said[i / n % n];
		bool fails = i % 5 < 3 && i > n * n;

		assert_int_equal(next(&w, now), 7);
		if (fails)
			tier_failed(&w, 7, a, now);
		else
			tier_ok(&w, 7, a, b, now);
		wait_s = (tier_due(&w) - now) / S;
		assert_in_range(wait_s, fails ? 15 : 60, 86400);
		now = tier_due(&w);
	}
}

static void shuffled_within_tiers_only(void **state)
{
	unsigned ahead = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 64; seed++) {
		uint32_t rnd[4] = { seed, seed / 2, seed / 3, seed / 5 };
		struct tier_slot slots[] = SLOTS;
		struct tier_walk w;

		tier_init(&w, slots, 4, rnd, 0);
		assert_int_equal(slots[0].id + slots[1].id, 21);
		assert_int_equal(slots[2].id, 12);
		assert_int_equal(slots[3].id, 13);
		ahead += slots[0].id == 10;
	}
	assert_in_range(ahead, 16, 48);
}

static void nothing_to_ask(void **state)
{
	struct tier_walk w;

	(void)state;
	tier_init(&w, NULL, 0, NULL, 0);
	assert_int_equal(next(&w, INT64_MAX - 1), 0);
	assert_true(tier_due(&w) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiers_in_order_until_one_answers),
		cmocka_unit_test(backoff_doubles_to_an_hour),
		cmocka_unit_test(intervals),
		cmocka_unit_test(neither_hurried_nor_put_off),
		cmocka_unit_test(shuffled_within_tiers_only),
		cmocka_unit_test(nothing_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
