/*
 * What one captured packet says, from the link layer up to TCP or UDP. Pure.
 * Links: Ethernet with any 802.1Q/802.1ad/QinQ tags, Linux SLL and SLL2, raw
 * IP, BSD loopback of either byte order, PPP, PPPoE. RFC 791, 8200, 9293, 768.
 */
#ifndef CAPTURE_PACKET_H
#define CAPTURE_PACKET_H

#include "wire/endpoint.h"

/* LINKTYPE_ numbers (www.tcpdump.org/linktypes.html), and the DLT_ values of
 * raw IP that old files have in their place. */
enum packet_link {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_PPP = 9,
	LINK_DLT_RAW = 12,
	LINK_DLT_RAW_OPENBSD = 14,
	LINK_PPP_HDLC = 50,
	LINK_PPP_ETHER = 51,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_PPP_PPPD = 166,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276
};

enum packet_kind {
	PACKET_TCP,
	PACKET_UDP,
	PACKET_FRAGMENT,	/* of an IP packet; .payload is its part */
	PACKET_OTHER,		/* not IP, or another protocol above it */
	PACKET_CUT,		/* the capture ends within a header */
	PACKET_MALFORMED	/* .err */
};

enum {
	PACKET_FIN = 0x01,
	PACKET_SYN = 0x02,
	PACKET_RST = 0x04,
	PACKET_ACK = 0x10
};

struct packet {
	enum packet_kind kind;
	struct endpoint from, to;	/* fragment: port 0 */
	size_t ip;		/* where the IP packet begins in the frame; 0 also
				 * where there is none */
	struct span payload;	/* of TCP or UDP, as far as captured; padding
				 * behind the IP packet is none of it */
	uint32_t missing;	/* payload bytes that the capture cut off */
	uint32_t seq, ack;	/* TCP; ack is 0 without PACKET_ACK */
	uint8_t flags;		/* TCP */
	uint8_t protocol;	/* IP protocol above; also of a fragment */
	bool more;		/* fragment: others follow */
	uint16_t at;		/* fragment: its offset in bytes */
	uint32_t id;		/* fragment: identification */
	struct wire_error err;	/* malformed: offset within the frame; other:
				 * reason, if the link type is not known */
};

/* length: of the frame on the wire (bytes.n unless the capture cut it). */
void packet_read(uint32_t link, struct span bytes, uint32_t length,
    struct packet *p);

/* Likewise TCP or UDP of a reassembled IP packet, whose ends, protocol and
 * kind are in *p already. */
void packet_read_transport(struct span bytes, struct packet *p);

#endif
