/*
 * Part of a check: the story of the runs, each against the one before, and the
 * chain of the key's runs, in which an undisclosed run leaves a hole.
 */
#ifndef REPORT_CHECK_RUN_H
#define REPORT_CHECK_RUN_H

#include "report/checkpart.h"

struct check_run;

/* db is lent. NULL, logged, if the log of c->key_log cannot be read. */
struct check_run *check_run_new(struct check *c, sqlite3 *db);
void check_run_free(struct check_run *r);

/* Each record, in order; one that was erased. */
void check_run_record(struct check_run *r, int64_t seq, int64_t utc_ns,
    const char *kind);
void check_run_gone(struct check_run *r);
/* Which key signs the newest run. */
void check_run_key(struct check_run *r, const char *fingerprint);
/* What lies before c->from: its newest run is taken as it stands. */
void check_run_prefix(struct check_run *r);

/* The last run has no end. */
bool check_run_open(const struct check_run *r);
/* All records were seen. */
void check_run_end(struct check_run *r, int64_t records);

#endif
