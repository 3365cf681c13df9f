/*
 * Part of a check: the tree made again from the leaves, held against tiles and
 * every signed checkpoint. Each checkpoint's root is computed anew at its size,
 * which shows all of them to be consistent with each other (RFC 9162: what a
 * consistency proof would show).
 */
#ifndef REPORT_CHECK_TREE_H
#define REPORT_CHECK_TREE_H

#include "report/checkpart.h"
#include "schema/lasthead.h"

struct check_tree;

/* db is lent; head was read before it was opened. NULL, logged, if the checkpoint of c->seen cannot be read. */
struct check_tree *check_tree_new(struct check *c, sqlite3 *db,
    const struct lasthead *head);
void check_tree_free(struct check_tree *t);

/* A `key` record: it counts from itself on. */
void check_tree_key(struct check_tree *t, int64_t seq, const char *vkey,
    const char *fingerprint);

/* The next record's leaf. */
void check_tree_leaf(struct check_tree *t, const struct hash *leaf);

/* Takes the first leaves from the tiles, up to c->from, instead of from their
 * records, but for those of keys given before. False, told, if they are not all
 * there. */
bool check_tree_prefix(struct check_tree *t);

/* All leaves were given: what remains of checkpoints, the newest, and
 * CASE/checkpoint.txt. unended: the last run has no end. */
void check_tree_end(struct check_tree *t, bool unended);

#endif
