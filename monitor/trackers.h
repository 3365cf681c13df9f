/*
 * All trackers of all swarms: HTTP and HTTPS through libcurl's multi-socket
 * interface, UDP (BEP 15) over one socket per address family. Tiers (BEP 12),
 * intervals obeyed, announces once per local address family with the same key
 * (BEP 7), scrapes, `stopped` at the end. Every exchange is recorded.
 */
#ifndef MONITOR_TRACKERS_H
#define MONITOR_TRACKERS_H

#include <uv.h>

#include "schema/witness.h"

struct trackers;
struct tracker_list;	/* one swarm's */

struct trackers_conf {
	uv_loop_t *loop;
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	/* A tracker answered an announce: whom it named, each once; seq is the
	 * `listed` record. list_ctx is that of struct tracker_watch. */
	void (*named)(void *ctx, void *list_ctx, const char *url, int64_t seq,
	    const struct named *peers, size_t n);
	uint8_t peer_id[20];
	uint32_t key;
	uint16_t port;		/* where we listen */
	struct endpoint bind4, bind6;	/* family 0: not bound / not wanted */
	bool want4, want6;	/* families we have addresses for */
	uint16_t ports_from, ports_to;	/* local ports for outgoing sockets */
	bool allow_local;	/* trackers on special addresses are asked */
	const char *user_agent;
	/* Whether a wait since then says nothing (clockwatch_stalled); may be
	 * NULL. */
	bool (*stalled)(void *ctx, int64_t since_mono_ns);
};

/* More trackers than this of one torrent are not asked, and that is logged. */
#define TRACKERS_MOST 64

/* *conf is copied. NULL: no memory, or libcurl cannot be used. */
struct trackers *trackers_new(const struct trackers_conf *conf);

/* What is announced, and to whom. */
struct tracker_watch {
	const char *swarm;	/* of the records */
	const uint8_t (*hash)[20];	/* what its peers' handshakes bear */
	int hashes;		/* 1 or 2 */
	bool is_private;
	uint64_t left;		/* > 0 */
	/* The next tracker; *tier counts from 0. False at the end. */
	bool (*url)(void *url_ctx, struct span *url, unsigned *tier);
	void *url_ctx;
	void *ctx;		/* the list_ctx of what is told */
};

/*
 * Begins announcing to the trackers: under each hash, over each wanted family.
 * A private torrent's trackers one at a time, tier by tier (BEP 12, 27); any
 * other's one working tracker per tier. w, and what it lends but ctx, may go
 * after the call. NULL on out of memory.
 */
struct tracker_list *trackers_watch(struct trackers *ts,
    const struct tracker_watch *w);

/* More became known of what is announced: how much is left, and perhaps a
 * second hash, under which it is announced too from now on. */
void trackers_learnt(struct tracker_list *list, uint64_t left,
    const uint8_t (*hash)[20], int hashes);

/* Sends `stopped` wherever we had `started`, and forgets the list: list_ctx is
 * not used after the call. */
void trackers_unwatch(struct tracker_list *list);

/*
 * Ends: `stopped` everywhere, waits at most wait_ms for the answers (those that
 * did not come are recorded as time-outs), closes its handles and calls
 * done(ctx) once, from the loop. trackers_free then, or in done itself; lists
 * are gone with it.
 */
void trackers_stop(struct trackers *ts, int wait_ms, void (*done)(void *ctx));
void trackers_free(struct trackers *ts);

struct trackers_state {
	unsigned trackers, working, announces, failures;
};
void trackers_state(const struct trackers *ts, struct trackers_state *s);

#endif
