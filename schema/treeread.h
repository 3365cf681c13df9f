/*
 * Proofs out of a case's tree: nodes from its tiles, the newest leaves from
 * the records (or from what an erased one left), read as they are needed.
 */
#ifndef SCHEMA_TREEREAD_H
#define SCHEMA_TREEREAD_H

#include <sqlite3.h>

#include "schema/merkle.h"

#define TREEREAD_PATH 64	/* hashes of a path, at most */

struct treeread;

/* The tree of the first size records; db is lent. NULL, logged. */
struct treeread *treeread_new(sqlite3 *db, uint64_t size);
void treeread_free(struct treeread *t);

/* The leaf of a record, or of one erased. -1 logged: there is none. */
int treeread_leaf(struct treeread *t, uint64_t seq, struct hash *leaf);
/* RFC 9162's inclusion path of a record; its length, or -1, logged. */
int treeread_path(struct treeread *t, uint64_t seq,
    struct hash path[TREEREAD_PATH]);
/* Path of row n in the tree of the endpoints that a record names; its length,
 * or -1, logged. */
int treeread_named(sqlite3 *db, int64_t seq, int64_t n,
    struct hash path[TREEREAD_PATH]);

#endif
