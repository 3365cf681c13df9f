/*
 * The inside of a witness, shared by its two parts only: witness.c, which
 * takes bytes, time and the end, and observe.c, which makes records of events.
 */
#ifndef SCHEMA_OBSERVE_H
#define SCHEMA_OBSERVE_H

#include <openssl/sha.h>

#include "schema/assembly.h"
#include "schema/burst.h"
#include "schema/promise.h"
#include "schema/veil.h"
#include "schema/witness.h"

/* The digest of a stream that is long enough for a thread of its own. */
struct stream_sum {
	struct hashing hashing;
	SHA256_CTX digest;
};

/* One direction of the conversation. */
struct flow {
	uint64_t bytes;		/* seen on the wire */
	union {
		SHA256_CTX digest;
		struct stream_sum *sum;	/* if long */
	};
	uint8_t *kept;		/* the start of a message, exactly or nearly */
	size_t n, room;
	uint64_t piece_bytes;
	uint32_t keepalives;
	bool busy : 1;		/* its bytes are being read */
	bool counts : 1;		/* its handshake bears the torrent's hash */
	bool gap : 1;		/* bytes are missing: no digest */
	bool is_long : 1;		/* .sum is in use */
	bool unchoked : 1;		/* it lets the other side ask */
	bool fast : 1;		/* its handshake has the Fast bit (BEP 6) */
	struct burst burst;
	struct claims claims;
	struct assembly *pieces;	/* that this side sends; NULL: none */
};

/* Of a conversation of two others, by enum side. */
struct between {
	struct endpoint end[2];
	uint64_t missing[2];	/* bytes not captured */
	uint64_t unlike[2];	/* bytes that came again and differ */
};

struct witness {
	struct witness_hooks hooks;
	struct swarmref own;	/* where hooks.torrent gave a torrent only */
	const struct swarmref *target;	/* NULL: not known yet */
	const struct torrent *torrent;	/* the target's, once claims are
					 * settled by it */
	struct proven *proven;	/* owned; only if the target has none */
	struct veil *veil;	/* NULL: nothing is encrypted (any more) */
	uint64_t roots;		/* files looked at */
	int64_t conn;
	struct endpoint who;
	struct between *between;	/* NULL: one end is us */
	struct talk talk;
	struct flow flow[2];	/* by enum side */
	bool closed;
};

/* The same of a record that waits for digests; p is handed on. */
void observe_put_later(struct witness *w, enum side by, struct stamp at,
    const char *kind, struct promise *p);

/* The conversation is one of this swarm. */
void observe_target(struct witness *w, const struct swarmref *target);

/* Applies the event and writes it down, in the order the records need: what
 * it ends, what it changes, itself. */
void observe_event(struct witness *w, const struct event *ev,
    struct stamp at);

/* Ends the side's run, if one is under way. */
void observe_flush(struct witness *w, enum side by);

/*
 * A piece is complete, or given up for the reason. What was asked for stands
 * before what came of it: the runs of both sides end here. report: to the
 * hook, which may answer with bytes of ours.
 */
void observe_piece(struct witness *w, enum side by, struct underway *u,
    const char *reason, bool report, struct stamp at);

/* How records call that side: "us" only where it is. */
enum side observe_as(const struct witness *w, enum side by);

/* Hands a record of what that side said to the hook; detail is finished. */
void observe_put(struct witness *w, enum side by, struct stamp at,
    const char *kind, struct json *detail, struct span raw,
    const uint8_t *raw_sha256);

#endif
