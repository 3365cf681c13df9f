/*
 * The known nodes of an index's sparse tree in any number and order, sorted
 * in bounded memory, and the root they make.
 */
#ifndef SCHEMA_LEAVES_H
#define SCHEMA_LEAVES_H

#include "schema/sparse.h"

struct leaves;

/* folder as spill_new takes it. Dies on out of memory. */
struct leaves *leaves_new(const char *folder);
void leaves_free(struct leaves *l);
/* -1 logged: no room on disk. */
int leaves_add(struct leaves *l, const struct sparse_node *n);
/* The root. each, which may be NULL, is called for every node in order. -1
 * logged: it cannot be read back, or a node lies within another. */
int leaves_root(struct leaves *l, void (*each)(void *ctx,
    const struct sparse_node *n), void *ctx, struct hash *root);

#endif
