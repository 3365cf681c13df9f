/*
 * Messages gathered whole in memory, their digests taken many at once
 * (schema/lanes.h), by a thread that has nothing else to do and by whoever waits for
 * a digest or for room. It begins when there is one for every lane, when one has
 * waited for long enough, or when somebody waits. One thread gathers; memory is
 * bounded by GATHER_MEMORY.
 */
#ifndef SCHEMA_GATHER_H
#define SCHEMA_GATHER_H

#include <stdatomic.h>

#include "schema/lanes.h"

/* What lanes take, what waits for them, and what is being filled. */
#define GATHER_MEMORY (44u << 20)
#define GATHER_EACH (1u << 20)		/* the longest message */
/* What a message may wait for others where somebody watches, and where nobody
 * does: lanes that stay empty cost as much as full ones. */
#define GATHER_NS 20000000ll
#define GATHER_LONG_NS 1000000000ll

struct gather;

struct gathered {
	struct gather *gather;
	uint8_t *bytes;		/* NULL once its digests are there */
	size_t n;
	struct lanes_one lane;	/* its digests */
	struct gathered *next;
	atomic_bool taken;
	bool given;
};

/* A thread's lanes; all zero at first. Where lanes_new finds none, messages are
 * hashed one by one. */
struct gather_hand {
	bool ready;
	struct lanes *lanes;
};

/* NULL where messages are not hashed faster so. rouse, by whoever gathers: it is
 * time for gather_help, or to ask gather_due_ns anew. NULL: nobody helps. */
struct gather *gather_new(int64_t patience_ns, void (*rouse)(void *ctx),
    void *ctx);
/* No message may be left. NULL is allowed. */
void gather_free(struct gather *g);

/* Takes what is due, if anything is. hand: the thread's; NULL: of the one that
 * gathers. g NULL: nothing is. */
bool gather_help(struct gather *g, struct gather_hand *hand);
/* When what was given is due at the latest (CLOCK_MONOTONIC); INT64_MAX: there is
 * nothing. */
int64_t gather_due_ns(struct gather *g);
/* Makes a hand's lanes beforehand, which takes some ms; and frees them. */
void gather_ready(struct gather_hand *hand);
void gather_rest(struct gather_hand *hand);

/* Room for a message of n bytes, after those under way if need be. False: it is
 * too long, or too many are being filled (g NULL: always). */
bool gathered_begin(struct gathered *m, struct gather *g, size_t n);

/* All its bytes are there, and stay as they are. */
void gathered_give(struct gathered *m, bool v1);

/* Whether its digests are there; gathered_wait waits for that. */
bool gathered_done(struct gathered *m);
void gathered_wait(struct gathered *m);

/* Waits, if it was given. */
void gathered_end(struct gathered *m);

#endif
