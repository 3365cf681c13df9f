/*
 * The address book: who was heard of in which swarm, whom to dial next, and
 * the limits that keep us gentle. Pure: the time is given, memory is asked of
 * the caller. Work per call does not grow with the number of peers.
 */
#ifndef MONITOR_BOOK_H
#define MONITOR_BOOK_H

#include "wire/endpoint.h"

#define BOOK_NONE UINT32_MAX
#define BOOK_SWARMS_MAX 65536

/* Where an address came from, as bits. */
enum book_source {
	BOOK_TRACKER = 1,
	BOOK_DHT = 2,
	BOOK_LSD = 4,
	BOOK_PEX = 8,
	BOOK_MAGNET = 16,
	BOOK_DECOY = 32
};

struct book_conf {
	bool allow_local;
	unsigned half_open;		/* dials under way at a time */
	unsigned dial_rate;		/* new ones a second */
	unsigned connections;		/* open at a time, in all */
	unsigned per_swarm;		/* candidates kept; 0: 100,000 */
	unsigned in_all;		/* of all swarms; 0: 2,000,000 */
	unsigned addresses;		/* of which so many; 0: 1,000,000 */
	/* An address that is never contacted; NULL: there is none. */
	bool (*blocked)(void *ctx, const struct endpoint *at, bool incoming);
	void *ctx;
	uint8_t key[16];		/* random: hostile peers choose addresses */
	/* As realloc and free (bytes 0). NULL: no memory. */
	void *(*memory)(void *old, size_t bytes);
};

/* What became of a visit. */
enum book_end {
	BOOK_UNTRIED,	/* for want of our own means: no failure of its */
	BOOK_AGAIN,	/* it is not over: it goes on with another dial as soon
			 * as its address may be dialled */
	BOOK_FAILED,	/* no connection */
	BOOK_SHUT,	/* a connection, and no handshake: some need asking
			 * more than once */
	BOOK_OTHER,	/* it answered for something else */
	BOOK_MET,	/* it is a peer of this swarm */
	BOOK_SELF	/* it is we: never again */
};

/* An address that may be dialled now. */
struct book_visit {
	uint32_t id;		/* for book_reached and book_done */
	uint32_t swarm;
	struct endpoint at;
	unsigned sources;	/* book_source bits */
	unsigned attempt;	/* 1 for the first */
	uint8_t known;		/* how to reach it: kept for the caller, and */
	uint16_t mark;		/* where it stands; 0: at its beginning */
	bool crowded;		/* every place is taken: see book_yield */
};

struct book;

/* *conf is copied. NULL: no memory. */
struct book *book_new(const struct book_conf *conf);
void book_free(struct book *b);

/* A swarm's number, or BOOK_NONE. Closing forgets its candidates; visits
 * under way still end with book_done. */
uint32_t book_open(struct book *b);
void book_close(struct book *b, uint32_t swarm);

/* An address was heard of. Why it will not be dialled (a constant), or NULL. */
const char *book_hear(struct book *b, uint32_t swarm,
    const struct endpoint *at, enum book_source source, int64_t now_ns);

/* Only these sources count in this swarm from here on: whom no other named is
 * forgotten when its turn comes, or when the visit under way is done, and
 * nobody is heard of from others. */
void book_only(struct book *b, uint32_t swarm, unsigned sources);

/* Does one that is visited now count still? */
bool book_counts(const struct book *b, uint32_t id);

/* Others said this of how to reach it: added to what is known. */
void book_hint(struct book *b, uint32_t swarm, const struct endpoint *at,
    uint8_t known);

/* A connection with this endpoint began otherwise (it dialled us): put a visit
 * off as if one had just ended. */
void book_met(struct book *b, uint32_t swarm, const struct endpoint *at,
    int64_t now_ns);

/* Whether an open connection would give its place up. Then, if every place is
 * taken, book_next still gives visits (crowded), of candidates never met: the
 * caller ends that connection before it dials. Those that were met wait. */
void book_yield(struct book *b, bool would);
/* The next visit, if one is due and no limit forbids it. */
bool book_next(struct book *b, int64_t now_ns, struct book_visit *v);
/* The visit goes on with another dial at once, which counts against the rate,
 * and puts other visits of the address off by a minute. False: this address
 * never spoke BitTorrent to us, so that it gets one dial a minute, whatever
 * its ports and swarms: the visit is to end with BOOK_AGAIN. */
bool book_again(struct book *b, uint32_t id, int64_t now_ns);
/* What was learnt on the way, and where it stands. */
void book_know(struct book *b, uint32_t id, uint8_t known, uint16_t mark);
/* Somebody at this address, candidate or caller, spoke BitTorrent to us. */
void book_spoke(struct book *b, const struct endpoint *at, int64_t now_ns);
/* A dial of it succeeded: it is no longer half-open. */
void book_reached(struct book *b, uint32_t id);
/* The visit is over; id is no longer one. */
void book_done(struct book *b, uint32_t id, enum book_end how,
    int64_t now_ns);

/* May this incoming connection stay? NULL, and it is counted until book_left;
 * or the limit that it breaks. forged: nothing shows yet that it comes from
 * there, and of these an address gets one a minute. */
const char *book_accept(struct book *b, const struct endpoint *from,
    bool forged, int64_t now_ns);
void book_left(struct book *b, const struct endpoint *from);
/* Is this caller, never met, kept out by nothing but the number of
 * connections, so that a place may be made for it? */
bool book_crowded(const struct book *b, const struct endpoint *from,
    int64_t now_ns);

struct book_state {
	uint32_t heard;		/* endpoints in the book */
	uint32_t half_open, open;	/* open: reached or accepted */
	uint32_t most;			/* endpoints it may hold */
	/* Of those heard of, for want of room: put out, never dialled, for
	 * newer ones; and not taken up. */
	uint64_t forgotten, refused;
};
void book_state(const struct book *b, struct book_state *s);

#endif
