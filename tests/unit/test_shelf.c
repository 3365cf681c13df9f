#include "schema/shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LINE 3000
#define MOST (3 * (256u << 10))

struct thing {
	unsigned char *p;
	size_t n;
	struct shelf_block *block;
};

/* Things of all sizes in a line that grows and shrinks: each is whole when it
 * is given up, whatever was taken meanwhile. */
static void first_in_first_out(size_t block_bytes)
{
	static struct thing line[LINE];
	size_t in = 0, out = 0;
	uint32_t seed = 7;
	struct shelf s;

	shelf_init(&s, block_bytes);
	for (int turn = 0; turn < 60000; turn++) {
		struct thing *t;
		uint32_t x;

		seed = seed * 1664525u + 1013904223u;
		x = seed >> 8;
		if (out == in || (in - out < LINE && x % 2 == (turn / 4000 % 2 ?
		    0u : (x >> 4) % 3 == 0))) {
			t = &line[in % LINE];
			t->n = x / 64 % 500 == 0 ? 1 + x % MOST : 1 + x % 900;
			t->p = shelf_take(&s, t->n, &t->block);
			assert_non_null(t->p);
			assert_int_equal((uintptr_t)t->p % 16, 0);
			memset(t->p, (int)(in % 251), t->n);
			in++;
		} else {
			t = &line[out % LINE];
			for (size_t i = 0; i < t->n; i++)
				assert_int_equal(t->p[i], out % 251);
			shelf_give(&s, t->block);
			out++;
		}
		assert_true(s.spares <= 8);
	}
	assert_true(in > 10000);
	for (; out < in; out++)
		shelf_give(&s, line[out % LINE].block);
	shelf_fini(&s);
}

static void blocks(void **state)
{
	(void)state;
	first_in_first_out(256u << 10);
}

static void blocks_of_their_own(void **state)
{
	(void)state;
	first_in_first_out(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks),
		cmocka_unit_test(blocks_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
