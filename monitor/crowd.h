/*
 * All connections of a run: whom the address book says to dial, who dialled
 * us, in which swarm each is; and the same in numbers.
 */
#ifndef MONITOR_CROWD_H
#define MONITOR_CROWD_H

#include "monitor/clock.h"
#include "monitor/decoy.h"
#include "monitor/listener.h"
#include "monitor/memory.h"
#include "monitor/peer.h"
#include "schema/ledger.h"

struct crowd {
	struct peer_env env;
	struct book *book;
	struct decoys *decoys;		/* lent; NULL: none */
	struct swarm *decoy;		/* the one offered to peers, or NULL */
	struct swarms swarms;
	struct peer *strangers;		/* incoming, before their handshake */
	struct listener listen4, listen6;
	uv_timer_t beat;
	uv_idle_t dialling;		/* while dials are due */
	struct datagrams *udp;		/* NULL: no uTP */
	struct ledger *ledger;
	struct clockwatch *clock;
	struct stamp paused_at;
	const char *paused_for;		/* as stall records call it */
	struct memory *memory;		/* lent; NULL: no bound */
	enum memory_state memory_said;	/* by the last `memory`, and when */
	int64_t memory_said_ns, memory_told;
	int64_t rx_seen, squeeze_ns, over_ns, trim_ns;
	int64_t squeezed;		/* ended for want of memory, */
	int64_t gave_way;		/* of a place */
	int64_t refused_tight;		/* incoming, for want of memory */
	uint64_t unkept;		/* endpoints, by the last `book` */
	int64_t unkept_said_ns;
	int64_t refused;		/* incoming, by our limits */
	int64_t refused_said_ns;
	int64_t undialled;		/* for want of our own means */
	int64_t undialled_said_ns, dial_again_ns;
	unsigned beats, fetching;	/* swarms without metadata */
	bool stopping;
	void *ctx;
	void (*node)(void *ctx, const struct swarm *s,
	    const struct endpoint *at);
	void (*found)(void *ctx, struct swarm *s, const struct endpoint *at,
	    enum book_source source);
	void (*learnt)(void *ctx, struct swarm *s, const char *source);
};

struct crowd_conf {
	uv_loop_t *loop;
	struct ledger *ledger;
	struct clockwatch *clock;
	const struct session_conf *policy;
	struct book_conf book;
	int64_t max_rate;		/* bytes a second from peers; 0: any */
	struct decoys *decoys;		/* NULL: none */
	struct memory *memory;		/* NULL: no bound */
	struct endpoint bind4, bind6;	/* family 0: no use of that family */
	uint16_t listen_port, ports_from, ports_to;
	struct datagrams *udp;		/* for uTP; NULL: none */
	enum ladder_crypt crypt;
	/* A peer of this swarm says where its DHT node is. */
	void *ctx;
	void (*node)(void *ctx, const struct swarm *s,
	    const struct endpoint *at);
	/* A peer named another: PEX. */
	void (*found)(void *ctx, struct swarm *s, const struct endpoint *at,
	    enum book_source source);
	/* Peers gave the swarm's metadata; source says who. */
	void (*learnt)(void *ctx, struct swarm *s, const char *source);
};

/* Begins to listen and to dial. -1 with the reason logged. */
int crowd_open(struct crowd *c, const struct crowd_conf *conf);

/* A swarm joins (owned by the crowd from here). -1: no room for it. */
int crowd_watch(struct crowd *c, struct swarm *s);
/* It goes, its connections closed for this reason. */
void crowd_unwatch(struct crowd *c, struct swarm *s, const char *why);

/* This source named an address: it may be dialled. */
void crowd_hear(struct crowd *c, struct swarm *s, const struct endpoint *at,
    enum book_source source);

/* Closes every connection for this reason, and the listeners. */
void crowd_stop(struct crowd *c, const char *why);
/* After the loop has closed its handles. */
void crowd_free(struct crowd *c);

#endif
