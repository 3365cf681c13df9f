/*
 * Savefiles through flows and dissector to a hook: what an import and a listing
 * have in common, and what anyone may use who wants the records of packets.
 */
#ifndef CAPTURE_READING_H
#define CAPTURE_READING_H

#include <signal.h>

#include "capture/import.h"
#include "capture/lineup.h"
#include "capture/secrets.h"
#include "capture/source.h"

#define READ_DAMAGES 20u	/* that are told of a file */
#define READ_ODDS 32u		/* reasons; there are fewer */

struct read_damage {
	uint64_t offset, frame;
	const char *reason;
};

/* What was wrong with packets: the first such, and how many there were. */
struct read_odd {
	const char *reason;
	uint64_t frame, times;
};

struct read_file {
	const char *file;	/* what records call it; lent until the end */
	bool last;		/* no other follows: conversations end with it */
	/* What it was: */
	uint64_t frames;
	uint64_t cut;		/* hold less than was on the wire */
	uint64_t unstamped;	/* bear no time, or one that does not fit: 0 */
	uint64_t skipped;	/* are not TCP or UDP over IP, or cannot be */
	uint64_t fragments_lost; /* IP packets that never became whole, or
				 * whose fragments are at odds */
	struct read_odd odd[READ_ODDS];
	size_t odds;
	int64_t first_utc_ns, last_utc_ns;	/* 0: no packet */
	struct read_damage damage[READ_DAMAGES];
	size_t damages;
	uint64_t damaged;	/* in all */
	uint64_t flows, unclaimed, datagrams;
};

struct given;

struct reading {
	struct known *known;
	struct secrets *secrets;
	struct dissect *dissect;
	struct digester *digester;	/* NULL: no threads */
	struct lineup *lineup;
	struct flows *flows;
	struct source *source;	/* under way */
	struct read_file *file;	/* likewise */
	struct given *given;
	char **names;		/* of files, as records have them */
	size_t named;
	void (*learnt)(void *ctx, const struct swarmref *s);
	/* Set before reading_begin by whoever reads a run's own packets; as in
	 * dissect_conf. */
	bool (*ours)(void *ctx, const struct endpoint *e);
	bool (*live)(void *ctx, const struct dissect_met *m,
	    struct dissect_live *l);
	void (*met)(void *ctx, const struct dissect_met *m,
	    struct dissect_did *did);
	void (*doubt)(void *ctx, int64_t conn);
	void *ctx;
};

/* Torrents and secrets that the command names; every fault is logged. *r is
 * zeroed; reading_free frees what it became, however far. */
int reading_load(struct reading *r, const struct import_conf *conf);
/* Those that a case has. */
int reading_case(struct reading *r, sqlite3 *db);

/* From now on records go to add; learnt may be NULL. */
void reading_begin(struct reading *r, int64_t (*add)(void *ctx,
    const struct record *rec), void (*learnt)(void *ctx,
    const struct swarmref *s), void *ctx);
/* Each torrent that the command named. */
void reading_given(struct reading *r, void (*tell)(void *ctx,
    const struct torrent *t, const char *path), void *ctx);

/* All of a source, which stays the caller's. Once *stop is not 0 what is left
 * is passed over. 0, or -1 logged. */
int reading_source(struct reading *r, struct source *src,
    struct read_file *f, volatile sig_atomic_t *stop);

/* Conversations and questions that are still open end. */
void reading_finish(struct reading *r);

struct dissect_counts reading_counts(const struct reading *r);
void reading_free(struct reading *r);

#endif
