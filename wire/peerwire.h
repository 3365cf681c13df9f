/*
 * The peer wire protocol's handshake and messages (BEP 3, 6, 10, 52, 54):
 * said once, in one table, from which decoding, names, limits and tests grow.
 */
#ifndef WIRE_PEERWIRE_H
#define WIRE_PEERWIRE_H

#include "cur.h"

#define PW_HANDSHAKE 68u
#define PW_BLOCK 16384u		/* what we ask for */
#define PW_BLOCK_MAX 131072u	/* the most a piece message may carry */
#define PW_CLIENT_MAX 64

/*        name            text              id  least, most after it
 * BEP 3: 0-8. BEP 5: 9. BEP 6: 13-17. BEP 10: 20. BEP 52: 21-23. */
#define PW_MESSAGES(X) \
	X(CHOKE,          "choke",           0,  0, 0) \
	X(UNCHOKE,        "unchoke",         1,  0, 0) \
	X(INTERESTED,     "interested",      2,  0, 0) \
	X(NOT_INTERESTED, "not_interested",  3,  0, 0) \
	X(HAVE,           "have",            4,  4, 4) \
	X(BITFIELD,       "bitfield",        5,  0, UINT32_MAX) \
	X(REQUEST,        "request",         6, 12, 12) \
	X(PIECE,          "piece",           7,  8, 8 + PW_BLOCK_MAX) \
	X(CANCEL,         "cancel",          8, 12, 12) \
	X(PORT,           "port",            9,  2, 2) \
	X(SUGGEST,        "suggest",        13,  4, 4) \
	X(HAVE_ALL,       "have_all",       14,  0, 0) \
	X(HAVE_NONE,      "have_none",      15,  0, 0) \
	X(REJECT,         "reject",         16, 12, 12) \
	X(ALLOWED_FAST,   "allowed_fast",   17,  4, 4) \
	X(EXTENDED,       "extended",       20,  1, UINT32_MAX) \
	X(HASH_REQUEST,   "hash_request",   21, 48, 48) \
	X(HASHES,         "hashes",         22, 48, UINT32_MAX) \
	X(HASH_REJECT,    "hash_reject",    23, 48, 48)

enum pw_id {
#define X(name, text, id, least, most) PW_##name = (id),
	PW_MESSAGES(X)
#undef X
	PW_KEEPALIVE = 256,	/* a length of zero; not an id on the wire */
	PW_UNKNOWN = 257
};

/* Reserved bits, as (byte, mask). */
#define PW_HAS_EXT(r) (((r)[5] & 0x10) != 0)	/* BEP 10 */
#define PW_HAS_FAST(r) (((r)[7] & 0x04) != 0)	/* BEP 6 */
#define PW_HAS_DHT(r) (((r)[7] & 0x01) != 0)	/* BEP 5 */
#define PW_HAS_V2(r) (((r)[7] & 0x10) != 0)	/* BEP 52 */

struct pw_handshake {
	uint8_t reserved[8];
	uint8_t infohash[20];
	uint8_t peer_id[20];
};

/* One frame's fixed part, decoded. Which fields hold depends on id. */
struct pw_msg {
	enum pw_id id;
	uint8_t wire_id;	/* as sent; for PW_UNKNOWN too */
	uint32_t length;	/* the frame's length field */
	uint32_t index, begin, bytes;	/* have, request, cancel, reject, piece
					 * (bytes: of the block), suggest,
					 * allowed_fast */
	uint16_t port;
	uint8_t ext_id;		/* extended */
	/* 21-23 (BEP 52): */
	struct span root;	/* 32 bytes */
	uint32_t base, at, count, proofs;
	struct span payload;	/* bitfield, extended (after its id), hashes,
				 * unknown */
	bool lost;		/* BAD: and where the next frame starts is not
				 * known */
};

/* The 68-byte handshake. BAD: not BitTorrent (offset of the first wrong byte,
 * decided as early as the bytes allow). */
enum wire_status pw_handshake_next(struct cur *in, struct pw_handshake *h,
    struct wire_error *err);
void pw_handshake_put(uint8_t out[PW_HANDSHAKE], const struct pw_handshake *h);

/*
 * Decodes one frame, its length prefix included. A PIECE is OK as soon as its
 * 13-byte head is there: *in then stands at the block's first byte and the
 * caller streams m->bytes of payload itself. Every other frame must be whole
 * and no longer than frame_max (its length prefix counted), refused before it
 * is waited for. BAD moves *in past the bytes at fault: the whole frame if
 * only its content is wrong, or with m->lost those that say that its length
 * cannot be believed. Offsets count from in->p as given.
 */
enum wire_status pw_next(struct cur *in, size_t frame_max, struct pw_msg *m,
    struct wire_error *err);

/*
 * Writers: bytes written to out, which has room for PW_SMALL_MAX, or for an
 * extended message 6 + payload.n. There is none for piece, bitfield, have or
 * have_all, and there shall be none: an observer gives nothing, and
 * pw_put_empty writes nothing (0) for an id that is not in its list.
 */
#define PW_SMALL_MAX 17
size_t pw_put_empty(uint8_t *out, enum pw_id id); /* choke, unchoke,
				* interested, not_interested, have_none */
size_t pw_put_keepalive(uint8_t *out);
size_t pw_put_request(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes);
size_t pw_put_cancel(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes);
size_t pw_put_reject(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes);
/* 0 if it does not fit in room. */
size_t pw_put_extended(uint8_t *out, size_t room, uint8_t ext_id,
    struct span payload);

/* Names for ids ("have_all"); "unknown" for the rest. */
const char *pw_name(enum pw_id id);

/*
 * The extended handshake's dict (BEP 10), what we read of it. Spans point into
 * the payload. Numbers that are absent, negative or of another type are -1.
 */
struct pw_extended {
	struct span m;		/* inside of the m dict */
	struct span v;		/* client, as claimed */
	struct span yourip;	/* 4 or 16 bytes, or empty */
	int64_t p, reqq, upload_only, e, metadata_size;
	bool odd;		/* keys unsorted, trailing bytes, a key of a
				 * wrong type, an id beyond 255 ... */
};
enum wire_status pw_extended_read(struct span payload, struct pw_extended *x,
    struct wire_error *err);

/*
 * The client a peer id claims (BEP 20; Azureus, Shadow and Mainline styles):
 * "qBittorrent 4.5.2". Unknown prefixes give their printable bytes, or
 * "unknown". Printable ASCII always. It is a claim and no identity.
 */
const char *pw_client(const uint8_t peer_id[20], char buf[PW_CLIENT_MAX]);

#endif
