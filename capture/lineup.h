/*
 * Records in their order, while those that wait for digests hold up the ones
 * behind them. Whose seq somebody needs at once, because it opens a
 * conversation or belongs to none, waits for all before it.
 */
#ifndef CAPTURE_LINEUP_H
#define CAPTURE_LINEUP_H

#include "schema/promise.h"
#include "schema/record.h"

#define LINEUP_MEMORY (2u << 20)

struct lineup;

/* add: where records go; its seq. Where they take more than most bytes, adding
 * waits. Dies when out of memory. */
struct lineup *lineup_new(size_t most, int64_t (*add)(void *ctx,
    const struct record *r), void *ctx);
/* What waits is dropped. NULL is allowed. */
void lineup_free(struct lineup *l);

/* Copied if it must wait. Its seq, if r->conn is CONN_SELF or CONN_NONE; else
 * perhaps -1. */
int64_t lineup_add(struct lineup *l, const struct record *r);
/* r without its detail and raw_sha256, which the promise gives. -1. */
int64_t lineup_later(struct lineup *l, const struct record *r,
    struct promise *p);

/* Hands on what need not wait. Whether any is left; l may be NULL. */
bool lineup_turn(struct lineup *l);
/* Waits until all are handed on. */
void lineup_drain(struct lineup *l);

#endif
