/*
 * uTP datagrams (BEP 29): what one says, whoever sent it. The monitor's own
 * conversations (utp.h) and a dissector that only watches both use this.
 */
#ifndef WIRE_UTPPACKET_H
#define WIRE_UTPPACKET_H

#include "cur.h"

#define UTP_HEADER 20u
#define UTP_SACK_MAX 128u	/* bytes of selective ack that we send */

/*        name   text     type (BEP 29) */
#define UTP_TYPES(X) \
	X(DATA,  "data",  0) \
	X(FIN,   "fin",   1) \
	X(STATE, "state", 2) \
	X(RESET, "reset", 3) \
	X(SYN,   "syn",   4)

enum utp_type {
#define X(name, text, type) UTP_ST_##name = (type),
	UTP_TYPES(X)
#undef X
};

/* Extensions: BEP 29's, and what libtorrent adds to a closing packet. Others
 * are skipped; type 2 with 8 bytes is common in SYN and STATE. */
enum {
	UTP_EXT_END = 0,
	UTP_EXT_SACK = 1,
	UTP_EXT_CLOSE_REASON = 3
};

struct utp_packet {
	enum utp_type type;
	uint16_t conn_id;
	uint32_t stamp_us, diff_us;	/* the sender's clock when it sent, and
					 * how old our last packet was then */
	uint32_t window;
	uint16_t seq, ack;
	struct span sack;	/* bit i (low bit of a byte first) stands for
				 * ack + 2 + i; empty: none. BEP 29 wants a
				 * multiple of 4 bytes; libtorrent sends any */
	unsigned unknown;	/* extensions skipped */
	int32_t close_reason;	/* -1: none given */
	struct span payload;
};

/*
 * Reads one whole datagram; spans point into it. OK, or BAD with the reason
 * and the offset of the first byte at fault. Its shape alone does not make a
 * datagram uTP: see utp_packet_plausible.
 */
enum wire_status utp_packet_read(struct span datagram, struct utp_packet *p,
    struct wire_error *err);

/*
 * Whether a datagram may be uTP at all, for a socket that it shares with DHT
 * and trackers: version, type and extension chain are sound, types that carry
 * no data carry none, and a SYN, which comes first, answers nothing (so a
 * 20-byte DNS query, whose class stands where a SYN has its ack_nr, is none).
 * A SYN may then open a conversation; anything else must belong to one: look
 * it up by address, port and the ids below.
 */
bool utp_packet_plausible(struct span datagram, struct utp_packet *p);

/*
 * The receive ids under which the conversation of an incoming packet may be
 * known, likeliest first; how many. A RESET may bear either end's id. utp_takes
 * (utp.h) has the last word.
 */
size_t utp_packet_ids(const struct utp_packet *p, uint16_t ids[3]);

/* Writes header and, if p->sack is not empty, that extension; the bytes
 * written, 0 if they do not fit. The payload is the caller's to append. */
size_t utp_packet_put(uint8_t *out, size_t room, const struct utp_packet *p);

/* The RESET that answers a packet nobody expects; 0 for a RESET, which is
 * never answered. Not longer than any uTP packet, so it amplifies nothing. */
size_t utp_packet_refuse(uint8_t out[UTP_HEADER], const struct utp_packet *p,
    uint16_t seq, uint64_t now_us);

#endif
