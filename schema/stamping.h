/*
 * One round of time-stamping: authorities are asked about a checkpoint, and
 * what each said becomes a `stamp` record.
 */
#ifndef SCHEMA_STAMPING_H
#define SCHEMA_STAMPING_H

#include "schema/note.h"
#include "schema/tsapost.h"

#define STAMPING_WAIT_MS 30000	/* for an authority's answer */
#define STAMPING_RAW_MAX 4096u	/* of what is no time-stamp response */

struct stamping {
	const char *const *url;		/* lent, as is policy */
	size_t n;			/* at most TSAPOST_MANY */
	const char *policy;		/* the one to ask for, or NULL */
	/* How questions are put; wait_ms 0: STAMPING_WAIT_MS. */
	struct tsapost_conf post;
	/* Keeps a record. */
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
};

/* Once, before any thread is started. -1 logged. */
int stamping_init(void);

/* Whether every URL and the policy can be used; else one line is logged that
 * begins with who. */
bool stamping_usable(const struct stamping *s, const char *who);

/*
 * Asks those authorities whose bit is set in which about the checkpoint whose
 * note this is, adds a record for each, and returns the bits of those that
 * gave a token. Blocks until all have answered or their time is up.
 */
unsigned stamping_round(const struct stamping *s, const char *note,
    unsigned which);

#endif
