/*
 * The inside of a dissector, shared by its parts only: dissect.c, which holds
 * the conversations; peertalk.c, those of peers; webtalk.c, those with HTTP
 * trackers; overhear.c, datagrams.
 */
#ifndef CAPTURE_DISSECT_IMPL_H
#define CAPTURE_DISSECT_IMPL_H

#include "capture/dissect.h"
#include "schema/dhtlog.h"
#include "schema/lsdlog.h"
#include "schema/trackerlog.h"
#include "schema/witness.h"

struct web;
struct overhear;

/* Bytes of one side that came at once, while it is not known what they are. */
struct early {
	unsigned side;		/* the flow's */
	size_t n;
	struct flow_at at;
};

enum talk_kind {
	TALK_NEW,		/* its kind is not known yet */
	TALK_PEER,
	TALK_WEB
};

/* One conversation. Side numbers are the flow's, but for lead. */
struct conv {
	struct dissect *d;
	struct conv **handle;	/* the flow's, which may outlive it */
	struct conv *older, *newer;	/* by when something was said last */
	struct conv *mate, **mate_at;	/* of the same swarm */
	struct conv *next_due, **due_at;	/* ticks are due */
	int64_t due_ns;
	enum talk_kind kind;
	enum flow_transport transport;
	struct endpoint end[2];
	bool opened;
	bool looked;		/* for its secret */
	bool hole[2];
	bool unsure[2];		/* nothing of this side was seen, and perhaps
				 * not its beginning */
	unsigned lead;		/* side that opened, or spoke first */
	int us;			/* side that is ours, -1 for none */
	const char *file;	/* where it began */
	struct dissect_did did;	/* of our own conversations; most: still to be
				 * read */
	size_t said;		/* messages of ours that did.heard has */
	uint64_t heard;		/* bytes of the peer's that were told */
	uint8_t *unread;	/* and those that it had not read by then */
	size_t unread_at, unread_n, unread_room;
	struct flow_at began, last;
	uint8_t *held[2];	/* TALK_NEW: what came so far ... */
	size_t held_n[2], flight[2];
	struct early *early;	/* ... in which portions */
	size_t earlies;
	size_t heap;		/* as it is counted in the dissector */
	int64_t seq;
	struct witness *w;
	struct known_swarm *swarm;	/* held */
	struct web *web;
};

struct dissect {
	struct dissect_conf conf;
	const char *file;
	const char **files;	/* all so far */
	size_t file_count;
	struct source *source;
	struct conv *oldest, *newest;
	struct conv *due, **due_end;
	size_t heap, most;
	struct dissect_counts counts;
	struct trackerlog tracker;
	struct dhtlog dht;
	struct lsdlog lsd;
	struct overhear *overhear;
	/* A swarm's metadata is whole: its conversations are told once the
	 * bytes under way are done with. */
	struct known_swarm *learnt;
	char givers[KNOWN_SOURCE_MAX];
};

static inline struct stamp dissect_stamp(struct flow_at at)
{
	return (struct stamp){ at.utc_ns, -1 };
}

/* How a witness calls a side of the flow. */
enum side conv_side(const struct conv *c, unsigned side);

/* --- peertalk.c: c->kind becomes TALK_PEER ------------------------------------- */

/* veiled: under Message Stream Encryption; s NULL: nobody knows its secret. */
void peertalk_begin(struct conv *c, bool veiled,
    const struct dissect_secret *s, struct flow_at at);
/* Its encryption cannot be read: says so. */
void peertalk_blind(struct conv *c, struct flow_at at);
void peertalk_bytes(struct conv *c, unsigned side, struct span s,
    struct flow_at at);
/* Of one of our own: all that the live run accounts for was read. */
bool peertalk_over(const struct conv *c);
void peertalk_gap(struct conv *c, unsigned side, uint64_t n,
    struct flow_at at);
void peertalk_differs(struct conv *c, unsigned side, uint64_t offset,
    uint64_t n, struct flow_at at);
void peertalk_close(struct conv *c, enum flow_end end, unsigned by,
    struct flow_at at);
void peertalk_tick(struct conv *c, struct flow_at at);
void peertalk_free(struct conv *c);
size_t peertalk_memory(const struct conv *c);

/* --- webtalk.c ------------------------------------------------------------------- */

void webtalk_begin(struct conv *c);
/* False: there is nothing more to be had from it. */
bool webtalk_bytes(struct conv *c, unsigned side, struct span s,
    struct flow_at at);
/* The conversation ended, or bytes are missing: what was asked is written
 * down. */
void webtalk_close(struct conv *c, struct flow_at at);
void webtalk_free(struct conv *c);
size_t webtalk_memory(const struct conv *c);

/* --- overhear.c ------------------------------------------------------------------ */

struct overhear *overhear_new(struct dissect *d);
void overhear_free(struct overhear *o);
/* Whether the datagram is of a kind we know. */
bool overhear_datagram(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at);
/* Nothing more comes. */
void overhear_finish(struct overhear *o);
size_t overhear_memory(const struct overhear *o);

#endif
