#include "schema/sparse.h"

struct hash sparse_join(const struct hash *left, const struct hash *right)
{
	SHA256_CTX ctx;
	struct hash h;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, "\3", 1);
	SHA256_Update(&ctx, left->b, sizeof(left->b));
	SHA256_Update(&ctx, right->b, sizeof(right->b));
	SHA256_Final(h.b, &ctx);
	return h;
}

uint64_t sparse_key(const char *subject)
{
	uint8_t sum[32];
	uint64_t key = 0;

	SHA256((const uint8_t *)subject, strlen(subject), sum);
	for (int i = 0; i < 8; i++)
		key = key << 8 | sum[i];
	return key;
}

struct hash sparse_leaf(const uint8_t salt[SPARSE_SALT], const char *subject,
    const struct hash *seqs)
{
	SHA256_CTX ctx;
	struct hash h;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, "\2", 1);
	SHA256_Update(&ctx, salt, SPARSE_SALT);
	SHA256_Update(&ctx, subject, strlen(subject));
	SHA256_Update(&ctx, "\n", 1);
	SHA256_Update(&ctx, seqs->b, sizeof(seqs->b));
	SHA256_Final(h.b, &ctx);
	return h;
}

struct hash sparse_share(const struct hash *leaf, size_t n)
{
	SHA256_CTX ctx;
	struct hash h;

	if (n == 1)
		return *leaf;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, "\4", 1);
	for (size_t i = 0; i < n; i++)
		SHA256_Update(&ctx, leaf[i].b, sizeof(leaf[i].b));
	SHA256_Final(h.b, &ctx);
	return h;
}

/* --- places ---------------------------------------------------------------- */

int64_t sparse_number(const struct sparse_node *n)
{
	uint64_t prefix = n->depth ? n->key >> (SPARSE_DEPTH - n->depth) : 0;

	return (int64_t)((uint64_t)1 << n->depth | prefix);
}

bool sparse_place(int64_t number, struct sparse_node *n)
{
	uint64_t v = (uint64_t)number;

	if (number <= 0)
		return false;
	n->depth = 0;
	while (v >> n->depth > 1)
		n->depth++;
	n->key = n->depth ? v << (SPARSE_DEPTH - n->depth) : 0;
	return true;
}

/* Whether the step from depth d - 1 to d on the way to key goes right. */
static bool goes_right(uint64_t key, unsigned d)
{
	return key >> (SPARSE_DEPTH - d) & 1;
}

/* The depth at which two different keys part: they are in different children
 * of one node there. */
static unsigned parting(uint64_t a, uint64_t b)
{
	unsigned d = 1;

	while (goes_right(a, d) == goes_right(b, d))
		d++;
	return d;
}

void sparse_empty_init(struct sparse_empty *e)
{
	e->at[0] = (struct hash){ { 0 } };
	for (unsigned i = 0; i < SPARSE_DEPTH; i++)
		e->at[i + 1] = sparse_join(&e->at[i], &e->at[i]);
}

/* --- the root -------------------------------------------------------------- */

void sparse_init(struct sparse *s, const struct sparse_empty *e)
{
	s->empty = e;
	s->lefts = 0;
	s->any = s->sharing = false;
}

/* Up to depth to, with nothing beside it. */
static void lift(const struct sparse_empty *e, struct sparse_node *n,
    unsigned to)
{
	for (; n->depth > to; n->depth--) {
		const struct hash *none = &e->at[SPARSE_DEPTH - n->depth];

		n->hash = goes_right(n->key, n->depth) ?
		    sparse_join(none, &n->hash) : sparse_join(&n->hash, none);
	}
}

static void settle(struct sparse *s)
{
	if (s->sharing)
		SHA256_Final(s->now.hash.b, &s->shared);
	s->sharing = false;
}

/* All that waits below depth to becomes one node there. */
static void close_to(struct sparse *s, unsigned to)
{
	settle(s);
	while (s->lefts && s->left[s->lefts - 1].depth > to) {
		const struct sparse_node *l = &s->left[--s->lefts];

		lift(s->empty, &s->now, l->depth);
		s->now.hash = sparse_join(&l->hash, &s->now.hash);
		s->now.depth--;
	}
	lift(s->empty, &s->now, to);
}

bool sparse_put(struct sparse *s, const struct sparse_node *n)
{
	unsigned d;

	if (!s->any) {
		s->any = true;
		s->now = *n;
		return true;
	}
	if (n->key == s->now.key) {
		/* Leaves of one key. */
		if (n->depth != SPARSE_DEPTH || (!s->sharing &&
		    s->now.depth != SPARSE_DEPTH))
			return false;
		if (!s->sharing) {
			SHA256_Init(&s->shared);
			SHA256_Update(&s->shared, "\4", 1);
			SHA256_Update(&s->shared, s->now.hash.b, 32);
		}
		s->sharing = true;
		SHA256_Update(&s->shared, n->hash.b, 32);
		return true;
	}
	d = parting(n->key, s->now.key);
	if (n->key < s->now.key || d > s->now.depth || d > n->depth)
		return false;
	close_to(s, d);
	s->left[s->lefts++] = s->now;
	s->now = *n;
	return true;
}

struct hash sparse_root(struct sparse *s, unsigned floor)
{
	if (!s->any)
		return s->empty->at[SPARSE_DEPTH - floor];
	close_to(s, floor);
	return s->now.hash;
}

/* --- paths ----------------------------------------------------------------- */

/* How many of the nodes, which share the first d - 1 bits, go left at d. */
static size_t lefts_of(const struct sparse_node *nodes, size_t n, unsigned d)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (goes_right(nodes[mid].key, d))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

int sparse_path(const struct sparse_empty *e, const struct sparse_node *nodes,
    size_t n, uint64_t key, unsigned floor, struct hash *path)
{
	for (unsigned d = floor + 1; d <= SPARSE_DEPTH; d++) {
		size_t left = lefts_of(nodes, n, d);
		bool right = goes_right(key, d);
		const struct sparse_node *other = right ? nodes : nodes + left;
		size_t others = right ? left : n - left;
		struct sparse s;

		if (n == 1 && nodes->depth < d)
			return -1;
		sparse_init(&s, e);
		for (size_t i = 0; i < others; i++)
			if (!sparse_put(&s, &other[i]))
				return -1;
		path[SPARSE_DEPTH - d] = sparse_root(&s, d);
		nodes = right ? nodes + left : nodes;
		n -= others;
	}
	return 0;
}

struct hash sparse_climb(const struct hash *leaf, uint64_t key,
    const struct hash path[SPARSE_DEPTH])
{
	struct hash h = *leaf;

	for (unsigned d = SPARSE_DEPTH; d > 0; d--) {
		const struct hash *other = &path[SPARSE_DEPTH - d];

		h = goes_right(key, d) ? sparse_join(other, &h) : sparse_join(&h, other);
	}
	return h;
}
