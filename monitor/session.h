/*
 * The policy towards one peer: what is said to it, when, and why we leave. A
 * state machine without I/O, clock or heap. It gives nothing: there is no way
 * from here to a piece, a bitfield or a have of ours.
 */
#ifndef MONITOR_SESSION_H
#define MONITOR_SESSION_H

#include "monitor/asks.h"
#include "monitor/budget.h"
#include "monitor/extend.h"
#include "monitor/sample.h"
#include "wire/hashes.h"

#define SESSION_PIECES_MAX 8	/* pieces they may be of: ASSEMBLY_LIVE */
#define SESSION_FAST_MAX 16	/* allowed_fast pieces kept in mind */
#define SESSION_OUT_MIN 1024	/* room that one step may need */

/* What the swarm's torrent says, as far as the policy must know. */
struct session_swarm {
	uint8_t infohash[2][20];	/* what handshakes bear */
	int hashes;
	uint32_t pieces;	/* 0: the metadata is not known */
	bool v2, is_private;
	bool decoy;		/* nobody shares this: who answers is done */
	const void *ctx;
	/* Length of a piece; 0: not to be asked for, because nothing could
	 * tell whether what came is right. */
	uint32_t (*piece_bytes)(const void *ctx, uint32_t piece);
	/* NULL, or whether the piece's hash is still to be asked for (v2). */
	bool (*unproven)(const void *ctx, uint32_t piece);
	/* The request for it, or for those of the piece's blocks; 0: none. Not
	 * NULL if unproven is not. */
	size_t (*hash_request)(const void *ctx, uint32_t piece, bool blocks,
	    uint8_t out[HASHES_REQUEST_BYTES]);
};

/* The same for all sessions of a run. */
struct session_conf {
	uint8_t peer_id[20];
	uint16_t listen_port;
	const char *version;
	bool dht;		/* we have a node, and want to hear of others' */
	int sample;		/* pieces per peer; 0: none; -1: all claimed */
	unsigned outstanding;	/* 1 .. SESSION_ASKS_MAX */
	bool no_pex;
	uint8_t seed[SAMPLE_SEED];
};

enum session_state {
	S_GREET,	/* handshakes under way */
	S_SETTLE,	/* its claims may still change */
	S_HASHES,	/* what a piece must hash to is asked for */
	S_WANT,		/* interested, and choked */
	S_ASK,		/* pieces are being asked for */
	S_LINGER,	/* nothing to ask; its messages are worth hearing */
	S_CLOSED
};

/* What the conversation came to, for whoever decides on the next visit. */
enum session_outcome {
	SESSION_SILENT,		/* no handshake */
	SESSION_OTHER,		/* a handshake for another infohash */
	SESSION_SELF,		/* we met ourselves */
	SESSION_MET		/* a handshake for this swarm */
};

struct session {
	const struct session_conf *conf;
	enum session_state state;
	enum session_outcome outcome;
	int64_t until_ns;	/* the state's deadline */
	int64_t settled_ns;	/* settling ends here at the latest */
	int64_t spoke_ns;	/* we last sent something */
	int64_t want_ns;	/* when S_WANT was entered */
	struct endpoint who;
	bool incoming, answered;
	bool fast, extended;	/* both sides speak it */
	bool choked, interested;
	struct budget budget;
	int64_t leave_ns;	/* lingering ends; 0: not begun */
	struct sample sample;
	struct extend extend;
	unsigned refused;	/* pieces it would not give */
	uint32_t newest[2];	/* pieces it told last, not asked for since */
	bool bare;		/* it claimed to have none at first */
	bool picky;		/* it gives only what it claimed last, as super-
				 * seeds do: of those refused, some return */
	unsigned unproved;	/* hashes it would not give */
	unsigned hashes_due;	/* answers to requests for hashes */
	struct sample_draw wanted;	/* S_HASHES: the piece */
	uint32_t fast_pieces[SESSION_FAST_MAX];
	unsigned fast_count, fast_tried;
	/* the piece that requests are cut from, and what is under way */
	bool in_hand;
	uint32_t piece, piece_bytes, next;
	struct session_ask ask[SESSION_ASKS_MAX];
};

enum session_in_kind {
	IN_CONNECTED,
	IN_EVENT,	/* .ev, one of the peer's */
	IN_TIMEOUT,	/* the deadline given has passed */
	IN_FETCH,	/* ask for block .block of the metadata */
	IN_LEARNT,	/* the metadata became known */
	IN_END		/* we stop: say what is polite, then close */
};

struct session_in {
	enum session_in_kind kind;
	int64_t now_ns;			/* monotonic */
	const struct event *ev;
	uint32_t block;
	/* The swarm; for an incoming connection the one whose infohash its
	 * handshake bears, NULL before and if there is none. */
	const struct session_swarm *swarm;
	const uint8_t *claimed;		/* bits, high first; NULL: none, or all */
	uint32_t claimed_count;
};

struct session_out {
	uint8_t *bytes;		/* lent, at least SESSION_OUT_MIN free */
	size_t room, n;		/* n: used; a step appends */
	const char *close;	/* set: close, for this reason */
};

void session_init(struct session *s, const struct session_conf *conf,
    const struct endpoint *who, bool incoming, int64_t now_ns);

/* Lends zeroed bits for every piece of the torrent, before the handshake's
 * event or at the latest in the step before claims: a large sample needs it. */
void session_map(struct session *s, uint8_t *map);

/* Moves the session by one input. Nothing moves it once it is closed. */
void session_step(struct session *s, const struct session_in *in,
    struct session_out *out);

/* When IN_TIMEOUT is due, monotonic ns. */
int64_t session_deadline(const struct session *s);

#endif
