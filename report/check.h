/*
 * The checks behind `verify`: one walk through the ledger in order, in
 * constant memory, that recomputes every leaf, the tree, its tiles and heads,
 * and holds raw bytes, named endpoints and savefiles against their digests.
 */
#ifndef REPORT_CHECK_H
#define REPORT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* What was checked, and what was wrong. Zero it first. */
struct check {
	int64_t records, raws, raw_bytes, names, tiles, checkpoints, keys,
	    runs, ended, savefiles, savefile_bytes, indexes, subjects,
	    erased, erasures;	/* records gone; `erased` records */
	char first_utc[40], last_utc[40];	/* of the records, ISO 8601 */
	char case_id[33];
	char fingerprint[65];	/* of the newest key */
	char root[65];		/* of all records */
	int64_t bad_record;	/* the first record found wrong, -1 if none */
	int64_t wrongs;
	int64_t told;		/* records told of: one cause is no flood */
	bool all_keys_match;	/* every key is the one asked for */
	/* Called for each thing wrong, and for each remark (nothing wrong, but
	 * a reader should know: a run that did not end). */
	void (*tell)(void *ctx, bool wrong, const char *text);
	void *ctx;
};

/* Checks the case at path. fingerprint: the key its runs must have, or NULL.
 * 0: it was checked (holds if c->wrongs is 0); -1: it could not be, the reason
 * logged. */
int check_case(struct check *c, const char *path, const char *fingerprint);

#endif
