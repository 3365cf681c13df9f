/*
 * The sparse tree against a plain one computed by the rule, level by level;
 * paths, nodes that stand for what was erased, subjects that share a place;
 * and the sorter beneath it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schema/leaves.h"
#include "schema/spill.h"

static struct sparse_empty empty;

static struct hash leaf(unsigned i)
{
	char text[16];

	return merkle_leaf(text, (size_t)snprintf(text, sizeof(text), "%u", i));
}

/* By the words of the format: at depth 64 the leaf, else H(03 | left | right).
 * Empty subtrees are equal, so they are made once. */
static struct hash plainly(const struct sparse_node *n, size_t count,
    unsigned depth)
{
	struct hash all[8];
	struct hash left, right;
	size_t k = 0;

	if (count == 0)
		return empty.at[64 - depth];
	if (depth == 64) {
		for (size_t i = 0; i < count; i++)
			all[i] = n[i].hash;
		return sparse_share(all, count);
	}
	if (count == 1 && n[0].depth == depth)
		return n[0].hash;
	while (k < count && (n[k].key >> (63 - depth) & 1) == 0)
		k++;
	left = plainly(n, k, depth + 1);
	right = plainly(n + k, count - k, depth + 1);
	return sparse_join(&left, &right);
}

static struct hash rooted(const struct sparse_node *n, size_t count)
{
	struct sparse s;

	sparse_init(&s, &empty);
	for (size_t i = 0; i < count; i++)
		assert_true(sparse_put(&s, &n[i]));
	return sparse_root(&s, 0);
}

#define K(x) UINT64_C(x)

static const struct {
	const char *what;
	size_t n;
	struct sparse_node node[6];	/* hashes are put in */
} cases[] = {
	{ "none", 0, { { 0 } } },
	{ "one on the left edge", 1, { { .key = 0, .depth = 64 } } },
	{ "one on the right edge", 1, { { .key = ~K(0), .depth = 64 } } },
	{ "both edges", 2, { { .key = 0, .depth = 64 },
	    { .key = ~K(0), .depth = 64 } } },
	{ "neighbours", 2, { { .key = 6, .depth = 64 },
	    { .key = 7, .depth = 64 } } },
	{ "63 bits alike across a carry", 3, { { .key = 6, .depth = 64 },
	    { .key = 7, .depth = 64 }, { .key = 8, .depth = 64 } } },
	{ "many", 6, { { .key = K(0x0123456789abcdef), .depth = 64 },
	    { .key = K(0x0123456789abcdf0), .depth = 64 },
	    { .key = K(0x4000000000000000), .depth = 64 },
	    { .key = K(0x7fffffffffffffff), .depth = 64 },
	    { .key = K(0x8000000000000000), .depth = 64 },
	    { .key = K(0xfedcba9876543210), .depth = 64 } } },
	{ "one place for three", 4, { { .key = 5, .depth = 64 },
	    { .key = 9, .depth = 64 }, { .key = 9, .depth = 64 },
	    { .key = 9, .depth = 64 } } },
	{ "one place, and a neighbour behind", 3, { { .key = 8, .depth = 64 },
	    { .key = 8, .depth = 64 }, { .key = 9, .depth = 64 } } },
	{ "a node above", 3, { { .key = K(0x1000000000000000), .depth = 12 },
	    { .key = K(0x1010000000000000), .depth = 64 },
	    { .key = K(0xffe0000000000000), .depth = 12 } } },
	{ "a node is all", 1, { { .key = 0, .depth = 0 } } },
};

static int by_hash(const void *a, const void *b)
{
	const struct sparse_node *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return memcmp(x->hash.b, y->hash.b, 32);
}

static size_t take(size_t i, struct sparse_node out[6])
{
	memcpy(out, cases[i].node, sizeof(cases[i].node));
	for (size_t k = 0; k < cases[i].n; k++)
		out[k].hash = leaf((unsigned)k);
	qsort(out, cases[i].n, sizeof(out[0]), by_hash);
	return cases[i].n;
}

static void roots(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sparse_node n[6];
		size_t count = take(i, n);
		struct hash got = rooted(n, count), want = plainly(n, count, 0);

		if (memcmp(&got, &want, sizeof(got)) != 0)
			fail_msg("%s: another root", cases[i].what);
	}
}

/* Of the empty tree, as any other program gets it. */
static void the_empty_root(void **state)
{
	struct hash h = { { 0 } };

	(void)state;
	for (int i = 0; i < 64; i++)
		h = sparse_join(&h, &h);
	assert_memory_equal(&h, &empty.at[64], sizeof(h));
}

static void paths(void **state)
{
	static const uint64_t absent[] = { 4, K(0x0123456789abcdee),
		K(0x8000000000000001), K(0xfffffffffffffffe) };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hash path[64], h, root, all[6];
		struct sparse_node n[6];
		size_t count = take(i, n);

		root = rooted(n, count);
		for (size_t k = 0; k < count; k++) {
			size_t same = 0;

			if (n[k].depth < 64) {
				assert_int_equal(sparse_path(&empty, n, count,
				    n[k].key, 0, path), -1);
				continue;
			}
			for (size_t m = 0; m < count; m++)
				if (n[m].key == n[k].key)
					all[same++] = n[m].hash;
			assert_int_equal(sparse_path(&empty, n, count, n[k].key,
			    0, path), 0);
			h = sparse_share(all, same);
			h = sparse_climb(&h, n[k].key, path);
			assert_memory_equal(&h, &root, sizeof(h));
		}
		for (size_t k = 0; k < 4 && cases[i].node[0].depth != 0; k++) {
			if (sparse_path(&empty, n, count, absent[k], 0, path) <
			    0)
				continue;
			h = sparse_climb(&empty.at[0], absent[k], path);
			assert_memory_equal(&h, &root, sizeof(h));
		}
	}
}

static void refusals(void **state)
{
	struct sparse_node a = { .key = K(0x1230000000000000), .depth = 12 };
	struct sparse_node in = { .key = K(0x1234000000000000), .depth = 64 };
	struct sparse_node before = { .key = 1, .depth = 64 };
	struct sparse s;

	(void)state;
	sparse_init(&s, &empty);
	assert_true(sparse_put(&s, &a));
	assert_false(sparse_put(&s, &in));	/* within */
	assert_false(sparse_put(&s, &before));
	assert_false(sparse_put(&s, &a));	/* nodes share nothing */
	sparse_init(&s, &empty);
	assert_true(sparse_put(&s, &in));
	assert_false(sparse_put(&s, &a));
}

static void numbers(void **state)
{
	struct sparse_node n = { 0 };

	(void)state;
	assert_int_equal(sparse_number(&n), 1);
	n = (struct sparse_node){ .key = K(0xc000000000000000), .depth = 2 };
	assert_int_equal(sparse_number(&n), 7);
	n = (struct sparse_node){ .key = ~K(0) << 2, .depth = 62 };
	assert_int_equal(sparse_number(&n), INT64_MAX);
	for (int64_t i = 1; i < 5000; i++) {
		assert_true(sparse_place(i, &n));
		assert_int_equal(sparse_number(&n), i);
	}
	assert_true(sparse_place(INT64_MAX, &n));
	assert_int_equal(n.depth, 62);
	assert_false(sparse_place(0, &n));
	assert_false(sparse_place(-5, &n));
}

/* More than memory holds, in any order, comes back in order. */
static void sorting(void **state)
{
	struct spill *s = spill_new("/tmp", 16, 0);
	const uint8_t *p;
	uint64_t x = 1, n = 0;
	uint8_t item[16], last[16];
	bool bad = false;

	(void)state;
	for (int i = 0; i < 1300000; i++) {	/* more runs than are kept */
		x = x * K(6364136223846793005) + 1;
		memset(item, 0, sizeof(item));
		memcpy(item, &x, sizeof(x));
		assert_int_equal(spill_add(s, item), 0);
	}
	for (int again = 0; again < 2; again++) {
		n = 0;
		assert_int_equal(spill_rewind(s), 0);
		while ((p = spill_next(s, &bad)) != NULL) {
			assert_true(n == 0 || memcmp(last, p, 16) < 0);
			memcpy(last, p, 16);
			n++;
		}
		assert_false(bad);
		assert_int_equal(n, 1300000);
	}
	spill_clear(s);
	assert_int_equal(spill_rewind(s), 0);
	assert_null(spill_next(s, &bad));
	spill_free(s);
}

static void sorted_leaves(void **state)
{
	struct leaves *l = leaves_new("/tmp");
	struct sparse_node n[6];
	struct hash got, want;
	size_t count = take(6, n);

	(void)state;
	for (size_t i = count; i-- > 0;)
		assert_int_equal(leaves_add(l, &n[i]), 0);
	assert_int_equal(leaves_root(l, NULL, NULL, &got), 0);
	want = rooted(n, count);
	assert_memory_equal(&got, &want, sizeof(got));
	leaves_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots),
		cmocka_unit_test(the_empty_root),
		cmocka_unit_test(paths),
		cmocka_unit_test(refusals),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sorting),
		cmocka_unit_test(sorted_leaves),
	};

	sparse_empty_init(&empty);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
