/*
 * Part of a check: time-stamps. Each token is held against its request, its
 * checkpoint and what the record says of it; then, how close together they are
 * and which records lie between two.
 */
#ifndef REPORT_CHECK_STAMP_H
#define REPORT_CHECK_STAMP_H

#include "report/checkpart.h"
#include "wire/cur.h"

struct check_stamp;

/* db is lent. NULL, logged, if the certificates of c->tsa_ca cannot be read. */
struct check_stamp *check_stamp_new(struct check *c, sqlite3 *db);
void check_stamp_free(struct check_stamp *s);

/* A `stamp` record, with its raw bytes (none: p NULL). */
void check_stamp_record(struct check_stamp *s, int64_t seq, int64_t utc_ns,
    struct span raw);

/* All records were seen. */
void check_stamp_end(struct check_stamp *s, int64_t records);

#endif
