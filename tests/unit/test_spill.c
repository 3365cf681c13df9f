/*
 * More items than fit in memory come back in order, each as often as it was
 * added, also when so many runs were written that they are merged meanwhile; and
 * no memory beside the room is held while items come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/spill.h"

/* AddressSanitizer's, whose header is clang's alone. */
size_t __sanitizer_get_current_allocated_bytes(void);

#define ROOM 65536u
#define ITEM 64u
#define LITTLE 4096u	/* what stdio and the like may take */

static void item_of(uint64_t n, uint8_t out[ITEM])
{
	n = n * 0x9e3779b97f4a7c15u ^ n >> 7;
	for (size_t i = 0; i < ITEM; i++)
		out[i] = (uint8_t)(n >> 8 * (i % 8));
}

/* XOR and sum of all: the same items came, in whatever order. */
static void mix(uint64_t sum[2], const uint8_t *item)
{
	uint64_t v;

	memcpy(&v, item, sizeof(v));
	sum[0] ^= v;
	sum[1] += v;
}

static void sorted(struct spill *s, uint64_t n)
{
	size_t before = __sanitizer_get_current_allocated_bytes();
	uint64_t in[2] = { 0 }, out[2] = { 0 }, got = 0;
	uint8_t item[ITEM], last[ITEM] = { 0 };
	const uint8_t *p;
	bool bad = false;

	for (uint64_t i = 0; i < n; i++) {
		item_of(i, item);
		mix(in, item);
		assert_int_equal(spill_add(s, item), 0);
	}
	assert_true(__sanitizer_get_current_allocated_bytes() <= before +
	    LITTLE);
	assert_int_equal(spill_rewind(s), 0);
	for (; (p = spill_next(s, &bad)) != NULL; got++) {
		assert_true(memcmp(last, p, ITEM) <= 0);
		memcpy(last, p, ITEM);
		mix(out, p);
	}
	assert_false(bad);
	assert_int_equal(got, n);
	assert_memory_equal(in, out, sizeof(in));
	spill_clear(s);
	assert_true(__sanitizer_get_current_allocated_bytes() <= before +
	    LITTLE);
}

static void in_order(void **state)
{
	struct spill *s = spill_new(NULL, ITEM, ROOM);

	(void)state;
	sorted(s, 0);
	sorted(s, 1000);		/* all in memory */
	sorted(s, 5000);
	sorted(s, 700000);	/* 683 runs: merged twice */
	sorted(s, 5000);
	spill_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
