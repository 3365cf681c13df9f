/*
 * Part of a check: the `index` records made again from the records they cover,
 * and what was erased against the `erased` records that name it.
 */
#ifndef REPORT_CHECK_INDEX_H
#define REPORT_CHECK_INDEX_H

#include "report/checkpart.h"
#include "schema/merkle.h"

struct check_index;

/* db is lent. Counts of c are filled in. */
struct check_index *check_index_new(struct check *c, sqlite3 *db);
void check_index_free(struct check_index *x);

/* Each record that is there, in order; then what it names. conn -1: none. */
void check_index_record(struct check_index *x, int64_t seq, int64_t utc_ns,
    int64_t conn, const char *kind, const char *ip, const char *detail);
void check_index_name(struct check_index *x, const char *ip);

/* A record that is not there: true if it was erased, with its leaf. */
bool check_erased_record(struct check_index *x, int64_t seq,
    struct hash *leaf);
/* Likewise a row of named, and raw bytes. */
bool check_erased_named(struct check_index *x, int64_t seq, int64_t n,
    struct hash *leaf);
bool check_erased_raw(struct check_index *x, int64_t seq);

/* When all records were seen. */
void check_index_end(struct check_index *x);

/* The digests that a savefile may have besides its record's, since packets
 * were erased from it: now, and was, if that is not finished. False: none. */
bool check_erased_packets(struct check *c, sqlite3 *db, const char *file,
    char now[65], char was[65], int64_t *bytes);

#endif
