#include "report/clockbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define END { NULL, 0, 0 }

struct said {
	const char *source;
	int64_t offset, bound;
};

static const struct {
	const char *what;
	struct said said[8];
	int64_t bound;
} cases[] = {
	{ "nothing", { END }, -1 },
	{ "nobody answered", { { "sntp", 0, -1 }, { "kernel", 3, -1 }, END },
	    -1 },
	{ "a step, nobody answered", { { "step", 50, -1 }, END }, -1 },
	{ "the widest", { { "sntp", 1, 7 }, { "kernel", 0, 12 },
	    { "sntp", 2, 5 }, END }, 12 },
	{ "a step measured on both sides", { { "sntp", 0, 5 },
	    { "step", 100, -1 }, { "sntp", -100, 104 }, END }, 104 },
	{ "a step at last", { { "sntp", 0, 5 }, { "step", -100, -1 },
	    { "sntp", 0, -1 }, END }, 105 },
	{ "a step at first", { { "step", 100, -1 }, { "sntp", 0, 5 }, END },
	    105 },
	{ "two steps between answers", { { "sntp", 0, 5 }, { "step", 100, -1 },
	    { "step", -30, -1 }, { "sntp", 0, 6 }, END }, 6 },
	{ "two steps at last", { { "sntp", 0, 5 }, { "step", 100, -1 },
	    { "step", -30, -1 }, END }, 135 },
	{ "sleep moves no bound", { { "sntp", 0, 5 }, { "suspend", 900, -1 },
	    END }, 5 },
	{ "the utmost", { { "sntp", 0, INT64_MAX }, { "step", INT64_MIN, -1 },
	    { "step", INT64_MAX, -1 }, END }, INT64_MAX },
};

static void as_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct clockbound b = { 0 };

		for (const struct said *s = cases[i].said; s->source; s++)
			clockbound_add(&b, s->source, s->offset, s->bound);
		if (clockbound_ns(&b) != cases[i].bound)
			fail_msg("%s: %lld", cases[i].what,
			    (long long)clockbound_ns(&b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_said) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
