/*
 * What two witnesses say of one conversation, held against each other: events
 * in order, by direction. Which messages share a record depends on when they
 * were read, so runs of small messages count as the bytes they are.
 */
#ifndef CAPTURE_TALLY_H
#define CAPTURE_TALLY_H

#include <openssl/sha.h>
#include <sqlite3.h>

#include "schema/record.h"

enum lane {
	LANE_PEER,	/* what the far end sent */
	LANE_US,
	LANE_BOTH,	/* the encryption's opening */
	LANE_DATA,	/* what became of the data that the far end sent */
	LANES
};

struct token {
	uint64_t hash;
	int64_t seq;		/* of the first of its records, or -1 */
	const char *kind;	/* static */
	bool hinges;		/* on what we asked for: data that was not taken
				 * up, or a piece that was not finished */
};

/* The events of one lane, as one witness tells them. */
struct told {
	struct token *at;
	size_t n, room;
	SHA256_CTX *run;	/* of the run under way; NULL: none */
	const char *run_kind;
	int64_t run_seq;
};

/* Makes tokens; one for all conversations. */
struct tally {
	sqlite3 *db;		/* its own, for SQLite's JSON functions */
	sqlite3_stmt *plain, *piece;
};

void tally_init(struct tally *t);	/* dies when out of memory */
void tally_fini(struct tally *t);

/* Whether a record of this kind is an event of the wire. */
bool tally_counts(const char *kind);

/* Adds a record's event to the lane it belongs to (told: LANES of them). raw is
 * its bytes or empty, digest its raw_sha256 or NULL. */
void tally_add(struct tally *t, struct told *told, const char *kind,
    const char *detail, struct span raw, const char *digest, int64_t seq);
/* SHA-256 of bytes, in hex; out. */
const char *tally_digest(struct span bytes, char out[65]);
/* No more of this conversation: ends the runs. */
void tally_end(struct told *told);
void tally_free(struct told *told);

struct tally_result {
	int64_t same, missing, extra;
	int64_t first_missing;	/* seq, -1 */
	const char *missing_kind, *extra_kind;	/* of the first; NULL: none */
};
/* ours: what the ledger tells; theirs: what the packets do. cut: theirs may end
 * early in LANE_US, since what was written need not have been sent. */
void tally_compare(const struct told *ours, const struct told *theirs,
    bool cut, struct tally_result *r);
/* Where they differ: whether that may come of requests that were written and
 * not sent, because it is nothing else that differs. */
bool tally_hinges(const struct told *ours, const struct told *theirs);
/* Likewise, of the order in which one's own messages and what came stood: which
 * data was asked for, and what the ids of extensions meant. */
bool tally_order_alone(const struct told *ours, const struct told *theirs);

#endif
