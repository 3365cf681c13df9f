#include "tests/unit/book_case.h"

static struct endpoint at6(uint32_t net, uint32_t host)
{
	struct endpoint e = { .port = 6881, .family = 6, .addr = { 0x2a, 1 } };

	put_u32(e.addr + 4, net);
	put_u32(e.addr + 12, host);
	return e;
}

/* Somebody names a hundred thousand addresses of one /64, or ports of two
 * addresses: each gets a dial in five seconds, or in a minute. Who is honest
 * and named behind them all is dialled within seconds, at any time. The loop's
 * beat is monitor/crowd's. */
static void check_named_often(bool network)
{
	enum { HONEST = 7777 };
	struct book *b = make(false, 1000, 100, 1000, 0);
	int64_t last[3] = { -DAY, -DAY, -DAY }, gap = network ? 5 * S : 60 * S,
	    now, named = 0;
	uint32_t swarm = book_open(b), said = 0, met = 0, dials = 0;
	struct book_visit v;

	for (uint32_t i = 0; i < 99000; i++)
		assert_null(hear(b, swarm, network ? at6(1, i) :
		    at(1 + i / 65000, (uint16_t)(1 + i % 65000)), 0));
	for (now = 0; now < 1200 * S; now += S / 20) {
		if (now % (7 * S) == 0 && said == met) {
			assert_null(hear(b, swarm, at(1000 + said++, HONEST),
			    now));
			named = now;
		}
		assert_true(said == met || now - named < 4 * S);
		while (book_next(b, now, &v)) {
			int who = network ? 0 : v.at.addr[3];

			if (v.at.addr[2] != 0 && v.at.family == 4) {
				book_done(b, v.id, BOOK_SELF, now);
				met++;
				continue;
			}
			book_done(b, v.id, BOOK_FAILED, now);
			assert_true(now - last[who] >= gap);
			last[who] = now;
			dials++;
		}
	}
	assert_in_range(met, 1200 / 7, 1200 / 7 + 1);
	if (network)		/* none of its turns is left out */
		assert_in_range(dials, 1200 / 5 - 10, 1200 / 5);
	else			/* eight ports of each, and those again */
		assert_in_range(dials, 2 * 8, 2 * 1200 / 60);
	book_free(b);
}

static void test_network(void **state)
{
	(void)state;
	check_named_often(true);
}

static void test_ports(void **state)
{
	(void)state;
	check_named_often(false);
}

/* Whoever spoke to us is dialled at its own pace, whatever its network; of
 * another network, and of local addresses, nobody waits. */
static void test_neighbours(void **state)
{
	struct book *b = make(true, 1000, 100, 1000, 0);
	uint32_t swarm = book_open(b);
	struct endpoint e, spoke = at6(1, 30);
	struct book_visit v;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		hear(b, swarm, at6(1, i), 0);
	assert_true(book_next(b, 0, &v));
	assert_false(book_next(b, 0, &v));
	assert_null(book_accept(b, &spoke, false, S));
	book_spoke(b, &spoke, S);
	hear(b, swarm, spoke, S);
	assert_true(book_next(b, S, &v));
	assert_int_equal(endpoint_cmp(&v.at, &spoke), 0);
	assert_false(book_next(b, S, &v));
	hear(b, swarm, at6(2, 0), S);
	assert_true(book_next(b, S, &v));
	for (uint32_t i = 0; i < 10; i++) {
		e = at6(1, i);
		e.addr[0] = 0xfd;
		hear(b, swarm, e, S);
	}
	for (uint32_t i = 0; i < 10; i++)
		assert_true(book_next(b, S, &v));
	assert_false(book_next(b, S, &v));
	assert_false(book_next(b, 5 * S - 1, &v));
	assert_true(book_next(b, 5 * S, &v));
	book_free(b);
}

/* Of one /64, so many callers at a time; who leaves makes room. */
static void test_callers(void **state)
{
	struct book *b = make(false, 1000, 100, 1000, 0);
	struct endpoint e;

	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		e = at6(1, i);
		assert_null(book_accept(b, &e, false, 0));
	}
	e = at6(1, 32);
	assert_non_null(book_accept(b, &e, false, 0));
	e = at6(2, 32);
	assert_null(book_accept(b, &e, false, 0));
	e = at6(1, 5);
	book_left(b, &e);
	e = at6(1, 32);
	assert_null(book_accept(b, &e, false, 0));
	book_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
