/*
 * Several digests at once are those of libcrypto, one by one: whatever the
 * lengths and however many, of bytes with a page that cannot be read on either
 * side of them; and whoever gathers gets those of its own message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "schema/gather.h"

#define PAGE 4096u
#define MOST (GATHER_EACH + 64 * PAGE)

static uint32_t seed = 7;

static uint32_t next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* Room of n bytes between two such pages, against the one behind or before. */
static uint8_t *fenced(size_t n, bool behind, uint8_t **map, size_t *mapped)
{
	size_t room = (n + PAGE - 1) / PAGE * PAGE;
	uint8_t *p = mmap(NULL, room + 2 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p, PAGE, PROT_NONE), 0);
	assert_int_equal(mprotect(p + PAGE + room, PAGE, PROT_NONE), 0);
	*map = p;
	*mapped = room + 2 * PAGE;
	p += PAGE + (behind ? room - n : 0);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next();
	return p;
}

static void check(const struct lanes_one *l, const uint8_t *p, size_t n)
{
	uint8_t want[32];

	assert_memory_equal(SHA256(p, n, want), l->sha256, 32);
	if (l->v1)
		assert_memory_equal(SHA1(p, n, want), l->sha1, 20);
}

static void some(struct lanes *l, unsigned n, size_t most)
{
	struct lanes_one lane[LANES];
	uint8_t *map[LANES];
	size_t mapped[LANES];

	for (unsigned i = 0; i < n; i++) {
		size_t bytes = 1 + next() % most;

		lane[i] = (struct lanes_one){ .v1 = next() % 4 != 0,
			.bytes = span_of(fenced(bytes, next() % 2, &map[i],
			    &mapped[i]), bytes) };
	}
	lanes_take(l, lane, n);
	for (unsigned i = 0; i < n; i++) {
		check(&lane[i], lane[i].bytes.p, lane[i].bytes.n);
		munmap(map[i], mapped[i]);
	}
}

static void together(void **state)
{
	struct lanes *l = *state;

	for (unsigned n = 1; n <= LANES; n++) {
		for (unsigned most = 1; most <= 300; most += 13)
			some(l, n, most);
		some(l, n, 70000);
		some(l, n, 200000);
	}
	some(l, LANES, MOST);
}

static int with_lanes(void **state)
{
	*state = lanes_new();
	if (!*state)
		print_message("this processor has no lanes: libcrypto's "
		    "digests alone are tested\n");
	return 0;
}

static int end_lanes(void **state)
{
	lanes_free(*state);
	return 0;
}

static void without(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= LANES; n++)
		some(NULL, n, 5000);
}

/* --- gathering -------------------------------------------------------------------- */

#define MANY 200u

struct one {
	struct gathered m;
	uint8_t *copy;
	size_t n;
	bool v1;
};

static void fill(struct one *o)
{
	o->copy = malloc(o->n);
	assert_non_null(o->copy);
	for (size_t i = 0; i < o->n; i++)
		o->copy[i] = o->m.bytes[i] = (uint8_t)next();
	o->v1 = next() % 8 != 0;
	gathered_give(&o->m, o->v1);
}

/* Some are given up half-way; some wait at once, some at the end. */
static void gathered(void **state)
{
	struct gather *g = gather_new(GATHER_NS, NULL, NULL);
	struct one *all = calloc(MANY, sizeof(*all));
	struct gathered no;

	(void)state;
	assert_non_null(all);
	assert_false(gathered_begin(&no, NULL, 1));
	gathered_end(&no);
	for (unsigned i = 0; g && i < MANY; i++) {
		struct one *o = &all[i];

		o->n = 1 + next() % (i % 5 == 0 ? GATHER_EACH : 50000);
		assert_true(gathered_begin(&o->m, g, o->n));
		assert_false(gathered_done(&o->m));
		if (i % 7 == 3)
			gathered_end(&o->m);
		else
			fill(o);
		if (o->copy && i % 11 == 0)
			gathered_wait(&o->m);
	}
	for (unsigned i = 0; g && i < MANY; i++) {
		if (!all[i].copy)
			continue;
		gathered_wait(&all[i].m);
		assert_true(gathered_done(&all[i].m));
		assert_null(all[i].m.bytes);
		check(&all[i].m.lane, all[i].copy, all[i].n);
		assert_int_equal(all[i].m.lane.v1, all[i].v1);
		gathered_end(&all[i].m);
		free(all[i].copy);
	}
	gather_free(g);
	free(all);
}

/* Messages that nobody completes take no more than the bound. */
static void bounded(void **state)
{
	struct gather *g = gather_new(GATHER_NS, NULL, NULL);
	struct gathered m[2 + GATHER_MEMORY / GATHER_EACH], more;
	unsigned n = 0;

	(void)state;
	assert_false(gathered_begin(&more, g, GATHER_EACH + 1));
	while (g && gathered_begin(&m[n], g, GATHER_EACH))
		n++;
	assert_int_equal(n, g ? GATHER_MEMORY / GATHER_EACH : 0);
	while (n > 0)
		gathered_end(&m[--n]);
	assert_int_equal(gathered_begin(&more, g, GATHER_EACH), g != NULL);
	gathered_end(&more);
	gather_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(together, with_lanes,
		    end_lanes),
		cmocka_unit_test(without),
		cmocka_unit_test(gathered),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
