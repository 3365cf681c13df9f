/*
 * One connection with one peer, whatever carries it: bytes that arrive go to
 * the witness, what the witness makes of them to the policy, and what the
 * policy says to the peer, sealed if it is encrypted; every byte the stream
 * took from us goes to the witness too.
 */
#ifndef MONITOR_PEER_H
#define MONITOR_PEER_H

#include <sys/queue.h>
#include <uv.h>

#include "capture/lineup.h"
#include "monitor/book.h"
#include "monitor/cipher.h"
#include "monitor/ladder.h"
#include "monitor/meter.h"
#include "monitor/stream.h"
#include "monitor/swarm.h"
#include "monitor/utpmux.h"
#include "schema/witness.h"

struct peer;

/* What all connections of a run share, and whom they tell. */
struct peer_env {
	uv_loop_t *loop;
	const struct session_conf *policy;
	struct endpoint bind4, bind6;
	uint16_t ports_from, ports_to;
	struct tcpset *tcp;
	struct utpmux *utp;	/* NULL: no uTP */
	enum ladder_crypt crypt;
	bool paused;		/* the ledger is full: nobody reads */
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	struct swarm *(*find)(void *ctx, const uint8_t infohash[20]);
	/* Likewise by H('req2' infohash), which becomes known. */
	mse_find *meant;
	bool (*stalled)(void *ctx, int64_t since_mono_ns);
	/* A dial was answered. */
	void (*reached)(void *ctx, struct peer *p);
	/* Its handshake came. */
	void (*greeted)(void *ctx, struct peer *p);
	/* An incoming peer says on which port it listens. */
	void (*listens)(void *ctx, struct peer *p, uint16_t port);
	/* It says on which port its DHT node is. */
	void (*node)(void *ctx, struct peer *p, uint16_t port);
	/* It names other peers, as often as it may. */
	void (*gossip)(void *ctx, struct peer *p, const struct pex_msg *m);
	/* It is over and recorded; p is freed once this returns (and the loop
	 * has closed its handles). */
	void (*gone)(void *ctx, struct peer *p);
	/* Bytes were read: is it time to pause? */
	void (*heard)(void *ctx);

	/* Those that there is nothing more to ask of, the longest first. */
	TAILQ_HEAD(, peer) lingering;
	/* Those whose witness waits for a tick, the longest first. */
	TAILQ_HEAD(, peer) waiting;

	struct meter meter;	/* of what all peers send */
	/* Those that have bytes for us which may not be read yet, in order. */
	TAILQ_HEAD(, peer) dry;
	unsigned round;		/* of peers_pour, and what it promised */
	int64_t promised;

	/* Filled by peers. */
	int64_t dialled, accepted, reached_count, met, verified;
	int64_t pieces_ok, pieces_bad, rx_bytes, piece_bytes_sent;
	uint8_t *out;		/* made by peer_env_init */
	struct digester *digester;	/* likewise; NULL: no thread to be had */
	size_t out_n;
	int64_t now_ns;		/* of the bytes being read */
	char why[128];
};

int peer_env_init(struct peer_env *env);	/* -1: no memory */
void peer_env_fini(struct peer_env *env);

#define PEER_FIRST 20u		/* bytes tell plain from encrypted */

struct peer {
	uv_timer_t timer;
	struct peer_env *env;
	struct stream *stream;
	struct swarm *swarm;	/* NULL: incoming, before its handshake */
	struct witness *witness;	/* NULL: not connected yet */
	struct lineup *lineup;	/* records that wait for digests; NULL: none
				 * ever did */
	struct cipher *cipher;	/* NULL: not encrypted */
	struct session session;
	const char *why;	/* we are to close, for this reason */
	struct peer *next, *prev;	/* of its swarm, or of those without */
	struct peer **list;	/* where it is linked */
	TAILQ_ENTRY(peer) lingering;
	TAILQ_ENTRY(peer) waiting;
	int64_t waits_ns;	/* since then; 0: it does not wait */
	TAILQ_ENTRY(peer) dry;
	int64_t dry_ns;		/* since then its bytes wait; 0: they do not */
	unsigned sip;		/* round in which it may read */
	uint8_t *out;		/* what the stream would not take yet, sealed */
	uint8_t *map;		/* the session's, if it needs one */
	size_t out_n;
	struct endpoint who;
	int64_t conn;		/* seq of its dial or accept */
	int64_t began_ns, armed_ns;
	struct book_visit visit;	/* of a dial, and */
	struct ladder ladder;		/* the way of this attempt */
	int slot;		/* of its swarm's fetch, or FETCH_NONE */
	uint8_t first[PEER_FIRST];	/* incoming: its first bytes, while it
					 * is */
	uint8_t first_n;
	bool undecided;			/* ... plain or encrypted */
	bool hesitates;		/* connected, and not a word of ours yet */
	bool incoming, connected, ended, matched, lingers;
	bool claimed;		/* once it has ended: it claimed pieces */
};

/*
 * Dials v by the ladder's way; linked into the swarm's list. 0, with the
 * outcome told by reached or gone, gone perhaps before this returns; -1: out
 * of memory, descriptors or local ports, and nothing was recorded.
 */
int peer_dial(struct peer_env *env, struct swarm *swarm,
    const struct book_visit *v, const struct ladder *l);

/* Takes over an accepted stream; linked into *strangers until its handshake
 * says which swarm it is for. -1: out of memory, the stream closed. */
int peer_accept(struct peer_env *env, struct peer **strangers,
    struct stream *s, const struct endpoint *from,
    const struct endpoint *local);

/* We end it, for this reason (a constant): recorded, gone is called. */
void peer_end(struct peer *p, const char *why);

/* Asks it for metadata if it is its turn. */
void peer_fetch(struct peer *p);
/* Its swarm's metadata became known. */
void peer_learnt(struct peer *p);
/* An input to its policy, from within one of its hooks: what it answers goes
 * out with the rest. */
void peer_step(struct peer *p, enum session_in_kind kind,
    const struct event *ev, uint32_t block, int64_t now_ns);

/* env->paused changed: stop or go on reading. */
void peer_resume(struct peer *p);

/* Lets those read whose turn it is; due at every beat. */
void peers_pour(struct peer_env *env);

/* Lets witnesses write down what is old enough; due at every beat. Its work
 * grows only with those that have something to write. */
void peers_tick(struct peer_env *env);

#endif
