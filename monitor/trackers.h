/*
 * All trackers of all swarms: HTTP and HTTPS through libcurl's multi-socket
 * interface, UDP (BEP 15) over one socket per address family. Tiers (BEP 12),
 * intervals obeyed, announces once per local address family with the same key
 * (BEP 7), scrapes, `stopped` at the end. Every exchange is recorded.
 */
#ifndef MONITOR_TRACKERS_H
#define MONITOR_TRACKERS_H

#include <uv.h>

#include "schema/torrent.h"
#include "schema/witness.h"

struct trackers;
struct tracker_list;	/* one swarm's */

struct trackers_conf {
	uv_loop_t *loop;
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	/* A tracker named a peer; seq is the `listed` record. list_ctx is what
	 * trackers_watch was given. */
	void (*peer)(void *ctx, void *list_ctx, const struct endpoint *at,
	    const char *url, int64_t seq);
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

struct trackers *trackers_new(const struct trackers_conf *conf);

/*
 * Begins announcing t to its trackers: under each of its wire hashes, over
 * each wanted family. A private torrent's trackers one at a time, tier by
 * tier (BEP 12, 27); any other's one working tracker per tier. t may go after
 * the call. NULL on out of memory.
 */
struct tracker_list *trackers_watch(struct trackers *ts,
    const struct torrent *t, void *list_ctx);

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
