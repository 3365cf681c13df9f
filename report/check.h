/*
 * The checks behind `verify`: one walk through the ledger in order, in
 * constant memory, that recomputes every leaf, the tree, its tiles and heads,
 * and holds raw bytes, named endpoints and savefiles against their digests.
 */
#ifndef REPORT_CHECK_H
#define REPORT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/replay.h"

/* What is asked, what was checked, and what was wrong. Zero it first. */
struct check {
	/* Asked; NULL, or 0: not. */
	const char *key;	/* fingerprint that every run's key must have */
	const char *seen;	/* file of a checkpoint seen earlier */
	const char *key_log;	/* the key's chained log of runs (schema/runs.h) */
	const char *tsa_ca;	/* PEM file or folder to hold signers against */
	int64_t from;		/* records below it are not read again */
	bool no_replay;		/* the packets are not read again */
	/* Called for each thing wrong, and for each remark (nothing wrong, but
	 * a reader should know: a run that did not end). Not from two threads
	 * at once. */
	void (*tell)(void *ctx, bool wrong, const char *text);
	/* Called now and then: so many of so many records. May be NULL. */
	void (*progress)(void *ctx, int64_t done, int64_t of);
	void *ctx;

	/* Found. */
	int64_t records, raws, raw_bytes, names, tiles, checkpoints, keys,
	    runs, ended, savefiles, savefile_bytes, indexes, subjects,
	    erased, erasures,	/* records gone; `erased` records */
	    omitted;		/* records that an excerpt leaves out */
	bool excerpt;		/* it is one: its own check */
	int64_t first_utc_ns, last_utc_ns;	/* of the records */
	char case_id[33];
	char fingerprint[65];	/* of the newest key */
	int64_t other_keys;	/* those that are not the one asked for */
	char root[65];		/* of all records */
	int64_t chained;	/* runs that follow their key's run before, in
				 * this case, without another between */
	int64_t log_runs, logged;	/* runs in the key's log; of this case */
	bool extends;		/* the checkpoint seen earlier is this case's */
	int64_t seen_size;
	bool replayed;
	struct replay replay;	/* what that found; its hooks are not set */
	bool derived_checked;	/* derived.db is what the evidence gives */
	int64_t clock_asked, clock_answered;	/* questions to time sources,
				 * and those answered with a bound */
	int64_t bound_ns;	/* the widest of the runs' clockbound_ns */
	int64_t unbounded;	/* runs without one */
	int64_t steps, suspends;	/* of the clock; of the host */
	int64_t stamps, tokens;	/* `stamp` records; those with a token */
	int64_t accuracy_ns;	/* the widest that a token states ... */
	int64_t inaccurate;	/* ... and tokens that state none */
	int64_t rooted;		/* tokens whose signer leads to tsa_ca */
	int64_t stamps_apart;	/* whose clock contradicts ours */
	int64_t before_tokens;	/* records before the first token's */
	int64_t after_tokens;	/* records that no token covers, `stamp` aside */
	int64_t first_token_ns, last_token_ns, widest_gap_ns, widest_from_ns;
	int64_t bad_record;	/* the first record found wrong, -1 if none */
	int64_t wrongs;
	int64_t told;		/* records told of: one cause is no flood */
};

/* Checks the case at path. 0: it was checked (holds if c->wrongs is 0); -1: it
 * could not be, the reason logged. */
int check_case(struct check *c, const char *path);

#endif
