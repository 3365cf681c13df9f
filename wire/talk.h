/*
 * One conversation of two peers, both directions, bytes in and events out.
 * Both directions, because an extended message bears the id that its receiver
 * announced. The same code serves the live monitor and the dissector. No I/O,
 * no clock, no heap: the caller keeps what is not yet whole and offers it
 * again with more.
 */
#ifndef WIRE_TALK_H
#define WIRE_TALK_H

#include "metadata.h"
#include "peerwire.h"
#include "pex.h"

/* Whose bytes. Live: the observer and the peer. Imported: the end that opened
 * the connection is SIDE_US only by position; nobody there is us. */
enum side {
	SIDE_PEER,
	SIDE_US
};

/* Extension messages known by name; ids are the receiver's (BEP 10). */
#define TALK_EXTENSIONS(X) \
	X(UT_METADATA, "ut_metadata") \
	X(UT_PEX, "ut_pex") \
	X(LT_DONTHAVE, "lt_donthave") \
	X(UPLOAD_ONLY, "upload_only") \
	X(UT_HOLEPUNCH, "ut_holepunch")

enum talk_ext {
	EXT_HANDSHAKE,
#define X(id, name) EXT_##id,
	TALK_EXTENSIONS(X)
#undef X
	EXT_UNKNOWN
};
const char *talk_ext_name(enum talk_ext x);

enum event_kind {
	EV_HANDSHAKE,	/* .hs */
	EV_MESSAGE,	/* .msg: everything but piece and extended */
	EV_EXTENDED,	/* .ext and what belongs to it: EXT_HANDSHAKE: .xh,
			 * EXT_UT_METADATA: .metadata, EXT_UT_PEX: .pex,
			 * EXT_LT_DONTHAVE: .msg.index; .msg.payload is what
			 * follows the extended id */
	EV_BLOCK,	/* .msg (index, begin, bytes), .at, .part, .last */
	EV_MALFORMED,	/* .err; .msg as far as it was read; .fatal: this side
			 * is opaque from here on */
	EV_GAP		/* .at: bytes missing; .fatal as above, else it lies
			 * inside a block */
};

struct event {
	enum event_kind kind;
	enum side by;
	uint64_t offset;	/* in this side's stream, of the first byte of
				 * the message (of the part, for a block) */
	struct span raw;	/* the whole message with its length prefix; for
				 * the first part of a block its 13-byte head;
				 * malformed: the bytes at fault */
	struct pw_handshake hs;
	struct pw_msg msg;
	enum talk_ext ext;
	union {
		struct pw_extended xh;
		struct metadata_msg metadata;
		struct pex_msg pex;
	};
	uint64_t at;		/* block: offset of .part in the block */
	struct span part;	/* may be empty while only the head is there */
	bool last;		/* block: its last part */
	struct wire_error err;	/* malformed: offset within .raw */
	bool fatal;
};

#define TALK_FRAME_MIN 32768u		/* frame bound: max of this ... */
#define TALK_FRAME_UNKNOWN 1048576u	/* ... and 5 + ceil(pieces/8); before
					 * the metadata is known, this */

struct talk_side {
	uint64_t offset;	/* bytes taken so far */
	uint32_t index, begin, bytes, done;	/* the block being streamed */
	uint8_t ext[EXT_UNKNOWN];	/* id this side announced for each
					 * extension; 0: none */
	bool greeted;		/* its handshake was seen */
	bool opaque;
	bool in_block;
	bool skip;		/* that block was malformed: pass over it */
	uint8_t reserved[8];
};

struct talk {
	struct talk_side side[2];	/* by enum side */
	uint32_t pieces;	/* 0: not known */
};

/* pieces: of the torrent if known, else 0; talk_pieces when it is learnt. */
void talk_init(struct talk *t, uint32_t pieces);
void talk_pieces(struct talk *t, uint32_t pieces);

/*
 * The next event of one side. OK: *ev is filled (spans point into *in) and *in
 * moved past it. MORE: *in moved past what needs no keeping; offer the rest
 * again with more behind it. Never BAD: malformed input is an event. A frame of
 * wrong content but sound length (a bitfield of wrong size or with spare bits
 * set, a short extended dict, a PEX message that is no dict) is malformed and
 * not fatal; one that loses the framing is fatal, and all later bytes of that
 * side are swallowed. Messages before the handshake are malformed, fatal. A
 * piece index that the torrent does not have is malformed, not fatal; of such a
 * piece message only the head is told. Events do not depend on how the bytes
 * were cut, but for the parts of a block. An extended message is read with what
 * the other side had announced by then: offer the two sides' bytes in the order
 * of arrival.
 */
enum wire_status talk_next(struct talk *t, enum side by, struct cur *in,
    struct event *ev);

/* n bytes of one side are missing. The side is opaque from here, except that a
 * gap wholly inside a block's payload leaves the framing sound; if it takes
 * the block's end, no EV_BLOCK with .last follows. n 0: nobody knows how many
 * are missing, so it may reach anywhere. Bytes kept from before a gap may still
 * be offered: they are swallowed. */
void talk_gap(struct talk *t, enum side by, uint64_t n, struct event *ev);
/* Whether it would leave the framing sound. */
bool talk_outlives(const struct talk *t, enum side by, uint64_t n);

/* The most bytes a caller may have to keep of one side. */
size_t talk_keep_max(const struct talk *t);

/*
 * Checks a bitfield against the number of pieces: NULL if it is exactly
 * ceil(pieces/8) bytes with spare bits zero (BEP 3), else the reason.
 */
const char *talk_bitfield_fault(struct span bits, uint32_t pieces);

#endif
