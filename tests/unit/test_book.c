#include "tests/unit/book_case.h"

static void test_special(void **state)
{
	static const struct {
		const char *text;
		bool always, local;
	} cases[] = {
		{ "8.8.8.8:6881", true, true }, { "8.8.8.8:0", false, false },
		{ "127.0.0.1:6881", false, true },
		{ "10.1.2.3:6881", false, true },
		{ "198.51.100.2:6881", false, true },
		{ "224.0.0.1:6881", false, false },
		{ "255.255.255.255:1", false, false },
		{ "0.0.0.0:6881", false, false },
		{ "[::]:6881", false, false }, { "[::1]:6881", false, true },
		{ "[ff02::1]:6881", false, false },
		{ "[fd00::1]:6881", false, true },
		{ "[2a00:1450::1]:6881", true, true },
		{ "[64:ff9b::7f00:1]:6881", false, true },
	};
	struct endpoint e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(endpoint_parse(span_str(cases[i].text), &e));
		for (int local = 0; local < 2; local++) {
			struct book *b = make(local, 1, 1, 1, 0);
			const char *why = hear(b, book_open(b), e, 0);

			if ((why == NULL) != (local ? cases[i].local :
			    cases[i].always))
				fail_msg("%s, local %d: %s", cases[i].text,
				    local, why ? why : "taken");
			book_free(b);
		}
	}
}

/* One address: once a minute, 8 ports a day. */
static void test_gentle(void **state)
{
	struct book *b = make(false, 1000, 100, 1000, 0);
	uint32_t swarm = book_open(b);
	struct book_visit v;
	int64_t now = 0;
	int dials = 0;

	(void)state;
	for (uint16_t port = 1; port <= 20; port++)
		hear(b, swarm, at(1, port), 0);
	assert_int_equal(heard(b), 20);
	for (; now < DAY; now += S / 2) {
		if (!book_next(b, now, &v))
			continue;
		assert_int_equal(now, dials * 60 * S);
		dials++;
		/* They stay connected: nothing is dialled again. */
		book_reached(b, v.id);
	}
	assert_int_equal(dials, 8);
	for (; now < 2 * DAY; now += S)
		dials += book_next(b, now, &v);
	assert_int_equal(dials, 16);
	book_free(b);
}

/* A visit's next dial: a minute later, with what other swarms and ports of that
 * address want in between, until it speaks BitTorrent to us. */
static void test_again(void **state)
{
	struct book *b = make(false, 1000, 100, 1000, 0);
	uint32_t one = book_open(b), other = book_open(b);
	struct endpoint host = at(1, 1);
	struct book_visit v, w;
	int64_t now = 5 * S;

	(void)state;
	hear(b, one, at(1, 1), now);
	assert_true(book_next(b, now, &v));
	assert_int_equal(v.mark, 0);
	book_know(b, v.id, 8, 77);
	assert_false(book_again(b, v.id, now + 3 * S));
	book_done(b, v.id, BOOK_AGAIN, now + 3 * S);
	assert_false(book_next(b, now + 60 * S - 1, &v));
	now += 60 * S;
	assert_true(book_next(b, now, &v));
	assert_int_equal(v.mark, 77);
	assert_int_equal(v.known, 8);
	assert_int_equal(v.attempt, 1);		/* the same visit */
	book_reached(b, v.id);
	assert_false(book_again(b, v.id, now));	/* a connection is no word */
	hear(b, other, at(1, 2), now);
	book_done(b, v.id, BOOK_AGAIN, now + S);
	now += 60 * S;
	assert_true(book_next(b, now, &v));
	assert_false(book_next(b, now, &w));
	assert_true(book_next(b, now + 60 * S, &w));
	now += 60 * S;
	book_spoke(b, &host, now);
	assert_true(book_again(b, v.id, now));
	assert_true(book_again(b, w.id, now));	/* of an address all ports */
	book_done(b, v.id, BOOK_MET, now);
	book_done(b, w.id, BOOK_FAILED, now);
	assert_false(book_next(b, now + 60 * S - 1, &w));
	assert_true(book_next(b, now + 60 * S, &w));
	assert_int_equal(w.swarm, other);	/* the one that failed */
	assert_int_equal(w.attempt, 2);
	assert_int_equal(w.mark, 0);
	/* What was said yesterday is not known to hold. */
	assert_false(book_again(b, w.id, now + DAY));
	book_free(b);
}

static void test_backoff(void **state)
{
	static const int64_t waits[] = { 60, 120, 240, 480, 960, 1920, 3840,
	    7680, 15360, 30720, 61440, 86400, 86400 };
	struct book *b = make(false, 1000, 100, 1000, 0);
	uint32_t swarm = book_open(b);
	struct book_visit v;
	int64_t now = 5 * S;

	(void)state;
	hear(b, swarm, at(1, 1), now);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_true(book_next(b, now, &v));
		assert_int_equal(v.attempt, i + 1);
		book_done(b, v.id, BOOK_FAILED, now);
		/* Hearing of it again does not bring it forward. */
		hear(b, swarm, at(1, 1), now);
		now += waits[i] * S;
		assert_false(book_next(b, now - 1, &v));
	}
	/* A success forgives. */
	assert_true(book_next(b, now, &v));
	book_reached(b, v.id);
	book_done(b, v.id, BOOK_MET, now);
	assert_false(book_next(b, now + 900 * S - 1, &v));
	now += 900 * S;
	assert_true(book_next(b, now, &v));
	book_done(b, v.id, BOOK_FAILED, now);
	assert_true(book_next(b, now + 60 * S, &v));
	book_done(b, v.id, BOOK_SELF, now + 60 * S);
	assert_false(book_next(b, now + 1000 * DAY, &v));
	book_free(b);
}

static void test_rate(void **state)
{
	struct book *b = make(false, 5, 7, 10, 0);
	uint32_t swarm = book_open(b);
	struct book_visit v[64];
	struct book_state s;
	int64_t now = 0;
	int n = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		hear(b, swarm, at(i, 6881), 0);
	/* At most rate a second, whatever was saved up, and so many half-open
	 * and open. */
	for (; now < 10 * S; now += S / 100)
		n += book_next(b, now, &v[n]);
	assert_int_equal(n, 7);
	for (int i = 0; i < 7; i++)
		book_reached(b, v[i].id);
	now += 100 * S;
	while (book_next(b, now, &v[n]))
		n++;
	assert_int_equal(n, 10);
	book_state(b, &s);
	assert_int_equal(s.open, 7);
	assert_int_equal(s.half_open, 3);
	for (int i = 0; i < 7; i++)
		book_done(b, v[i].id, BOOK_MET, now);
	for (int i = 7; i < 10; i++)
		book_done(b, v[i].id, BOOK_FAILED, now);
	n = 0;
	now += 100 * S;
	while (book_next(b, now, &v[n]))
		n++;
	assert_int_equal(n, 5);
	book_free(b);
}

static void test_fair(void **state)
{
	struct book *b = make(false, 1000, 1000, 1000, 0);
	uint32_t many = book_open(b), few = book_open(b);
	struct book_visit v;

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		hear(b, many, at(i, 1), 0);
	for (uint32_t i = 500; i < 510; i++)
		hear(b, few, at(i, 1), 0);
	for (int i = 0; i < 20; i++) {
		assert_true(book_next(b, i * S, &v));
		assert_int_equal(v.swarm, i % 2 ? few : many);
	}
	book_free(b);
}

/* All swarms together keep so many: one more displaces the oldest of the
 * largest swarm that was never tried, or has no place. */
static void test_in_all(void **state)
{
	struct book_conf conf = { .half_open = 1000,
		.dial_rate = 1000000, .connections = 1000, .in_all = 100, .key = "sixteen bytes..",
		.memory = memory };
	struct book *b = book_new(&conf);
	uint32_t one, two, of_two = 0;
	struct book_visit v;

	(void)state;
	assert_non_null(b);
	one = book_open(b);
	two = book_open(b);
	for (uint32_t i = 0; i < 99; i++)
		assert_null(hear(b, one, at(i, 1), 0));
	assert_null(hear(b, two, at(200, 1), 0));
	assert_null(hear(b, two, at(201, 1), 0));
	assert_int_equal(heard(b), 100);
	for (int64_t now = 0; book_next(b, now, &v); now += 1000) {
		assert_true(v.swarm == two ? v.at.addr[3] >= 200 :
		    v.at.addr[3] > 0 && v.at.addr[3] < 99);
		of_two += v.swarm == two;
	}
	assert_int_equal(of_two, 2);
	assert_non_null(hear(b, two, at(202, 1), 0));
	assert_int_equal(heard(b), 100);
	book_free(b);
}

/* Of a thousand swarms, some closed and opened again, each is visited once
 * before any is twice. */
static void test_fair_to_many(void **state)
{
	enum { SWARMS_HERE = 1000 };
	struct book *b = make(false, 100000, 100000, 100000, 0);
	static uint32_t swarm[SWARMS_HERE], visits[SWARMS_HERE + 1];
	struct book_visit v;

	(void)state;
	for (uint32_t i = 0; i < SWARMS_HERE; i++) {
		swarm[i] = book_open(b);
		hear(b, swarm[i], at(i, 1), 0);
	}
	for (uint32_t i = 0; i < SWARMS_HERE; i += 3) {
		book_close(b, swarm[i]);
		swarm[i] = book_open(b);
	}
	for (uint32_t n = 0; n < 3; n++)
		for (uint32_t i = 0; i < SWARMS_HERE; i++)
			hear(b, swarm[i], at(5000 + 3 * i + n, 1), 0);
	for (uint32_t i = 0; i < 3 * SWARMS_HERE; i++) {
		assert_true(book_next(b, i * S / 1000, &v));
		assert_in_range(v.swarm, 0, SWARMS_HERE);
		visits[v.swarm]++;
		assert_in_range(visits[v.swarm], 1, 1 + i / SWARMS_HERE);
	}
	book_free(b);
}

/* Every place is taken: those never met get one if somebody gives way, those
 * met wait, and whose turn it was is lost by neither. */
static void test_crowded(void **state)
{
	struct book *b = make(false, 1000, 1000, 2, 0);
	uint32_t swarm = book_open(b);
	struct endpoint host = at(9, 1);
	struct book_visit v[3];
	int64_t now = S;

	(void)state;
	assert_false(book_next(b, 0, v));	/* the rate saves up from here */
	for (uint32_t i = 0; i < 4; i++)
		hear(b, swarm, at(i, 1), i);
	for (int i = 0; i < 2; i++) {
		assert_true(book_next(b, now, &v[i]));
		assert_false(v[i].crowded);
		book_reached(b, v[i].id);
	}
	assert_false(book_next(b, now, &v[2]));
	book_yield(b, true);
	assert_true(book_next(b, now, &v[2]));
	assert_true(v[2].crowded);
	/* The caller ends one, which was met, and dials. */
	book_done(b, v[0].id, BOOK_MET, now);
	book_done(b, v[2].id, BOOK_FAILED, now);
	assert_true(book_next(b, now, &v[2]));
	assert_false(v[2].crowded);
	book_reached(b, v[2].id);
	/* Due again: the one met before, and the one that failed. */
	now += 900 * S;
	assert_true(book_next(b, now, &v[0]));
	assert_int_equal(v[0].attempt, 2);
	assert_true(v[0].crowded);
	assert_int_equal(v[0].at.addr[3], 2);
	book_done(b, v[0].id, BOOK_OTHER, now);
	assert_false(book_next(b, now, &v[0]));
	book_yield(b, false);
	/* A place came free by itself. */
	book_done(b, v[1].id, BOOK_MET, now);
	assert_false(book_next(b, now + 10 * S - 1, &v[0]));
	assert_true(book_next(b, now + 10 * S, &v[0]));
	assert_int_equal(v[0].at.addr[3], 0);
	now += 10 * S;
	/* Callers: only who was never met is worth a place. */
	assert_string_equal(book_accept(b, &host, false, now),
	    "too many connections");
	assert_true(book_crowded(b, &host, now));
	book_done(b, v[2].id, BOOK_MET, now);
	assert_false(book_crowded(b, &host, now));
	assert_null(book_accept(b, &host, false, now));
	assert_false(book_crowded(b, &host, now));	/* half have called */
	book_left(b, &host);
	book_spoke(b, &host, now);
	hear(b, swarm, at(3, 2), now);
	assert_true(book_next(b, now + 60 * S, &v[1]));
	assert_false(book_crowded(b, &host, now));
	host = at(10, 1);
	assert_true(book_crowded(b, &host, now));
	book_free(b);
}

static void test_incoming(void **state)
{
	struct book *b = make(false, 1000, 1000, 20, 0);
	struct endpoint e = at(1, 1000);
	int64_t now = 0;
	int n = 0;

	(void)state;
	for (; n < 4; n++, e.port++)
		assert_null(book_accept(b, &e, false, now));
	assert_string_equal(book_accept(b, &e, false, now),
	    "too many connections of this address");
	for (n = 4; n < 12; n++) {
		book_left(b, &e);
		assert_null(book_accept(b, &e, false, now));
	}
	book_left(b, &e);
	assert_non_null(book_accept(b, &e, false, now + 59 * S));
	assert_null(book_accept(b, &e, false, now + 60 * S));
	/* Half of all places are for those we dial. */
	for (uint32_t i = 2; i < 8; i++) {
		e = at(i, 1);
		assert_null(book_accept(b, &e, false, now));
	}
	e = at(50, 1);
	assert_string_equal(book_accept(b, &e, false, now), "too many connections");
	book_free(b);
}

static void test_met(void **state)
{
	struct book *b = make(false, 1000, 1000, 20, 0);
	uint32_t swarm = book_open(b);
	struct endpoint e = at(1, 6881);
	struct book_visit v;

	(void)state;
	hear(b, swarm, e, 0);
	book_met(b, swarm, &e, 0);
	assert_false(book_next(b, 900 * S - 1, &v));
	assert_true(book_next(b, 900 * S, &v));
	e.port++;
	book_met(b, swarm, &e, 0);	/* never heard of: nothing */
	assert_int_equal(heard(b), 1);
	book_free(b);
}

/* A model without heaps or buckets, against random use. */
#define HOSTS 40
#define PORTS 3
#define SWARMS 3
struct model {
	bool known, held, reached;
	int64_t due;
	uint32_t id;
};

static void test_anything(void **state)
{
	static struct model m[SWARMS][HOSTS][PORTS];
	struct book *b = make(false, 1000, 1000, 1000, 0);
	uint32_t swarm[SWARMS], seed = 99;
	int64_t now = 0, dialled[HOSTS];
	struct book_visit v;
	int visits = 0;

	(void)state;
	memset(m, 0, sizeof(m));
	for (int i = 0; i < SWARMS; i++)
		swarm[i] = book_open(b);
	for (int i = 0; i < HOSTS; i++)
		dialled[i] = -100 * S;
	for (int turn = 0; turn < 60000; turn++) {
		seed = seed * 1664525u + 1013904223u;
		uint32_t x = seed >> 8, s = x % SWARMS, h = x / 4 % HOSTS,
		    p = x / 256 % PORTS;
		struct model *c = &m[s][h][p];

		now += x % 7 * S / 10;
		switch (x / 1024 % 8) {
		case 0:
		case 1:
			assert_null(hear(b, swarm[s], at(h, (uint16_t)(p + 1)),
			    now));
			if (!c->known)
				*c = (struct model){ .known = true,
					.due = now };
			break;
		case 2:
			if (!c->held)
				break;
			book_done(b, c->id, BOOK_MET, now);
			c->held = false;
			c->due = now + 900 * S;
			break;
		case 3:
			if (c->held && !c->reached)
				book_reached(b, c->id);
			c->reached = c->held;
			break;
		case 4:
			if (x / 8192 % 64 != 0)
				break;
			/* A swarm ends, its visits first or later. */
			for (int i = 0; i < HOSTS * PORTS; i++) {
				c = &m[s][i / PORTS][i % PORTS];
				if (c->held && i % 2)
					book_done(b, c->id, BOOK_MET, now);
				c->held = c->held && !(i % 2);
			}
			book_close(b, swarm[s]);
			for (int i = 0; i < HOSTS * PORTS; i++) {
				c = &m[s][i / PORTS][i % PORTS];
				if (c->held)
					book_done(b, c->id, BOOK_MET, now);
				*c = (struct model){ 0 };
			}
			swarm[s] = book_open(b);
			break;
		default:
			if (!book_next(b, now, &v))
				break;
			for (s = 0; swarm[s] != v.swarm; s++)
				continue;
			h = v.at.addr[3];
			c = &m[s][h][v.at.port - 1];
			assert_true(c->known && !c->held && c->due <= now);
			assert_true(now - dialled[h] >= 60 * S);
			dialled[h] = now;
			c->held = true;
			c->reached = false;
			c->id = v.id;
			visits++;
		}
	}
	assert_true(visits > 1000);
	book_free(b);
}

/* A magnet that proves private: of three waiting and two visited those that a
 * tracker named stay, whoever else named them too. */
static void test_private(void **state)
{
	struct book *b = make(false, 100, 10, 10, 0);
	uint32_t s = book_open(b), other = book_open(b);
	struct endpoint gossip = at(2, 1), both = at(3, 1), told = at(4, 1);
	struct book_visit v[2], w;
	int64_t now = 0;

	(void)state;
	assert_null(hear(b, s, at(1, 1), now));
	assert_null(book_hear(b, s, &gossip, BOOK_PEX, now));
	for (int i = 0; i < 2; i++, now += S)
		assert_true(book_next(b, now, &v[i]));
	assert_null(book_hear(b, s, &both, BOOK_DHT, now));
	assert_null(hear(b, s, both, now));
	assert_null(book_hear(b, s, &told, BOOK_LSD, now));
	assert_null(book_hear(b, other, &told, BOOK_LSD, now));
	book_only(b, s, BOOK_TRACKER);
	assert_int_equal(book_counts(b, v[0].id) + book_counts(b, v[1].id), 1);
	for (int i = 0; i < 2; i++)
		book_done(b, v[i].id, BOOK_FAILED, now);
	assert_string_equal(book_hear(b, s, &gossip, BOOK_PEX, now),
	    "its torrent is private");
	for (int n = 0; n < 3; now += S)
		if (book_next(b, now, &w)) {
			n++;
			assert_int_not_equal(endpoint_cmp(&w.at, &gossip), 0);
			assert_true(w.swarm == other ||
			    endpoint_cmp(&w.at, &told) != 0);
			book_done(b, w.id, BOOK_MET, now);
		}
	assert_int_equal(heard(b), 3);
	assert_null(hear(b, s, gossip, now));	/* now a tracker names it */
	assert_int_equal(heard(b), 4);
	book_free(b);
}

static void test_no_memory(void **state)
{
	struct book_conf conf = { .half_open = 1, .dial_rate = 1,
		.connections = 1, .memory = memory };

	(void)state;
	for (size_t least = 0; least < 24; least++) {
		struct book *b;
		uint32_t swarm;

		allocations = 0;
		allowed = least;
		b = book_new(&conf);
		swarm = b ? book_open(b) : BOOK_NONE;
		for (uint32_t i = 0; swarm != BOOK_NONE && i < 300; i++)
			hear(b, swarm, at(i, 1), 0);
		allowed = SIZE_MAX;
		if (swarm != BOOK_NONE)
			assert_null(hear(b, swarm, at(1000, 1), 0));
		book_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_gentle),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_fair_to_many),
		cmocka_unit_test(test_in_all),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_incoming),
		cmocka_unit_test(test_met),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
