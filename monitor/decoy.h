/*
 * Decoys: infohashes drawn at random, which nobody shares. Sources are asked
 * for them as for any torrent, so that whoever names peers for one is on
 * record; one more is offered to peers that claimed pieces, a minute after
 * their conversation ended, so that whoever answers to anything is too.
 */
#ifndef MONITOR_DECOY_H
#define MONITOR_DECOY_H

#include "monitor/peer.h"
#include "monitor/trackers.h"

#define DECOYS_MOST 100

struct decoys;

struct decoys_conf {
	unsigned sources;	/* how many they are asked for */
	bool endpoints;
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
};

/* Draws them, on record. Dies for want of memory. */
struct decoys *decoys_new(const struct decoys_conf *conf);
void decoys_free(struct decoys *d);	/* NULL is allowed */

/* The i-th that sources are asked for, and its text; false at the end. */
bool decoys_hash(const struct decoys *d, unsigned i, const uint8_t **hash,
    const char **text);

/* These trackers are to be asked too, as far as they are not yet. */
void decoys_ask(struct decoys *d, struct trackers *ts, const struct swarm *s);

/* The swarm of the hash that is offered to peers, or NULL; the caller's to
 * free once, by taking it. */
struct swarm *decoys_swarm(struct decoys *d);

/* A conversation is over: what it says of decoys is on record, and it may be
 * the peer's turn to be offered one. */
void decoys_gone(struct decoys *d, const struct peer *p, struct stamp at);

/* A peer whose turn it is. */
bool decoys_due(struct decoys *d, int64_t now_ns, struct endpoint *who);

#endif
