#include "wire/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/exact.h"

static struct lookup l;
static uint8_t target[20];

static uint32_t chance;

static uint32_t roll(void)
{
	chance = chance * 1664525 + 1013904223;
	return chance >> 8;
}

static void roll_bytes(uint8_t *p, size_t n)
{
	while (n--)
		*p++ = (uint8_t)roll();
}

/* --- by hand --------------------------------------------------------------- */

static struct endpoint at(const char *text)
{
	struct endpoint e = { 0 };

	assert_true(endpoint_parse(span_str(text), &e));
	return e;
}

/* The id that differs from the target in one bit, the nearer the larger. */
static const uint8_t *off(unsigned bit)
{
	static uint8_t id[20];

	memcpy(id, target, 20);
	id[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
	return id;
}

static bool give(const uint8_t *id, const char *text)
{
	struct endpoint e = at(text);

	return lookup_add(&l, id, &e);
}

static void put_node(uint8_t *p, const uint8_t *id, const struct endpoint *e)
{
	memcpy(p, id, 20);
	memcpy(p + 20, e->addr, 4);
	put_u16(p + 24, e->port);
}

static enum lookup_step next(int64_t now, unsigned *slot)
{
	int64_t wake;

	return lookup_next(&l, now, slot, &wake);
}

static bool reply(unsigned slot, const uint8_t *id, struct span nodes,
    unsigned *fresh)
{
	struct krpc_msg m = { .type = KRPC_REPLY, .nodes = nodes };

	memcpy(m.id, id, 20);
	return lookup_answered(&l, slot, &m, fresh);
}

static void whom_to_take(void **state)
{
	static const struct {
		const char *at;
		bool local, taken;
	} cases[] = {
		{ "198.51.100.1:6881", false, false },	/* documentation */
		{ "8.8.8.8:6881", false, true },
		{ "8.8.8.8:0", false, false },
		{ "8.8.8.8:0", true, false },
		{ "10.0.0.1:1", false, false },
		{ "10.0.0.1:1", true, true },
		{ "127.0.0.1:1", false, false },
		{ "127.0.0.1:1", true, true },
		{ "224.0.0.1:1", true, false },
		{ "255.255.255.255:1", true, false },
		{ "0.0.0.0:1", true, false },
		{ "[2600::1]:1", true, false }		/* other family */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		lookup_init(&l, target, 4, cases[i].local);
		if (give(off(1), cases[i].at) != cases[i].taken)
			fail_msg("%s", cases[i].at);
		assert_int_equal(l.n, cases[i].taken);
	}
}

static void nothing_to_ask(void **state)
{
	unsigned slot;

	(void)state;
	lookup_init(&l, target, 4, true);
	assert_int_equal(next(0, &slot), LOOKUP_DONE);
	assert_null(lookup_nearest(&l, 0));
	assert_false(l.exhausted);
}

/* Three at a time; a slow one lets another go beside it; then it is silent. */
static void pace(void **state)
{
	unsigned slot, fresh;
	int64_t wake;

	(void)state;
	lookup_init(&l, target, 4, true);
	for (unsigned i = 0; i < 6; i++) {
		char text[24];

		snprintf(text, sizeof(text), "10.0.0.1:%u", 100 + i);
		assert_true(give(off(10 + i), text));
	}
	/* nearest first: 105, 104, 103 */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(lookup_next(&l, 0, &slot, &wake), LOOKUP_ASK);
		assert_int_equal(l.node[slot].at.port, 105 - i);
	}
	assert_int_equal(lookup_next(&l, 0, &slot, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, LOOKUP_SLOW_MS);
	assert_int_equal(lookup_next(&l, 1499, &slot, &wake), LOOKUP_WAIT);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(lookup_next(&l, 1500, &slot, &wake),
		    LOOKUP_ASK);
	assert_int_equal(lookup_next(&l, 1500, &slot, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, 1500 + LOOKUP_SLOW_MS);
	assert_int_equal(lookup_next(&l, 4000, &slot, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, LOOKUP_WAIT_MS);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(lookup_next(&l, 8000, &slot, &wake),
		    LOOKUP_SILENT);
		assert_int_equal(l.node[slot].state, LOOKUP_LOST);
	}
	/* Late is better than never, but once. */
	uint8_t id[20];
	memcpy(id, l.node[slot].id, 20);
	assert_true(reply(slot, id, span_of(NULL, 0), &fresh));
	assert_false(reply(slot, id, span_of(NULL, 0), &fresh));
	assert_false(lookup_failed(&l, slot));
	assert_ptr_equal(lookup_nearest(&l, 0), &l.node[slot]);
	assert_null(lookup_nearest(&l, 1));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(lookup_next(&l, 9500, &slot, &wake),
		    LOOKUP_SILENT);
	assert_int_equal(lookup_next(&l, 9500, &slot, &wake), LOOKUP_DONE);
	assert_int_equal(l.asked, 6);
	assert_int_equal(l.answered, 1);
}

static void answers_nobody_owes(void **state)
{
	struct krpc_msg m = { .type = KRPC_ERROR };
	unsigned slot, fresh;

	(void)state;
	lookup_init(&l, target, 4, true);
	assert_true(give(off(1), "10.0.0.1:1"));
	assert_false(reply(0, off(1), span_of(NULL, 0), &fresh));
	assert_false(reply(1, off(1), span_of(NULL, 0), &fresh));
	assert_false(reply(LOOKUP_NODES, off(1), span_of(NULL, 0), &fresh));
	assert_false(lookup_failed(&l, 0));
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_false(lookup_answered(&l, slot, &m, &fresh));
	assert_true(lookup_failed(&l, slot));
	assert_int_equal(next(0, &slot), LOOKUP_DONE);
}

/* Ids are what their holders answer with. */
static void renamed(void **state)
{
	unsigned slot, fresh;

	(void)state;
	lookup_init(&l, target, 4, true);
	assert_true(give(NULL, "10.0.0.9:9"));	/* bootstrap: no id */
	assert_true(give(off(50), "10.0.0.1:1"));
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_int_equal(slot, 1);
	assert_true(reply(slot, off(2), span_of(NULL, 0), &fresh));
	assert_true(l.node[1].renamed);
	assert_memory_equal(l.node[1].id, off(2), 20);
	assert_memory_equal(l.node[1].old_id, off(50), 20);
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_true(reply(slot, off(40), span_of(NULL, 0), &fresh));
	assert_false(l.node[0].renamed);
	assert_ptr_equal(lookup_nearest(&l, 0), &l.node[0]);
	assert_ptr_equal(lookup_nearest(&l, 1), &l.node[1]);
}

/* Nobody hides a node by naming it with a far id first. */
static void named_twice(void **state)
{
	(void)state;
	lookup_init(&l, target, 4, true);
	assert_true(give(off(0), "10.0.0.1:1"));
	assert_true(give(off(5), "10.0.0.2:1"));
	assert_int_equal(l.order[0], 1);
	assert_false(give(off(9), "10.0.0.1:1"));
	assert_int_equal(l.order[0], 0);
	assert_false(give(off(3), "10.0.0.1:1"));
	assert_false(give(NULL, "10.0.0.1:1"));
	assert_memory_equal(l.node[0].id, off(9), 20);
	assert_int_equal(l.n, 2);
}

static void one_address(void **state)
{
	unsigned slot, fresh;

	(void)state;
	lookup_init(&l, target, 4, false);
	for (unsigned i = 1; i <= 5; i++) {
		char text[24];

		snprintf(text, sizeof(text), "8.8.8.8:%u", i);
		assert_int_equal(give(off(i), text), i <= LOOKUP_PER_IP);
	}
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_int_equal(next(0, &slot), LOOKUP_WAIT);
	/* Silent: the address gets another try; answered: none. */
	assert_true(lookup_failed(&l, slot));
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_true(reply(slot, off(2), span_of(NULL, 0), &fresh));
	assert_int_equal(next(0, &slot), LOOKUP_DONE);
	assert_int_equal(l.asked, 2);
}

static void tokens_and_sources(void **state)
{
	uint8_t nodes[20 * 26], token[65] = "tok";
	struct krpc_msg m = { .type = KRPC_REPLY,
		.nodes = span_of(nodes, sizeof(nodes)) };
	static const size_t sizes[] = { 0, 3, 64, 65 };
	unsigned slot, fresh;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct endpoint e = endpoint_of(span_of((uint8_t[]){ 10, 1, 1,
		    (uint8_t)i }, 4), 7);

		put_node(nodes + 26 * i, off(i + 1), &e);
	}
	for (size_t i = 0; i < COUNT(sizes); i++) {
		lookup_init(&l, target, 4, true);
		assert_true(give(off(0), "10.0.0.1:1"));
		assert_int_equal(next(0, &slot), LOOKUP_ASK);
		m.token = span_of(token, sizes[i]);
		memcpy(m.id, off(0), 20);
		assert_true(lookup_answered(&l, slot, &m, &fresh));
		assert_int_equal(fresh, LOOKUP_NAMED_MAX);
		assert_int_equal(l.node[0].token_n, sizes[i] > 64 ? 0 :
		    sizes[i]);
		assert_int_equal(l.node[0].from, LOOKUP_GIVEN);
		for (unsigned k = 1; k < l.n; k++)
			assert_int_equal(l.node[k].from, 0);
	}
}

/* Room runs out: the farthest that was not asked makes way for nearer ones. */
static void crowded(void **state)
{
	unsigned slot, fresh;

	(void)state;
	lookup_init(&l, target, 4, true);
	assert_true(give(off(0), "10.9.9.9:9"));
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	for (unsigned i = 0; i < 600; i++) {
		uint8_t id[20];
		struct endpoint e = endpoint_of(span_of((uint8_t[]){ 10, 2,
		    (uint8_t)(i >> 8), (uint8_t)i }, 4), 7);

		memcpy(id, target, 20);
		put_u16(id + 1, (uint16_t)(1000 - i));
		lookup_add(&l, id, &e);
		assert_true(l.n <= LOOKUP_NODES);
		for (unsigned k = 1; k < l.n; k++)
			assert_true(nodeid_nearer(target,
			    l.node[l.order[k - 1]].id,
			    l.node[l.order[k]].id) <= 0);
	}
	assert_int_equal(l.n, LOOKUP_NODES);
	/* The asked one kept its slot. */
	assert_int_equal(l.node[slot].at.port, 9);
	assert_true(reply(slot, off(0), span_of(NULL, 0), &fresh));
	assert_int_equal(next(0, &slot), LOOKUP_ASK);
	assert_int_equal(l.node[slot].id[2], (1000 - 599) & 255);
}

/* --- a network ------------------------------------------------------------- */

#define NODES 1500u
#define LIARS 200u
#define DEPTH 24u

static struct member {
	uint8_t id[20];
	struct endpoint at;
	bool dead;
	unsigned known[DEPTH][8], n[DEPTH];
} member[NODES + LIARS];
static unsigned members;

/* Every node knows up to eight of each bucket, met in random order. */
static void make_network(unsigned dead_percent)
{
	chance = 7;
	memset(member, 0, sizeof(member));
	members = NODES;
	for (unsigned i = 0; i < NODES; i++) {
		uint8_t random[20], ip[4] = { 20, (uint8_t)(i >> 8),
			(uint8_t)i, (uint8_t)(roll() % 254 + 1) };

		roll_bytes(random, 20);
		member[i].at = endpoint_of(span_of(ip, 4), 6881);
		nodeid_make(member[i].id, &member[i].at, random);
		member[i].dead = roll() % 100 < dead_percent;
	}
	for (unsigned i = 0; i < NODES; i++)
		for (unsigned k = 1, j = i; k < NODES; k++) {
			j = (j + 701) % NODES;	/* 701 is prime to 1500 */
			unsigned b = nodeid_shared(member[i].id,
			    member[j].id);

			b = b < DEPTH ? b : DEPTH - 1;
			if (member[i].n[b] < 8)
				member[i].known[b][member[i].n[b]++] = j;
		}
}

/* Liars: ids all but equal to the target, each on an address of its own, that
 * name each other only. Half of the nodes are theirs and name them too. */
static void add_liars(void)
{
	for (unsigned i = 0; i < LIARS; i++) {
		struct member *m = &member[members++];
		uint8_t ip[4] = { 21, (uint8_t)(i >> 8), (uint8_t)i, 1 };

		m->at = endpoint_of(span_of(ip, 4), 6881);
		memcpy(m->id, target, 20);
		put_u16(m->id + 18, (uint16_t)i);
	}
}

static struct member *find(const struct endpoint *e)
{
	for (unsigned i = 0; i < members; i++)
		if (endpoint_cmp(&member[i].at, e) == 0)
			return &member[i];
	return NULL;
}

/* The eight nearest to the target that m knows. */
static size_t answer_of(const struct member *m, uint8_t out[16 * 26])
{
	unsigned best[16], n = 0;
	size_t index = (size_t)(m - member);

	if (index >= NODES || (members > NODES && index % 2)) {
		for (; n < 16; n++)
			best[n] = NODES + roll() % LIARS;
	} else {
		for (unsigned b = 0; b < DEPTH; b++)
			for (unsigned k = 0; k < m->n[b]; k++) {
				unsigned j = m->known[b][k], p = n < 8 ? n : 8;

				for (; p > 0 && nodeid_nearer(target,
				    member[j].id, member[best[p - 1]].id) < 0;
				    p--)
					best[p] = best[p - 1];
				best[p] = j;
				n += n < 8;
			}
	}
	for (unsigned i = 0; i < n; i++)
		put_node(out + 26 * i, member[best[i]].id,
		    &member[best[i]].at);
	return n;
}

/* Runs a lookup from three nodes to its end; how many queries it took. */
static unsigned run(int64_t *took_ms)
{
	struct { unsigned slot; int64_t due; bool dead; } air[LOOKUP_NODES];
	unsigned flying = 0, fresh, slot, from = roll() % 500 * 3;
	int64_t now = 0, wake;

	lookup_init(&l, target, 4, false);
	for (unsigned i = 0; i < 6; i++) {
		struct member *m = &member[(from + i) % NODES];

		lookup_add(&l, i < 3 ? m->id : NULL, &m->at);
	}
	for (;;) {
		enum lookup_step step = lookup_next(&l, now, &slot, &wake);

		if (step == LOOKUP_DONE)
			break;
		if (step == LOOKUP_ASK) {
			struct member *m = find(&l.node[slot].at);

			assert_non_null(m);
			if (!m->dead) {
				air[flying].slot = slot;
				air[flying++].due = now + 20 + roll() % 400;
			}
		} else if (step == LOOKUP_WAIT) {
			unsigned soon = flying;

			for (unsigned i = 0; i < flying; i++)
				if (air[i].due < wake) {
					wake = air[i].due;
					soon = i;
				}
			assert_true(soon < flying ? wake >= now : wake > now);
			now = wake;
			if (soon == flying)
				continue;
			uint8_t nodes[16 * 26];
			slot = air[soon].slot;
			air[soon] = air[--flying];
			struct member *m = find(&l.node[slot].at);
			size_t n = answer_of(m, nodes);
			assert_true(reply(slot, m->id, span_of(nodes, n * 26),
			    &fresh));
		}
	}
	*took_ms = now;
	return l.asked;
}

/* Of the honest and living, how many are nearer than m. */
static unsigned rank(const struct member *m)
{
	unsigned r = 0;

	for (unsigned i = 0; i < NODES; i++)
		r += !member[i].dead && nodeid_nearer(target, member[i].id,
		    m->id) < 0;
	return r;
}

static void reaches_the_nearest(void **state)
{
	(void)state;
	for (unsigned dead = 0; dead <= 20; dead += 20) {
		unsigned missed = 0, most = 0;

		make_network(dead);
		for (unsigned t = 0; t < 30; t++) {
			int64_t took;
			roll_bytes(target, 20);
			unsigned asked = run(&took);

			most = asked > most ? asked : most;
			assert_true(took < 60000);
			assert_false(l.exhausted);
			for (unsigned i = 0; i < LOOKUP_K; i++) {
				const struct lookup_node *n =
				    lookup_nearest(&l, i);

				assert_non_null(n);
				missed += rank(find(&n->at)) >= LOOKUP_K;
			}
		}
		/* Of 240. Nobody knows everybody. */
		assert_in_range(missed, 0, dead ? 12 : 0);
		assert_in_range(most, 8, 60);
	}
}

static void not_crowded_out(void **state)
{
	(void)state;
	make_network(0);
	for (unsigned t = 0; t < 20; t++) {
		unsigned honest = 0, liars = 0;
		int64_t took;

		members = NODES;
		roll_bytes(target, 20);
		add_liars();
		run(&took);
		assert_false(l.exhausted);
		for (unsigned i = 0; i < l.answered; i++) {
			const struct lookup_node *n = lookup_nearest(&l, i);

			if (!n->obeys)
				liars++;
			else if (rank(find(&n->at)) < 8)
				honest++;
		}
		assert_int_equal(honest, 8);
		assert_true(liars >= 8 && liars < 30);
	}
}

/* One that names endless new nodes, each nearer than the last. */
static void endless(void **state)
{
	unsigned slot, fresh, i = 0;
	enum lookup_step step;

	(void)state;
	memset(target, 0, 20);
	lookup_init(&l, target, 4, true);
	assert_true(give(off(0), "10.0.0.1:1"));
	while ((step = next(0, &slot)) == LOOKUP_ASK) {
		uint8_t nodes[26], id[20];
		struct endpoint e;

		i++;
		e = endpoint_of(span_of((uint8_t[]){ 10, 3, (uint8_t)(i >> 8),
		    (uint8_t)i }, 4), 7);
		memset(id, 0, 20);
		put_u16(id + 4, (uint16_t)(60000 - i));
		put_node(nodes, id, &e);
		assert_true(reply(slot, l.node[slot].id,
		    span_of(nodes, sizeof(nodes)), &fresh));
	}
	assert_int_equal(step, LOOKUP_DONE);
	assert_true(l.exhausted);
	assert_int_equal(l.asked, LOOKUP_QUERIES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whom_to_take),
		cmocka_unit_test(nothing_to_ask),
		cmocka_unit_test(pace),
		cmocka_unit_test(answers_nobody_owes),
		cmocka_unit_test(renamed),
		cmocka_unit_test(named_twice),
		cmocka_unit_test(one_address),
		cmocka_unit_test(tokens_and_sources),
		cmocka_unit_test(crowded),
		cmocka_unit_test(reaches_the_nearest),
		cmocka_unit_test(not_crowded_out),
		cmocka_unit_test(endless)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
