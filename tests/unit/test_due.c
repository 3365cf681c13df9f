#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/due.h"

#define ITEMS 300

static void *memory(void *old, size_t bytes)
{
	if (bytes > 0)
		return realloc(old, bytes);
	free(old);
	return NULL;
}

static void *no_memory(void *old, size_t bytes)
{
	(void)old;
	(void)bytes;
	return NULL;
}

/* Against a search through all of them, at every step. */
static void test_as_searched(void **state)
{
	static struct due_item item[ITEMS];
	struct due_item *first;
	struct due d;
	uint32_t x = 1, in = 0;

	(void)state;
	due_init(&d, memory);
	assert_null(due_first(&d));
	assert_true(due_reserve(&d, ITEMS));
	for (int step = 0; step < 20000; step++) {
		struct due_item *i;
		int64_t least = INT64_MAX;

		x = x * 1664525 + 1013904223;
		i = &item[(x >> 8) % ITEMS];
		in += i->place == 0;
		if (x >> 28 < 5) {
			due_drop(&d, i);
			in--;
		} else {
			due_put(&d, i, x >> 28 == 15 ? INT64_MIN : x >> 26);
		}
		for (int k = 0; k < ITEMS; k++)
			if (item[k].place && item[k].at_ns < least)
				least = item[k].at_ns;
		first = due_first(&d);
		assert_int_equal(d.count, in);
		assert_int_equal(first != NULL, in > 0);
		if (first)
			assert_true(first->at_ns == least);
	}
	while ((first = due_first(&d)) != NULL) {
		due_drop(&d, first);
		assert_true(first->place == 0);
		due_drop(&d, first);	/* of one that is in none: nothing */
		assert_true(due_first(&d) == NULL ||
		    due_first(&d)->at_ns >= first->at_ns);
	}
	due_fini(&d);
}

static void test_no_memory(void **state)
{
	struct due_item item = { 0 };
	struct due d;

	(void)state;
	due_init(&d, no_memory);
	assert_false(due_reserve(&d, 1));
	d.memory = memory;
	assert_true(due_reserve(&d, 1));
	due_put(&d, &item, 5);
	d.memory = no_memory;
	assert_false(due_reserve(&d, 1000));
	assert_true(due_first(&d) == &item);
	d.memory = memory;
	due_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_searched),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
