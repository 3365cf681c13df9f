/*
 * Local service discovery (BEP 14): datagrams of one link's multicast groups
 * that say which torrents a host has. The peer is the datagram's source
 * address with the port that it states.
 */
#ifndef WIRE_LSD_H
#define WIRE_LSD_H

#include "cur.h"

#define LSD_GROUP4 "239.192.152.143"
#define LSD_GROUP6 "ff15::efc0:988f"
#define LSD_PORT 6771u
#define LSD_SENT_MAX 1400u		/* BEP 14 */
#define LSD_HEARD_MAX 4096u		/* longer is malformed */

enum lsd_odd {
	LSD_ODD_LINES = 1,	/* ended by a lone LF, not terminated by an
				 * empty one, or without a colon */
	LSD_ODD_HASH = 2,	/* an infohash not of 40 hex digits */
	LSD_ODD_REPEATED = 4	/* port, cookie or host given twice */
};

struct lsd_msg {
	struct span host;	/* the group, as stated; may be empty */
	struct span cookie;	/* .p NULL: none. Ours: our own datagram */
	uint16_t port;
	uint32_t hashes;	/* that are well-formed */
	unsigned odd;		/* lsd_odd bits */
	struct span lines;	/* all headers, for lsd_hash */
};
/* Reads one datagram. OK, or BAD with *err: not a BT-SEARCH, or without a
 * port from 1 to 65535 or any infohash. */
enum wire_status lsd_read(struct span datagram, struct lsd_msg *m,
    struct wire_error *err);

/* The next infohash; false at the end. Start with cur_of(m->lines). */
bool lsd_hash(struct cur *lines, uint8_t hash[20]);

/* The announcement of n torrents to the group of family 4 or 6. Bytes written,
 * or 0 if there are none or they do not fit. */
size_t lsd_put(uint8_t *out, size_t room, int family, uint16_t port,
    struct span cookie, const uint8_t (*hash)[20], size_t n);

#endif
