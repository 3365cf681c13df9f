/* Jumps of the clocks by readings as given: suspends cannot be made here. */
#include "monitor/jump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define S 1000000000ll
#define MS 1000000ll
#define UTC (1700000000 * S)

static const struct {
	const char *what;
	int64_t mono, wall, boot;	/* how far each went on */
	int64_t slept, stepped;
} cases[] = {
	{ "a beat", 100 * MS, 100 * MS, 100 * MS, 0, 0 },
	{ "noise of the reading", 100 * MS, 149 * MS, 100 * MS, 0, 0 },
	{ "a busy host", 9 * S, 9 * S, 9 * S, 0, 0 },
	{ "set forward", 100 * MS, 30100 * MS, 100 * MS, 0, 30 * S },
	{ "set back an hour", 100 * MS, 100 * MS - 3600 * S, 100 * MS, 0,
	    -3600 * S },
	{ "slept", 100 * MS, 600 * S + 100 * MS, 600 * S + 100 * MS, 600 * S,
	    0 },
	{ "slept, and woke with a clock that is behind", 100 * MS,
	    598 * S + 100 * MS, 600 * S + 100 * MS, 600 * S, -2 * S },
	{ "slept, the wall clock stood", 100 * MS, 100 * MS,
	    600 * S + 100 * MS, 600 * S, -600 * S },
	{ "a leap second smeared", 100 * MS, 99 * MS, 100 * MS, 0, 0 },
	{ "a leap second inserted", 100 * MS, 100 * MS - S, 100 * MS, 0, -S },
};

static void as_given(void **state)
{
	struct jump_clocks a = { 5 * S, UTC, 77 * S };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jump_clocks b = { a.mono_ns + cases[i].mono,
			a.wall_ns + cases[i].wall, a.boot_ns + cases[i].boot };
		int64_t slept = -1, stepped = -1;

		jump_between(&a, &b, &slept, &stepped);
		if (slept != cases[i].slept || stepped != cases[i].stepped)
			fail_msg("%s: slept %lld, stepped %lld",
			    cases[i].what, (long long)slept,
			    (long long)stepped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_given) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
