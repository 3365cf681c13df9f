/*
 * The witness of one conversation: bytes of both directions in, records out.
 * talk makes events of the bytes; the witness keeps what the peer claims to
 * hold, joins runs of small messages, checks pieces against the torrent, and
 * writes each down. Live monitor and dissector use it alike; it sends nothing
 * and decides nothing.
 */
#ifndef SCHEMA_WITNESS_H
#define SCHEMA_WITNESS_H

#include "schema/claims.h"
#include "schema/digester.h"
#include "schema/promise.h"
#include "schema/record.h"
#include "schema/swarmref.h"
#include "wire/mse.h"
#include "wire/talk.h"

/* What became of a piece whose blocks came over this conversation. */
struct piece_result {
	uint32_t piece;
	bool complete;		/* all its blocks came */
	bool matched;		/* complete, and its hash is the torrent's */
	uint32_t proven;	/* v2: blocks of 16 KiB, complete or not, whose
				 * hash a peer proved to the file's root */
};

struct witness_hooks {
	void *ctx;
	/* Keeps a record; its seq. (ledger_add, or a replay's comparison.) */
	int64_t (*add)(void *ctx, const struct record *r);
	/* The torrent whose swarm this infohash names, or NULL. */
	const struct torrent *(*torrent)(void *ctx, const uint8_t infohash[20]);
	/* Each event, after what it needs is recorded. May be NULL. */
	void (*event)(void *ctx, const struct event *ev);
	/* Each of the peer's pieces done, or left incomplete at the end, after
	 * its record and before the event of its last block; not one that was
	 * displaced, since whoever asks for pieces beyond ASSEMBLY_LIVE has
	 * given it up. May be NULL. */
	void (*piece)(void *ctx, const struct piece_result *r);
	/* Likewise the swarm, its metadata known or not; lent. Asked instead of
	 * torrent if not NULL. */
	const struct swarmref *(*swarm)(void *ctx, const uint8_t infohash[20]);
	/* Which swarm an initiator of an encrypted conversation means; asked
	 * where the conversation was not dialled for one. May be NULL. */
	mse_find *skey;
	/* Takes the digests of long streams and of pieces; lent, or NULL. */
	struct digester *digester;
	/* The place of a record whose digests are still being taken: its seq. r
	 * has neither detail nor raw_sha256; the promise is the hook's. NULL:
	 * the witness waits. A promise that is kept calls the piece hook when
	 * it is dropped, and none may be left when the witness is freed if
	 * there is such a hook. */
	int64_t (*later)(void *ctx, const struct record *r,
	    struct promise *p);
};

/*
 * A hook may give witness_bytes of the other side (a session that answers),
 * but neither bytes of the same side, nor witness_close or witness_free: these
 * wait until witness_bytes has returned.
 */

struct witness;

/*
 * swarm: the one we dialled for, or NULL for an incoming connection, whose
 * handshake decides; lent, as is what the hook names. conn: seq of its dial,
 * accept or flow record. who: the remote end; hooks and who are copied. NULL on
 * out of memory; later it dies (log_die) rather than forget.
 */
struct witness *witness_begin(const struct witness_hooks *hooks,
    const struct swarmref *swarm, int64_t conn, const struct endpoint *who);
/* The same of a conversation of two others (captures): end by enum side,
 * SIDE_US being the end that opened it, and every record bears the end that
 * spoke. */
struct witness *witness_between(const struct witness_hooks *hooks,
    const struct swarmref *swarm, int64_t conn, const struct endpoint end[2]);
/* Without witness_close nothing more is recorded. NULL is allowed. */
void witness_free(struct witness *w);

/* n bytes arrived from, or were written to the kernel for, one side. Copies
 * what it must keep. 0, or -1 when that side can no longer be understood. */
int witness_bytes(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at);

/*
 * The conversation is encrypted (MSE), opened by that side: told before any
 * byte. witness_bytes still takes bytes as they are on the wire; what cannot
 * be read yet is held (VEIL_HOLD_MAX), and read with the side's next bytes, or
 * at the next tick. When both ends' heads were read, or one is illegal, or at
 * the close, an `encrypted` record says so.
 */
void witness_encrypted(struct witness *w, enum side initiator);
/* The Diffie-Hellman secret: what is held is read. Not from within a hook. Told
 * late, when payload is held of both sides, their order is lost. */
void witness_secret(struct witness *w, const uint8_t secret[MSE_KEY],
    struct stamp at);

/* The secret will not be told: the `encrypted` record says so, and nothing is
 * read any more, only counted. */
void witness_give_up(struct witness *w, struct stamp at);

/*
 * The swarm got its torrent: what was claimed before is settled, in a
 * `claims` record for each side that claimed anything. Of a conversation whose
 * swarm had it already, or has none, nothing happens. Not from within a hook.
 */
void witness_metadata(struct witness *w, struct stamp at);

/* n bytes of a side are missing (captures only); 0: it is not known how many. */
void witness_gap(struct witness *w, enum side by, uint64_t n, struct stamp at);
/* Bytes [offset, offset + n) of a side came again in that frame, and differed
 * (captures only). */
void witness_overlap(struct witness *w, enum side by, uint64_t offset,
    uint64_t n, uint64_t frame, struct stamp at);

/* Time passed: runs older than BURST_NS are written down. */
void witness_tick(struct witness *w, struct stamp at);
/* There is a run, or held bytes that may be readable: ticks are due, many
 * within BURST_NS, since what waits for one is lost in a crash. */
bool witness_waiting(const struct witness *w);

/*
 * The conversation ended: writes down what is open (runs, unfinished pieces
 * with the reason), then `closed` with byte counts and the digest of each
 * direction. by: "us", "peer" or "error", between others "initiator",
 * "responder" or "capture"; why in a few words. Bytes that come later are
 * refused.
 */
void witness_close(struct witness *w, const char *by, const char *why,
    struct stamp at);

const struct claims *witness_claims(const struct witness *w, enum side by);
/* Heap bytes this witness holds now. */
size_t witness_memory(const struct witness *w);

#endif
