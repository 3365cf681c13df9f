#include "wire/metafetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/exact.h"

#define BLOCKS 8u
#define ROOM (BLOCKS * METADATA_BLOCK)
#define SIZE (2 * METADATA_BLOCK + 100)		/* three blocks */

static struct metafetch f;
static uint8_t truth[ROOM], *buf;
static struct metafetch_block *block;

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROOM; i++)
		truth[i] = (uint8_t)(i * 7 + i / 251);
	buf = malloc(ROOM);
	block = malloc(BLOCKS * sizeof(*block));	/* not zeroed */
	memset(block, 0xee, BLOCKS * sizeof(*block));
	metafetch_init(&f, buf, ROOM, block, BLOCKS);
	return buf && block ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(buf);
	free(block);
	return 0;
}

static unsigned join(int64_t size)
{
	const char *why;
	int slot = metafetch_join(&f, size, &why);

	assert_true(slot >= 0);
	assert_null(why);
	return (unsigned)slot;
}

static uint32_t ask(unsigned slot, int64_t now)
{
	uint32_t piece;

	return metafetch_next(&f, slot, now, &piece) ? piece : METAFETCH_NONE;
}

/* The slot's block as it should be, or with its first byte turned. */
static const char *give(unsigned slot, uint32_t piece, bool lie, int64_t now)
{
	uint8_t data[METADATA_BLOCK];
	size_t at = (size_t)piece * METADATA_BLOCK;
	uint32_t size = f.peer[slot].size;
	struct metadata_msg m = { .type = METADATA_DATA, .piece = piece,
		.total_size = size };

	m.data = span_of(data, size - at < METADATA_BLOCK ? size - at :
	    METADATA_BLOCK);
	memcpy(data, truth + at, m.data.n);
	data[0] ^= lie;
	return metafetch_data(&f, slot, &m, now);
}

static bool is_true(uint32_t size)
{
	struct span all = metafetch_whole(&f);

	return all.n == size && memcmp(all.p, truth, size) == 0;
}

static void sizes(void **state)
{
	static const struct {
		int64_t size;
		bool taken;
	} cases[] = {
		{ -1, false }, { 0, false }, { 1, true }, { ROOM, true },
		{ ROOM + 1, false }, { 2000000000, false },
		{ INT64_MAX, false }, { INT64_MIN, false }
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int slot = metafetch_join(&f, cases[i].size, &why);

		assert_int_equal(slot >= 0, cases[i].taken);
		assert_int_equal(why == NULL, cases[i].taken);
	}
	metafetch_init(&f, buf, 5000, block, BLOCKS);
	assert_int_equal(f.cap, 5000);
	metafetch_init(&f, buf, SIZE_MAX, block, 2);
	assert_int_equal(f.cap, 2 * METADATA_BLOCK);
	metafetch_init(&f, buf, ROOM, block, SIZE_MAX);
	assert_int_equal(f.cap, ROOM);
}

static void alone(void **state)
{
	unsigned a;

	(void)state;
	a = join(SIZE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(metafetch_whole(&f).n, 0);
		assert_int_equal(ask(a, 0), i);
		assert_int_equal(ask(a, 1), METAFETCH_NONE);
		assert_null(give(a, i, false, 2));
	}
	assert_int_equal(ask(a, 3), METAFETCH_NONE);
	assert_true(is_true(SIZE));
	metafetch_verdict(&f, true);
	assert_true(f.done);
	assert_int_equal(metafetch_whole(&f).n, 0);
	assert_int_equal(ask(a, 100000), METAFETCH_NONE);
	assert_int_equal(f.peer[a].gave, 3);
	assert_null(f.peer[a].lie);
}

static void shared(void **state)
{
	unsigned a = join(SIZE), b = join(SIZE), c = join(SIZE + 1);

	(void)state;
	assert_int_equal(ask(a, 0), 0);
	assert_int_equal(ask(b, 0), 1);
	assert_int_equal(ask(c, 0), METAFETCH_NONE);	/* another size */
	assert_null(give(b, 1, false, 1));
	assert_int_equal(ask(b, 1), 2);
	assert_null(give(b, 2, false, 2));
	assert_int_equal(ask(b, 2), METAFETCH_NONE);
	/* a is silent: b may have its block, and a's is still welcome. */
	assert_int_equal(ask(b, METAFETCH_WAIT_MS), 0);
	assert_int_equal(ask(a, METAFETCH_WAIT_MS), METAFETCH_NONE);
	assert_null(give(a, 0, false, METAFETCH_WAIT_MS + 1));
	assert_true(is_true(SIZE));
	assert_null(give(b, 0, true, METAFETCH_WAIT_MS + 2)); /* too late */
	assert_true(is_true(SIZE));
	metafetch_verdict(&f, true);
	assert_null(f.peer[a].lie);
	assert_null(f.peer[b].lie);
	assert_non_null(f.peer[c].lie);		/* its size was wrong */
}

static void silent_and_refusing(void **state)
{
	unsigned a = join(SIZE);
	int64_t now = 0;

	(void)state;
	assert_int_equal(ask(a, now), 0);
	now += METAFETCH_WAIT_MS;
	assert_int_equal(ask(a, now), METAFETCH_NONE);
	assert_int_equal(ask(a, now + METAFETCH_REST_MS - 1), METAFETCH_NONE);
	now += METAFETCH_REST_MS;
	assert_int_equal(ask(a, now), 0);
	metafetch_reject(&f, a, 1, now);		/* not asked */
	assert_int_equal(f.peer[a].asked, 0);
	metafetch_reject(&f, a, 0, now);
	assert_int_equal(ask(a, now), METAFETCH_NONE);
	metafetch_reject(&f, a, METAFETCH_NONE, now);
	now += METAFETCH_REST_MS;
	assert_int_equal(ask(a, now), 0);
}

static void not_taken(void **state)
{
	struct metadata_msg m = { .type = METADATA_DATA, .total_size = -1,
		.data = { truth, METADATA_BLOCK } };
	unsigned a = join(SIZE);

	(void)state;
	assert_non_null(metafetch_data(&f, a, &m, 0));	/* nothing asked */
	assert_int_equal(ask(a, 0), 0);
	m.piece = 1;
	assert_non_null(metafetch_data(&f, a, &m, 0));	/* another block */
	m.piece = 0;
	m.total_size = SIZE + 1;
	assert_non_null(metafetch_data(&f, a, &m, 0));
	assert_int_equal(ask(a, METAFETCH_REST_MS), 0);
	m.total_size = -1;
	m.data.n--;
	assert_non_null(metafetch_data(&f, a, &m, METAFETCH_REST_MS));
	assert_int_equal(ask(a, 2 * METAFETCH_REST_MS), 0);
	m.data.n++;
	assert_null(metafetch_data(&f, a, &m, 2 * METAFETCH_REST_MS));
	assert_int_equal(f.have, 1);
	assert_int_equal(f.peer[a].gave, 1);
}

/* One liar among three in the first attempt: one honest peer is enough, and
 * afterwards it is known who lied and who did not. */
static void a_liar_among_others(void **state)
{
	unsigned a = join(SIZE), liar = join(SIZE), b = join(SIZE);

	(void)state;
	assert_int_equal(ask(a, 0), 0);
	assert_int_equal(ask(liar, 0), 1);
	assert_int_equal(ask(b, 0), 2);
	assert_null(give(a, 0, false, 1));
	assert_null(give(liar, 1, true, 1));
	assert_null(give(b, 2, false, 1));
	assert_int_equal(metafetch_whole(&f).n, SIZE);
	metafetch_verdict(&f, false);
	assert_true(f.singly);
	assert_null(f.peer[liar].lie);		/* not yet proved */
	/* The liar is the first to be tried alone. */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ask(liar, 2), i);
		assert_int_equal(ask(a, 2), METAFETCH_NONE);
		assert_null(give(liar, i, i == 2, 2));
	}
	metafetch_verdict(&f, false);
	assert_non_null(f.peer[liar].lie);
	assert_int_equal(ask(liar, 3), METAFETCH_NONE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ask(b, 3), i);
		assert_int_equal(ask(a, 3), METAFETCH_NONE);
		assert_null(give(b, i, false, 3));
	}
	assert_true(is_true(SIZE));
	metafetch_verdict(&f, true);
	assert_null(f.peer[a].lie);
	assert_null(f.peer[b].lie);
	assert_int_equal(f.attempts, 3);
}

/* As above, but honesty is met first: the first attempt's blocks tell. */
static void proved_afterwards(void **state)
{
	unsigned a = join(SIZE), liar = join(SIZE);

	(void)state;
	assert_int_equal(ask(a, 0), 0);
	assert_int_equal(ask(liar, 0), 1);
	assert_null(give(a, 0, false, 1));
	assert_null(give(liar, 1, true, 1));
	assert_int_equal(ask(a, 1), 2);
	assert_null(give(a, 2, false, 1));
	metafetch_verdict(&f, false);
	metafetch_leave(&f, liar);
	assert_true(join(SIZE) != liar);	/* its slot stays */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ask(a, 2), i);
		assert_null(give(a, i, false, 2));
	}
	metafetch_verdict(&f, true);
	assert_null(f.peer[a].lie);
	assert_non_null(f.peer[liar].lie);
}

/* A peer with a size of its own that only stalls, or drips. */
static void a_wrong_size(void **state)
{
	unsigned liar = join(5 * METADATA_BLOCK), a = join(SIZE);
	int64_t now = 0, began;

	(void)state;
	assert_int_equal(ask(liar, now), 0);
	assert_int_equal(ask(a, now), METAFETCH_NONE);
	metafetch_reject(&f, liar, 0, now);
	assert_int_equal(ask(a, now), 0);		/* its turn */
	metafetch_leave(&f, a);
	assert_int_equal(ask(liar, METAFETCH_REST_MS), 0);
	began = now = METAFETCH_REST_MS;
	a = join(SIZE);
	for (uint32_t i = 0; ask(a, now) == METAFETCH_NONE; i++) {
		assert_true(now - began < METAFETCH_ATTEMPT_MS(5) + 20000);
		now += 9000;
		if (i < 4) {
			give(liar, i, false, now);
			ask(liar, now);
		}
	}
	assert_int_equal(f.total, SIZE);
}

static void slots(void **state)
{
	const char *why;
	unsigned a = join(SIZE);

	(void)state;
	for (unsigned i = 1; i < METAFETCH_PEERS; i++)
		join(SIZE);
	assert_int_equal(metafetch_join(&f, SIZE, &why), -1);
	assert_non_null(why);
	metafetch_leave(&f, 9);
	assert_int_equal(join(SIZE), 9);
	/* One that gave keeps its slot while that may count against it. */
	assert_int_equal(ask(a, 0), 0);
	assert_null(give(a, 0, false, 0));
	metafetch_leave(&f, a);
	assert_int_equal(metafetch_join(&f, SIZE, &why), -1);
	metafetch_verdict(&f, false);		/* nothing whole: no verdict */
	assert_int_equal(f.have, 1);
}

/* The last of the lone attempts may stall for ever: another takes over. */
static void lone_and_gone(void **state)
{
	unsigned a = join(SIZE), b = join(SIZE);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ask(i % 2 ? a : b, 0), i);
		assert_null(give(i % 2 ? a : b, i, true, 0));
	}
	metafetch_verdict(&f, false);
	assert_int_equal(ask(a, 1), 0);
	assert_null(give(a, 0, false, 1));
	assert_int_equal(ask(a, 1), 1);
	assert_int_equal(ask(b, 1), METAFETCH_NONE);
	metafetch_leave(&f, a);
	/* All of it from b: what a gave is not mixed in. */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ask(b, 2), i);
		assert_null(give(b, i, false, 2));
	}
	assert_true(is_true(SIZE));
	metafetch_verdict(&f, true);
	assert_non_null(f.peer[a].lie);
	assert_non_null(f.peer[b].lie);		/* it lied at first */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sizes), T(alone), T(shared), T(silent_and_refusing),
		T(not_taken), T(a_liar_among_others), T(proved_afterwards),
		T(a_wrong_size), T(slots), T(lone_and_gone)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
