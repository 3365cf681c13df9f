/*
 * The sending half of a uTP conversation: bytes in, packets out, and sent
 * again until they are acknowledged. The caller lends the ring that keeps them
 * so long.
 */
#ifndef WIRE_UTPOUT_H
#define WIRE_UTPOUT_H

#include "ledbat.h"
#include "utppacket.h"

#define UTP_UNDERWAY 128u	/* packets, a power of two */

struct utp_sent {
	uint64_t offset;	/* of its first byte in the stream */
	uint64_t at_us, order;	/* of its last transmission; order counts
				 * transmissions */
	uint16_t n;
	uint8_t times;		/* transmitted, at most 255 */
	uint8_t type;		/* enum utp_type */
	bool lost, sacked;
};

struct utpout {
	struct utp_sent sent[UTP_UNDERWAY];	/* by seq */
	uint8_t *ring;
	size_t room;
	uint64_t head, cut, tail;	/* stream offsets: first not acked,
					 * first not in a packet, end */
	uint16_t una, next;	/* seq: first not acked, next to be used */
	uint32_t under_way;	/* bytes sent, neither acked nor lost */
	uint32_t lost;		/* packets to be sent again */
	uint64_t order, newest;	/* transmissions; the last known to arrive */
	uint64_t cut_order;	/* losses among these were paid for */
	uint64_t acked;		/* packets, ever */
	uint8_t duplicates;
	struct ledbat pace;
};

void utpout_init(struct utpout *o, uint8_t *ring, size_t room, uint16_t seq,
    uint32_t mss);

/* Keeps as many of the bytes as the ring takes; how many. */
size_t utpout_write(struct utpout *o, struct span bytes);

/* What an incoming packet's ack_nr and selective ack say. */
enum utpout_ack {
	UTPOUT_OLD,		/* nothing: overtaken on its way */
	UTPOUT_SAME,		/* nothing new */
	UTPOUT_PROGRESS,	/* packets arrived */
	UTPOUT_NEVER_SENT	/* it cannot know what it acknowledges */
};
enum utpout_ack utpout_ack(struct utpout *o, const struct utp_packet *p,
    uint64_t now_us);

/*
 * The next packet that may go, and marks it as sent: a lost one again, else a
 * new one cut from the stream. window: what the far end allows; probe: one
 * packet may go in spite of it. False: nothing may go now. utpout_copy gives
 * the payload.
 */
bool utpout_next(struct utpout *o, uint32_t window, bool probe,
    uint64_t now_us, uint16_t *seq, struct utp_sent **e);
void utpout_copy(const struct utpout *o, const struct utp_sent *e,
    uint8_t *out);

/* Adds a SYN or FIN, which takes a sequence number and no bytes. False: too
 * much is under way. */
bool utpout_control(struct utpout *o, enum utp_type type);

/* No word for too long: all that is under way counts as lost. */
void utpout_timeout(struct utpout *o);

static inline uint16_t utpout_underway(const struct utpout *o)
{
	return (uint16_t)(o->next - o->una);
}

#endif
