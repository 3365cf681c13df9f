/*
 * The sparse Merkle tree of an `index` record (docs/evidence-format.md,
 * "Index"): depth 64, a subject's place is the first 64 bits of its SHA-256,
 * most significant bit first, 1 goes right. node = H(03 | left | right), an
 * empty leaf is 32 zero bytes. Pure arithmetic; storage is the caller's.
 */
#ifndef SCHEMA_SPARSE_H
#define SCHEMA_SPARSE_H

#include <openssl/sha.h>

#include "schema/merkle.h"

#define SPARSE_DEPTH 64u
#define SPARSE_SALT 16

struct hash sparse_join(const struct hash *left, const struct hash *right);

/* Where a subject stands. */
uint64_t sparse_key(const char *subject);

/* H(02 | salt | subject | LF | seqs), seqs the digest of its list. */
struct hash sparse_leaf(const uint8_t salt[SPARSE_SALT], const char *subject,
    const struct hash *seqs);

/* One node that is known: a leaf (depth 64), or the root of all that is below
 * the first depth bits of key. */
struct sparse_node {
	uint64_t key;		/* bits beyond depth are 0 */
	unsigned depth;
	struct hash hash;
};

/* A node's number counted as in a heap: the root is 1, the children of n are
 * 2 n and 2 n + 1. Depth at most 62, so that it is a positive int64. */
int64_t sparse_number(const struct sparse_node *n);
/* The place of a node by its number; false if it is none. */
bool sparse_place(int64_t number, struct sparse_node *n);

/* Roots of empty subtrees, by height. */
struct sparse_empty {
	struct hash at[SPARSE_DEPTH + 1];
};
void sparse_empty_init(struct sparse_empty *e);

/*
 * The root, of nodes given one after the other by rising key (leaves of one
 * key by rising hash), none within another, in constant memory. Leaves of one
 * key share it: H(04 | their hashes).
 */
struct sparse {
	const struct sparse_empty *empty;	/* lent */
	struct sparse_node left[SPARSE_DEPTH], now;
	unsigned lefts;
	bool any, sharing;
	SHA256_CTX shared;
};
void sparse_init(struct sparse *s, const struct sparse_empty *e);
/* False: the node is not behind the ones before; nothing was done. */
bool sparse_put(struct sparse *s, const struct sparse_node *n);
/* The root of the subtree at depth floor in which all that was put lies. */
struct hash sparse_root(struct sparse *s, unsigned floor);

/*
 * The siblings on the way from key at depth 64 up to depth floor, the lowest
 * first, given all nodes of the subtree at floor, as sparse_put takes them.
 * path gets 64 - floor hashes. -1: a node that is no leaf stands in the way.
 */
int sparse_path(const struct sparse_empty *e, const struct sparse_node *nodes,
    size_t n, uint64_t key, unsigned floor, struct hash *path);

/* The root to which a leaf at key climbs by its 64 siblings. */
struct hash sparse_climb(const struct hash *leaf, uint64_t key,
    const struct hash path[SPARSE_DEPTH]);

/* What leaves of one key, by rising hash, share; of one, itself. */
struct hash sparse_share(const struct hash *leaf, size_t n);

#endif
