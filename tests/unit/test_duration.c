#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/duration.h"

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} cases[] = {
		{ "90", 90 }, { "90s", 90 }, { "30m", 1800 }, { "12h", 43200 },
		{ "2d", 172800 }, { "0", 0 }, { "", -1 }, { "m", -1 },
		{ "1.5h", -1 }, { "-1", -1 }, { "10x", -1 }, { "1 0", -1 },
		{ "99999999999999999999", -1 }, { "5000000000", -1 },
		{ "36525d", DURATION_MOST }, { "36526d", -1 }, { " 5", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(duration_s(cases[i].text), cases[i].s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
