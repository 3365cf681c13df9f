/*
 * The Merkle tree of RFC 9162 section 2.1 with SHA-256: leaf = H(00 | line),
 * node = H(01 | left | right). Pure arithmetic; storage is the caller's.
 */
#ifndef SCHEMA_MERKLE_H
#define SCHEMA_MERKLE_H

#include "wire/cur.h"

struct hash {
	uint8_t b[32];
};

struct hash merkle_leaf(const void *line, size_t n);
struct hash merkle_node(const struct hash *left, const struct hash *right);

/* The right edge of a growing tree: the roots of its complete subtrees. */
struct merkle {
	uint64_t size;
	struct hash edge[64];
};

void merkle_init(struct merkle *m);
void merkle_add(struct merkle *m, const struct hash *leaf);
/* Root of what was added; SHA-256 of nothing when empty. */
struct hash merkle_root(const struct merkle *m);
/* Root over n given leaves. */
struct hash merkle_of(const struct hash *leaf, size_t n);

/*
 * Inclusion proofs in RFC 9162 order (2.1.3). The caller says where hashes
 * of complete subtrees are found: node(ctx, level, n) is the root over the
 * 2^level leaves from n 2^level. Their number, at most 64, or -1: leaf is not
 * below size, room does not suffice, or the callback had none.
 */
typedef int merkle_node_fn(void *ctx, unsigned level, uint64_t n,
    struct hash *out);
int merkle_inclusion(merkle_node_fn *node, void *ctx, uint64_t leaf,
    uint64_t size, struct hash *path, size_t room);
bool merkle_check_inclusion(const struct hash *leaf, uint64_t index,
    uint64_t size, const struct hash *path, size_t n, const struct hash *root);

#endif
