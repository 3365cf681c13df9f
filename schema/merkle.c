#include "schema/merkle.h"

#include <openssl/sha.h>

struct hash merkle_leaf(const void *line, size_t n)
{
	SHA256_CTX ctx;
	struct hash h;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, "\0", 1);
	SHA256_Update(&ctx, line, n);
	SHA256_Final(h.b, &ctx);
	return h;
}

struct hash merkle_node(const struct hash *left, const struct hash *right)
{
	SHA256_CTX ctx;
	struct hash h;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, "\1", 1);
	SHA256_Update(&ctx, left->b, sizeof(left->b));
	SHA256_Update(&ctx, right->b, sizeof(right->b));
	SHA256_Final(h.b, &ctx);
	return h;
}

/* --- a growing tree -------------------------------------------------------- */

void merkle_init(struct merkle *m)
{
	m->size = 0;
}

/* edge[k] is the root of a complete subtree of 2^k leaves where bit k of size
 * is set, and stale elsewhere: adding a leaf is adding one with carry. */
void merkle_add(struct merkle *m, const struct hash *leaf)
{
	struct hash h = *leaf;
	unsigned k = 0;

	for (; m->size >> k & 1; k++)
		h = merkle_node(&m->edge[k], &h);
	m->edge[k] = h;
	m->size++;
}

struct hash merkle_root(const struct merkle *m)
{
	struct hash h = { { 0 } };
	bool any = false;

	if (m->size == 0) {
		SHA256_CTX ctx;

		SHA256_Init(&ctx);
		SHA256_Final(h.b, &ctx);
		return h;
	}
	for (unsigned k = 0; k < 64; k++) {
		if ((m->size >> k & 1) == 0)
			continue;
		h = any ? merkle_node(&m->edge[k], &h) : m->edge[k];
		any = true;
	}
	return h;
}

struct hash merkle_of(const struct hash *leaf, size_t n)
{
	struct merkle m;

	merkle_init(&m);
	for (size_t i = 0; i < n; i++)
		merkle_add(&m, &leaf[i]);
	return merkle_root(&m);
}

/* --- proofs ---------------------------------------------------------------- */

/* Greatest k with 2^k <= n, n > 0. */
static unsigned floor_log2(uint64_t n)
{
	unsigned k = 0;

	while (n >>= 1)
		k++;
	return k;
}

/* Where a tree of n > 1 leaves splits: the greatest power of two below n. */
static uint64_t split(uint64_t n)
{
	return (uint64_t)1 << floor_log2(n - 1);
}

/* Root over leaves [from, to), a range that arises by splitting: from is a
 * multiple of the power of two at or above its length. */
static int range_root(merkle_node_fn *node, void *ctx, uint64_t from,
    uint64_t to, struct hash *out)
{
	struct hash part[64];
	unsigned n = 0;

	while (from < to) {
		unsigned level = floor_log2(to - from);

		if (node(ctx, level, from >> level, &part[n++]) < 0)
			return -1;
		from += (uint64_t)1 << level;
	}
	*out = part[--n];
	while (n--)
		*out = merkle_node(&part[n], out);
	return 0;
}

/* Proofs are found from the root down and given from the leaf up. */
static void turn(struct hash *path, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct hash h = path[i];

		path[i] = path[n - 1 - i];
		path[n - 1 - i] = h;
	}
}

/* RFC 9162 section 2.1.3.1. */
int merkle_inclusion(merkle_node_fn *node, void *ctx, uint64_t leaf,
    uint64_t size, struct hash *path, size_t room)
{
	uint64_t lo = 0, hi = size;
	size_t n = 0;

	if (leaf >= size)
		return -1;
	while (hi - lo > 1) {
		uint64_t mid = lo + split(hi - lo);
		bool right = leaf >= mid;

		if (n == room || range_root(node, ctx, right ? lo : mid,
		    right ? mid : hi, &path[n++]) < 0)
			return -1;
		if (right)
			lo = mid;
		else
			hi = mid;
	}
	turn(path, n);
	return (int)n;
}

static bool same(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* RFC 9162 section 2.1.3.2. */
bool merkle_check_inclusion(const struct hash *leaf, uint64_t index,
    uint64_t size, const struct hash *path, size_t n, const struct hash *root)
{
	uint64_t fn = index, sn = size - 1;
	struct hash r = *leaf;

	if (index >= size)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (sn == 0)
			return false;
		if ((fn & 1) || fn == sn) {
			r = merkle_node(&path[i], &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			r = merkle_node(&r, &path[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(&r, root);
}
