#include "tests/unit/book_case.h"

static void test_full(void **state)
{
	struct book_state bs;
	struct book *b = make(false, 1000, 1000, 1000, 10);
	uint32_t swarm = book_open(b);
	struct book_visit v;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_null(hear(b, swarm, at(i, 1), 0));
	assert_true(book_next(b, 0, &v));	/* the one heard of first */
	assert_int_equal(v.at.addr[3], 0);
	/* The oldest that was never tried makes room. */
	for (uint32_t i = 10; i < 40; i++)
		assert_null(hear(b, swarm, at(i, 1), 0));
	assert_int_equal(heard(b), 10);
	for (int i = 0; i < 9; i++) {
		assert_true(book_next(b, S, &v));
		assert_true(v.at.addr[3] >= 31);
	}
	assert_string_equal(hear(b, swarm, at(99, 1), 0), "the book is full");
	/* None of it unsaid. */
	book_state(b, &bs);
	assert_int_equal(bs.forgotten, 30);
	assert_int_equal(bs.refused, 1);
	book_free(b);
}

/* All that may be dialled from now on, a million a second, met if their last byte is below met. */
static unsigned visit(struct book *b, int64_t now, uint8_t met)
{
	struct book_visit v;
	unsigned n = 0;

	for (; book_next(b, now, &v); n++, now += 1000) {
		book_reached(b, v.id);
		book_done(b, v.id, v.at.addr[3] < met ? BOOK_MET : BOOK_FAILED,
		    now);
	}
	return n;
}

/* Who was visited gives way to who is new: first who was no peer, then half of
 * the peers; nobody whom that would have dialled twice in a minute. */
static void test_full_of_visited(void **state)
{
	struct book *b = make(false, 1000000, 1000, 1000, 10);
	uint32_t swarm = book_open(b);
	struct book_state bs;
	struct book_visit v;
	unsigned old = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_null(hear(b, swarm, at(i, 1), 0));
	assert_int_equal(visit(b, 0, 6), 10);
	assert_string_equal(hear(b, swarm, at(100, 1), 59 * S),
	    "the book is full");
	for (uint32_t i = 100; i < 104; i++)
		assert_null(hear(b, swarm, at(i, 1), 61 * S));
	assert_int_equal(visit(b, 61 * S, 0), 4);	/* no other was due */
	/* These came to nothing within the minute: who was met goes. */
	for (uint32_t i = 200; i < 240; i++)
		assert_null(hear(b, swarm, at(i, 1), 62 * S));
	book_state(b, &bs);
	assert_int_equal(bs.heard, 10);
	assert_int_equal(bs.forgotten, 44);
	assert_int_equal(bs.refused, 1);
	for (int64_t now = 1000 * S; book_next(b, now, &v); now += 1000)
		old += v.at.addr[3] < 6;
	assert_int_equal(old, 0);	/* all six made room */
	book_free(b);
}

/* A swarm that is new has its place beside one that fills the book. */
static void test_full_of_another(void **state)
{
	struct book_conf conf = { .half_open = 1000,
		.dial_rate = 1000000, .connections = 1000, .in_all = 100, .addresses = 100,
		.key = "sixteen bytes..", .memory = memory };
	struct book *b = book_new(&conf);
	uint32_t large = book_open(b), small = book_open(b);
	struct endpoint caller = at(500, 1);
	struct book_state bs;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_null(hear(b, large, at(i, 1), 0));
	assert_int_equal(visit(b, 0, 255), 100);
	assert_string_equal(book_accept(b, &caller, false, 30 * S),
	    "too many addresses");
	for (uint32_t i = 0; i < 200; i++)
		assert_null(hear(b, small, at(1000 + i, 1), 61 * S));
	assert_int_equal(heard(b), 100);
	assert_null(book_accept(b, &caller, false, 61 * S));
	/* Its 200 names took half. */
	assert_in_range(visit(b, 61 * S, 255), 49, 51);
	book_left(b, &caller);
	book_state(b, &bs);
	assert_int_equal(bs.forgotten, 201);
	book_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_of_visited),
		cmocka_unit_test(test_full_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
