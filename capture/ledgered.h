/*
 * What a case's ledger says that its packets must say too: the conversations of
 * live runs, and the answers of trackers and DHT nodes.
 */
#ifndef CAPTURE_LEDGERED_H
#define CAPTURE_LEDGERED_H

#include "capture/dissect.h"
#include "capture/replay.h"
#include "capture/tally.h"
#include "wire/endpoint.h"

/* One conversation of a live run. */
struct talked {
	int64_t seq;		/* of its dial or accept */
	int64_t utc_ns, end_ns;
	struct endpoint peer, local;	/* local.family 0: not recorded */
	bool utp, dialled;
	bool veiled;
	struct dissect_secret *secret;	/* NULL: not known, or not needed */
	bool closed;		/* it has its `closed`, and so: */
	int64_t rx_bytes, tx_bytes;
	char rx_sha256[65], tx_sha256[65];
	bool spoken;		/* some event of the wire is recorded */
	bool early;		/* the metadata was not known when it began */
	bool run_ended;
	int64_t not_before_ns;	/* no packet of it is older */
	uint64_t *order;	/* `heard` of our messages, in order: see
				 * dissect_did */
	size_t orders;
	bool unordered;		/* some has none: recorded before there was */
	int64_t elsewhere;	/* record of it that bears another endpoint than
				 * the peer's; 0: none */
	bool heard;		/* the packets have it */
	struct told told[LANES];
};

/* A savefile of a live run. */
struct saved {
	char file[64];
	int64_t first_utc_ns, last_utc_ns, dropped;
	int64_t told_utc_ns;	/* of its own run's record; 0: of the next */
};

struct answer;

struct ledgered_run {
	int64_t seq, end_seq;	/* end_seq INT64_MAX: it did not end */
	int64_t utc_ns;
	bool crashed;		/* some run before it did not end */
	uint16_t listen, from, to;
};

struct ledgered {
	sqlite3 *db;
	sqlite3_stmt *ends;	/* closed's members out of a detail */
	sqlite3_stmt *order;	/* what `heard` says */
	struct saved *saved;
	size_t saves;
	struct talked **talk;	/* by seq */
	size_t talks, room;
	struct talked **by_peer;	/* the same, by transport and peer */
	struct endpoint *vantage;	/* addresses that runs had */
	size_t vantages;
	struct ledgered_run *run;	/* live ones, in order */
	size_t runs;
	bool crashed;		/* some run did not end */
	bool patchy;		/* some record says that no packets were kept */
	bool erased;		/* of records and packets some are gone */
	struct answer *answer;	/* sorted */
	size_t answers, answer_room;
	int64_t in_tls, extra;
};

/* Reads what runs and savefiles there are. NULL logged. */
struct ledgered *ledgered_new(sqlite3 *db);
/* And all their conversations. -1 logged. */
int ledgered_read(struct ledgered *l, struct tally *t);
void ledgered_free(struct ledgered *l);	/* NULL is allowed */

/* Every infohash that a conversation was dialled for. */
void ledgered_swarms(struct ledgered *l, struct known *k);
bool ledgered_is_ours(const struct ledgered *l, const struct endpoint *e);
/* Conversations with this endpoint that began within this time; how many. */
struct talked **ledgered_find(const struct ledgered *l, bool utp,
    const struct endpoint *peer, int64_t from_ns, int64_t to_ns, size_t *n);
/* Savefiles cover this time. */
bool ledgered_covers(const struct ledgered *l, int64_t utc_ns);
/* Packets were dropped, or none kept of some address, meanwhile; or an erasure
 * may have taken some. */
bool ledgered_lossy(const struct ledgered *l, int64_t from_ns, int64_t to_ns);

/* The packets have an answer with these bytes. */
void ledgered_answer(struct ledgered *l, const char *kind,
    const char *sha256, const char *detail);
/* Counts answers that only one of both has. */
void ledgered_settle(struct ledgered *l, struct replay *r);

/* For r->tell; text is cut at some 600 bytes. */
void replay_tell(struct replay *r, bool wrong, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
