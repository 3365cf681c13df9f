#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/json.h"
#include "schema/tile.h"

#define MOST 140

static struct hash leaves[MOST];

/* RFC 9162 section 2.1.1, as it stands there. */
static struct hash slow(const struct hash *d, size_t n)
{
	struct hash left, right;
	size_t k = 1;

	if (n == 0)
		return merkle_of(NULL, 0);
	if (n == 1)
		return d[0];
	while (k * 2 < n)
		k *= 2;
	left = slow(d, k);
	right = slow(d + k, n - k);
	return merkle_node(&left, &right);
}

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++)
		leaves[i] = merkle_leaf(&i, sizeof(i));
	return 0;
}

static bool same(const struct hash *a, const struct hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static int node(void *ctx, unsigned level, uint64_t n, struct hash *out)
{
	uint64_t size = *(uint64_t *)ctx, from = n << level;

	/* Only complete subtrees of the tree that was asked about. */
	assert_true(from + ((uint64_t)1 << level) <= size);
	*out = slow(leaves + from, (size_t)1 << level);
	return 0;
}

static int no_node(void *ctx, unsigned level, uint64_t n, struct hash *out)
{
	(void)ctx, (void)level, (void)n, (void)out;
	return -1;
}

/* The roots that Certificate Transparency's own tests give for these leaves. */
static void known_roots(void **state)
{
	static const struct {
		const char *leaf;
		size_t n;
		const char *root;
	} t[] = {
		{ "", 0, "6e340b9cffb37a989ca544e6bb780a2c"
		    "78901d3fb33738768511a30617afa01d" },
		{ "\0", 1, "fac54203e7cc696cf0dfcb42c92a1d9d"
		    "baf70ad9e621f4bd8d98662f00e3c125" },
		{ "\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264"
		    "db0fa9b51af5e0ba159158f329e06e77" },
		{ "\x20\x21", 2, "d37ee418976dd95753c1c73862b9398f"
		    "a2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3"
		    "bca12c9aefca1612bfce4c13a86264d4" },
		{ "\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f"
		    "98dfb16fbce75277b5232a127f2087ef" },
		{ "\x50\x51\x52\x53\x54\x55\x56\x57", 8,
		    "ddb89be403809e325750d3d263cd7892"
		    "9c2942b7942a34b77e122c9594a74c8c" },
		{ "\x60\x61\x62\x63\x64\x65\x66\x67"
		    "\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
		    "5dc9da79a70659a9ad559cb701ded9a2"
		    "ab9d823aad2f4960cfe370eff4604328" },
	};
	struct merkle m;
	struct hash h;
	char hex[65];

	(void)state;
	merkle_init(&m);
	h = merkle_root(&m);
	assert_string_equal(hex_of(h.b, 32, hex),
	    "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		h = merkle_leaf(t[i].leaf, t[i].n);
		merkle_add(&m, &h);
		h = merkle_root(&m);
		assert_string_equal(hex_of(h.b, 32, hex), t[i].root);
	}
}

static void grows_like_the_definition(void **state)
{
	struct merkle m;

	(void)state;
	merkle_init(&m);
	for (size_t n = 0; n <= MOST; n++) {
		struct hash want = slow(leaves, n), got = merkle_root(&m);
		struct hash whole = merkle_of(leaves, n);

		assert_true(same(&want, &got) && same(&want, &whole));
		if (n < MOST)
			merkle_add(&m, &leaves[n]);
	}
}

static void inclusion(void **state)
{
	struct hash path[64], root, other = leaves[MOST - 1];

	(void)state;
	for (uint64_t size = 1; size < 70; size++) {
		root = slow(leaves, size);
		for (uint64_t i = 0; i < size; i++) {
			int n = merkle_inclusion(node, &size, i, size, path,
			    64);
			size_t k = (size_t)n;

			assert_in_range(n, 0, 7);
			assert_true(merkle_check_inclusion(&leaves[i], i, size,
			    path, k, &root));
			assert_false(merkle_check_inclusion(&other, i, size,
			    path, k, &root));
			assert_false(merkle_check_inclusion(&leaves[i],
			    i ^ 1, size, path, k, &root) && size > 1);
			assert_false(merkle_check_inclusion(&leaves[i], i,
			    size, path, k + 1, &root));
			if (n == 0)
				continue;
			assert_false(merkle_check_inclusion(&leaves[i], i,
			    size, path, k - 1, &root));
			assert_int_equal(merkle_inclusion(node, &size, i,
			    size, path, k - 1), -1);
			path[(size_t)rand() % k].b[rand() % 32] ^= 1;
			assert_false(merkle_check_inclusion(&leaves[i], i,
			    size, path, k, &root));
			assert_int_equal(merkle_inclusion(no_node, NULL, i,
			    size, path, 64), -1);
		}
		assert_int_equal(merkle_inclusion(node, &size, size, size,
		    path, 64), -1);
		assert_false(merkle_check_inclusion(&leaves[0], size, size,
		    path, 0, &root));
	}
	assert_false(merkle_check_inclusion(&leaves[0], 0, 0, path, 0, &root));
}

/* --- tiles ----------------------------------------------------------------- */

struct kept {
	struct hash (*tile[2])[TILE];	/* levels 0 and 1 */
	uint64_t n[2];
};

static int keep(void *ctx, unsigned level, uint64_t n,
    const struct hash hashes[TILE])
{
	struct kept *k = ctx;

	assert_in_range(level, 0, 1);
	assert_int_equal(n, k->n[level]++);
	memcpy(k->tile[level][n], hashes, TILE * sizeof(hashes[0]));
	return 0;
}

/* At every size the tiles' root is the tree's, also after loading again. */
static void tiles(void **state)
{
	enum { SIZE = 65536 + 700 };
	struct tiles *t = malloc(sizeof(*t)), *again = malloc(sizeof(*again));
	struct kept k = { 0 };
	struct merkle m;

	(void)state;
	k.tile[0] = malloc((SIZE / TILE + 1) * sizeof(*k.tile[0]));
	k.tile[1] = malloc(2 * sizeof(*k.tile[1]));
	tile_init(t);
	merkle_init(&m);
	for (uint64_t i = 0; i < SIZE; i++) {
		struct hash leaf = merkle_leaf(&i, sizeof(i)), a, b;

		assert_int_equal(tile_add(t, &leaf, keep, &k), 0);
		merkle_add(&m, &leaf);
		if (i > 600 && i < 65000 && i % 251)
			continue;
		a = tile_root(t);
		b = merkle_root(&m);
		assert_true(same(&a, &b));
		assert_int_equal(tile_full(i + 1, 0), k.n[0]);
		assert_int_equal(tile_full(i + 1, 1), k.n[1]);

		tile_start(again, i + 1);
		for (unsigned e = 0; e < tile_missing(i + 1, 0); e++)
			tile_load(again, 0, &t->level[0].hash[e]);
		for (unsigned l = 1; l < 3; l++)
			for (unsigned e = 0; e < tile_missing(i + 1, l); e++) {
				a = merkle_of(k.tile[l - 1]
				    [tile_full(i + 1, l) * TILE + e], TILE);
				tile_load(again, l, &a);
			}
		a = tile_root(again);
		assert_true(same(&a, &b));
	}
	free(k.tile[0]);
	free(k.tile[1]);
	free(again);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_roots),
		cmocka_unit_test(grows_like_the_definition),
		cmocka_unit_test(inclusion),
		cmocka_unit_test(tiles),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
