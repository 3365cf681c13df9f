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
#include "schema/record.h"
#include "schema/torrent.h"
#include "wire/talk.h"

/* What became of a piece whose blocks came over this conversation. */
struct piece_result {
	uint32_t piece;
	bool complete;		/* all its blocks came */
	bool matched;		/* complete, and its hash is the torrent's */
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
};

/*
 * A hook may give witness_bytes of the other side (a session that answers),
 * but neither bytes of the same side, nor witness_close or witness_free: these
 * wait until witness_bytes has returned.
 */

struct witness;

/*
 * torrent: the swarm we dialled for, or NULL for an incoming connection, whose
 * handshake decides; lent, as are torrents that the hook names. conn: seq of
 * its dial, accept or flow record. who: the remote end; hooks and who are
 * copied. NULL on out of memory; later it dies (log_die) rather than forget.
 */
struct witness *witness_new(const struct witness_hooks *hooks,
    const struct torrent *torrent, int64_t conn, const struct endpoint *who);
/* Without witness_close nothing more is recorded. NULL is allowed. */
void witness_free(struct witness *w);

/* n bytes arrived from, or were written to the kernel for, one side. Copies
 * what it must keep. 0, or -1 when that side can no longer be understood. */
int witness_bytes(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at);

/* n bytes of a side are missing (captures only). */
void witness_gap(struct witness *w, enum side by, uint64_t n, struct stamp at);

/* Time passed: runs older than ten seconds are written down. Cheap; due every
 * second or so, since a run not yet written is lost in a crash. */
void witness_tick(struct witness *w, struct stamp at);

/*
 * The conversation ended: writes down what is open (runs, unfinished pieces
 * with the reason), then `closed` with byte counts and the digest of each
 * direction. by: "us", "peer" or "error"; why in a few words. Bytes that come
 * later are refused.
 */
void witness_close(struct witness *w, const char *by, const char *why,
    struct stamp at);

const struct claims *witness_claims(const struct witness *w, enum side by);
const struct torrent *witness_torrent(const struct witness *w);
/* The infohash matched: the peer's handshake bears this swarm's hash. */
bool witness_greeted(const struct witness *w);
uint64_t witness_count(const struct witness *w, enum side by);	/* bytes */
/* Heap bytes this witness holds now (for the memory figure). */
size_t witness_memory(const struct witness *w);

#endif
