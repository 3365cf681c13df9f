#include "wire/dhtnode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/exact.h"

static const uint8_t own[20] = { 0x55 };
static struct dht_table t;

static struct endpoint at(const char *text)
{
	struct endpoint e = { 0 };

	assert_true(endpoint_parse(span_str(text), &e));
	return e;
}

/* Endpoint i of a local network, where addresses may repeat. */
static struct endpoint local(unsigned i)
{
	return endpoint_of(span_of((uint8_t[]){ 10, 0, (uint8_t)(i >> 8),
	    (uint8_t)i }, 4), 6881);
}

/* Id that shares exactly bits with our own; tail sets it apart. */
static const uint8_t *sharing(unsigned bits, uint8_t tail)
{
	static uint8_t id[20];

	memcpy(id, own, 20);
	id[bits / 8] ^= (uint8_t)(0x80u >> bits % 8);
	id[19] = tail;
	return id;
}

static bool hear(unsigned bits, unsigned i, int64_t now)
{
	struct endpoint e = local(i);

	return dht_answered(&t, sharing(bits, (uint8_t)i), &e, now);
}

static void states(void **state)
{
	const struct dht_node *n;
	struct endpoint e = local(1);

	(void)state;
	dht_init(&t, own, 4);
	assert_true(hear(3, 1, 1000));
	assert_int_equal(dht_closest(&t, own, 1000, &n, 1), 1);
	assert_int_equal(dht_state(n, 1000 + 899), DHT_GOOD);
	assert_int_equal(dht_state(n, 1000 + 900), DHT_QUESTIONABLE);
	dht_failed(&t, &e);
	assert_int_equal(dht_state(n, 1001), DHT_QUESTIONABLE);
	dht_failed(&t, &e);
	assert_int_equal(dht_state(n, 1001), DHT_BAD);
	/* Nothing else is there: better than nothing. */
	assert_int_equal(dht_closest(&t, own, 1001, &n, 1), 1);
	assert_true(hear(3, 2, 1001));
	assert_int_equal(dht_closest(&t, own, 1001, &n, 1), 1);
	assert_int_equal(n->at.addr[3], 2);
	/* It answers again. */
	assert_true(hear(3, 1, 2000));
	assert_int_equal(dht_count(&t, 2000, NULL), 2);
	size_t good;
	dht_count(&t, 2000, &good);
	assert_int_equal(good, 1);
}

static void refused(void **state)
{
	struct endpoint six = at("[2001:db8::1]:1"), none = { 0 }, port0;
	struct endpoint e = local(1);

	(void)state;
	dht_init(&t, own, 4);
	port0 = local(1);
	port0.port = 0;
	assert_false(dht_answered(&t, sharing(1, 1), &six, 0));
	assert_false(dht_answered(&t, sharing(1, 1), &none, 0));
	assert_false(dht_answered(&t, sharing(1, 1), &port0, 0));
	assert_false(dht_answered(&t, own, &e, 0));	/* our own id */
	assert_int_equal(dht_count(&t, 0, NULL), 0);
}

static void full_bucket(void **state)
{
	struct endpoint e = local(3);

	(void)state;
	dht_init(&t, own, 4);
	for (unsigned i = 0; i < 8; i++)
		assert_true(hear(0, i, 0));
	assert_false(hear(0, 8, 0));
	assert_true(hear(1, 9, 0));		/* another bucket has room */
	dht_failed(&t, &e);
	assert_false(hear(0, 8, 0));		/* one failure is none */
	dht_failed(&t, &e);
	assert_true(hear(0, 8, 0));
	assert_false(hear(0, 10, 0));
	assert_int_equal(dht_count(&t, 0, NULL), 9);
}

/* A node whose id obeys BEP 42 displaces one whose does not. */
static void rule_preferred(void **state)
{
	struct endpoint good = at("198.51.100.77:1"), e;
	uint8_t id[20], random[20] = { 0 };

	(void)state;
	dht_init(&t, own, 4);
	nodeid_make(id, &good, random);
	unsigned bits = nodeid_shared(own, id);
	assert_true(bits < 20);
	for (unsigned i = 0; i < 8; i++) {
		e = endpoint_of(span_of((uint8_t[]){ 198, 51, 100,
		    (uint8_t)i }, 4), 1);
		assert_true(dht_answered(&t, sharing(bits, (uint8_t)(7 * i)),
		    &e, 0));
	}
	e = at("198.51.100.200:1");
	assert_false(dht_answered(&t, sharing(bits, 99), &e, 0));
	assert_true(dht_answered(&t, id, &good, 0));
	assert_int_equal(dht_count(&t, 0, NULL), 8);
}

static void one_per_address(void **state)
{
	struct endpoint a = at("198.51.100.1:1"), b = at("198.51.100.1:2");
	struct endpoint c = at("198.51.100.2:1");

	(void)state;
	dht_init(&t, own, 4);
	assert_true(dht_answered(&t, sharing(0, 1), &a, 0));
	assert_false(dht_answered(&t, sharing(1, 2), &b, 0));
	/* Nor may another take a living node's id. */
	assert_false(dht_answered(&t, sharing(0, 1), &c, 0));
	/* The first fell silent: the second takes its place. */
	assert_true(dht_answered(&t, sharing(1, 2), &b, 901));
	assert_int_equal(dht_count(&t, 901, NULL), 1);
	/* A node may change its id, and counts once. */
	assert_true(dht_answered(&t, sharing(2, 3), &b, 902));
	assert_int_equal(dht_count(&t, 902, NULL), 1);
	/* Local addresses may hold several. */
	a = at("10.0.0.1:1");
	b = at("10.0.0.1:2");
	assert_true(dht_answered(&t, sharing(3, 4), &a, 903));
	assert_true(dht_answered(&t, sharing(3, 5), &b, 903));
	assert_int_equal(dht_count(&t, 903, NULL), 3);
}

static void closest(void **state)
{
	const struct dht_node *got[20];
	uint8_t target[20];

	(void)state;
	dht_init(&t, own, 4);
	for (unsigned i = 0; i < 100; i++)
		hear(i % 40, i, 0);
	memcpy(target, sharing(5, 200), 20);
	for (size_t n = 0; n <= 20; n++) {
		assert_int_equal(dht_closest(&t, target, 0, got, n), n);
		for (size_t i = 1; i < n; i++)
			assert_true(nodeid_nearer(target, got[i - 1]->id,
			    got[i]->id) < 0);
	}
	/* Exactly twenty are as near as the twentieth. */
	size_t near = 0;
	for (unsigned k = 0; k < DHT_BUCKETS; k++)
		for (unsigned i = 0; i < t.bucket[k].n; i++)
			near += nodeid_nearer(target, t.bucket[k].node[i].id,
			    got[19]->id) <= 0;
	assert_int_equal(near, 20);
}

static void pings(void **state)
{
	const struct dht_node *n;

	(void)state;
	dht_init(&t, own, 4);
	hear(0, 1, 0);
	hear(0, 2, 100);
	assert_null(dht_stale(&t, 899));
	n = dht_stale(&t, 950);
	assert_non_null(n);
	assert_int_equal(n->at.addr[3], 1);
	assert_null(dht_stale(&t, 960));	/* asked a moment ago */
	n = dht_stale(&t, 1005);
	assert_int_equal(n->at.addr[3], 2);
	n = dht_stale(&t, 1010);
	assert_int_equal(n->at.addr[3], 1);
	hear(0, 1, 1011);
	assert_null(dht_stale(&t, 1012));
}

static void refreshes(void **state)
{
	uint8_t random[20], target[20];

	(void)state;
	dht_init(&t, own, 4);
	/* Empty: only the first bucket, half of all ids. */
	memset(random, 0xa7, 20);
	assert_true(dht_refresh(&t, 0, random, target));
	assert_int_equal(nodeid_shared(own, target), 0);
	assert_false(dht_refresh(&t, 0, random, target));
	for (unsigned bits = 1; bits < DHT_BUCKETS; bits++) {
		for (unsigned fill = 0; fill < 256; fill += 85) {
			dht_init(&t, own, 4);
			t.bucket[0].refreshed = true;
			hear(bits, 1, 0);
			memset(random, (int)fill, 20);
			assert_true(dht_refresh(&t, 0, random, target));
			assert_int_equal(nodeid_shared(own, target), bits);
			assert_int_equal(target[19], fill);
			assert_false(dht_refresh(&t, 899, random, target));
			assert_true(dht_refresh(&t, 900, random, target));
		}
	}
}

static void kept_and_loaded(void **state)
{
	static uint8_t saved[DHT_SAVE_MAX];
	struct endpoint e = local(4);
	static struct dht_table u;
	const struct dht_node *got[64];
	size_t n;

	(void)state;
	dht_init(&t, own, 4);
	for (unsigned i = 0; i < 20; i++)
		hear(i % 5, i, 0);
	dht_failed(&t, &e);
	dht_failed(&t, &e);
	n = dht_save(&t, 0, saved, sizeof(saved));
	assert_int_equal(n, 19 * 26);
	for (size_t room = 0; room < n; room++) {
		uint8_t *out = malloc(room ? room : 1);

		assert_int_equal(dht_save(&t, 0, out, room), room / 26 * 26);
		free(out);
	}
	for (size_t cut = 0; cut <= n; cut++) {
		struct span in = exact(saved, cut);

		dht_init(&u, sharing(9, 9), 4);		/* with another id */
		assert_int_equal(dht_load(&u, in), cut % 26 == 0);
		assert_true(dht_count(&u, 0, NULL) <= cut / 26);
		unexact(in);
	}
	n = dht_closest(&u, own, 5, got, COUNT(got));
	assert_true(n >= 8);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(dht_state(got[i], 5), DHT_QUESTIONABLE);
	/* What is loaded never displaces what was heard. */
	dht_init(&u, own, 4);
	e = local(5);
	assert_true(dht_answered(&u, sharing(7, 77), &e, 5));
	assert_true(dht_load(&u, span_of(saved, 19 * 26)));
	assert_int_equal(dht_closest(&u, sharing(7, 77), 5, got, 1), 1);
	assert_memory_equal(got[0]->id, sharing(7, 77), 20);
	assert_int_equal(dht_state(got[0], 5), DHT_GOOD);
}

static void six(void **state)
{
	uint8_t saved[100];
	struct endpoint e = at("[2001:db8::7]:9");
	const struct dht_node *n;

	(void)state;
	dht_init(&t, own, 6);
	assert_true(dht_answered(&t, sharing(2, 2), &e, 0));
	assert_int_equal(dht_save(&t, 0, saved, sizeof(saved)), 38);
	dht_init(&t, own, 6);
	assert_true(dht_load(&t, span_of(saved, 38)));
	assert_int_equal(dht_closest(&t, own, 0, &n, 1), 1);
	assert_int_equal(endpoint_cmp(&n->at, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(refused),
		cmocka_unit_test(full_bucket),
		cmocka_unit_test(rule_preferred),
		cmocka_unit_test(one_per_address),
		cmocka_unit_test(closest),
		cmocka_unit_test(pings),
		cmocka_unit_test(refreshes),
		cmocka_unit_test(kept_and_loaded),
		cmocka_unit_test(six)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
