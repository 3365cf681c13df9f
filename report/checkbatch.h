/*
 * Rows of evidence.db on their way through a check: read some at a time by the
 * thread that owns the database, their lines, leaves and digests computed on
 * another. A batch holds 1 MiB, or one row that is larger.
 */
#ifndef REPORT_CHECKBATCH_H
#define REPORT_CHECKBATCH_H

#include <sqlite3.h>

#include "schema/merkle.h"
#include "schema/record.h"

#define CHECKBATCH_ROWS 512u

struct check_row {
	int64_t seq, utc_ns, mono_ns, conn, port;	/* -1: NULL */
	const char *kind, *swarm, *ip, *detail, *raw_sha256, *salt; /* NULL: is
							 * NULL */
	size_t length[6];	/* of those texts */
	struct span raw;	/* its row of table raw */
	bool has_raw;
	bool negative;		/* a column is below zero and not NULL */
	/* What the work found: */
	struct hash leaf;
	const char *fault;	/* NULL, or what is wrong with the row */
	bool no_object;		/* its detail is no JSON object */
	bool raw_differs;	/* raw does not give raw_sha256 */
};

struct checkbatch;

/* record and raw are the two tables' statements, in order of seq; lent.
 * stray(ctx, seq) hears of raw rows that belong to no record; failed(ctx, stmt)
 * of a statement that cannot go on. Starts a thread. */
struct checkbatch_conf {
	sqlite3_stmt *record, *raw;
	void *ctx;
	void (*stray)(void *ctx, int64_t seq);
	void (*failed)(void *ctx, sqlite3_stmt *s);
};
struct checkbatch *checkbatch_new(const struct checkbatch_conf *conf);
void checkbatch_free(struct checkbatch *b);

/* The next row, worked on; lent until the next call. NULL at the end. */
const struct check_row *checkbatch_next(struct checkbatch *b);

#endif
