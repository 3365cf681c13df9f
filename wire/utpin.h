/*
 * The receiving half of a uTP conversation: packets in any order in, bytes in
 * order out. The caller lends the blocks; a dissector that follows one
 * direction may use it alone.
 */
#ifndef WIRE_UTPIN_H
#define WIRE_UTPIN_H

#include "cur.h"

#define UTP_BLOCK 1460u		/* a packet's payload on Ethernet fits one */
#define UTP_REORDER 1024u	/* packets, how far ahead one may be */

/* Enough blocks for a window of that many bytes if packets carry 1 KiB or
 * more. Blocks that were never needed are never touched. */
#define UTP_BLOCKS(window) ((uint16_t)((window) / 1024u + 16u))

struct utp_block {
	uint16_t next, n;
	uint8_t data[UTP_BLOCK];
};

struct utpin {
	struct utp_block *blocks;
	uint16_t nblocks, used, fresh, spare;	/* in use; first never used;
						 * chain of returned ones */
	uint16_t ack;		/* the last packet in order */
	uint16_t slot[UTP_REORDER];	/* by seq: a chain kept until the gap
					 * before it closes */
	uint16_t ahead, high;	/* packets kept so, the furthest of them */
	uint16_t head, tail;	/* bytes in order, not yet consumed */
	size_t at;		/* consumed of the head block */
	uint32_t window, kept, ready;	/* bytes: most, ahead, in order */
	uint32_t largest;	/* payload seen */
	uint16_t fin;
	bool fin_known, eof;	/* eof: every byte before the FIN is in order */
	bool deaf;		/* what comes now is acknowledged, not kept */
};

enum utpin_result {
	UTPIN_NEW,
	UTPIN_DUPLICATE,
	UTPIN_OUTSIDE		/* beyond what may be kept: dropped */
};

/* Whose first packet in order will be seq first. window: the most bytes kept,
 * at most nblocks * UTP_BLOCK. */
void utpin_init(struct utpin *in, struct utp_block *blocks, uint16_t nblocks,
    uint32_t window, uint16_t first);

enum utpin_result utpin_put(struct utpin *in, uint16_t seq, struct span payload,
    bool fin);

/* Bytes in order, as many as stand together; empty if there are none. Valid
 * until the next utpin_consume, which takes n of them or fewer. */
struct span utpin_read(const struct utpin *in);
void utpin_consume(struct utpin *in, size_t n);

/* From now on what arrives is dropped once it is in order. */
void utpin_deafen(struct utpin *in);

/* Bytes that may be advertised now. */
uint32_t utpin_window(const struct utpin *in);

/* The selective ack: its length, a multiple of 4, or 0 if nothing is ahead or
 * room is less than 4. The first bit stands for ack + 2. */
size_t utpin_sack(const struct utpin *in, uint8_t *out, size_t room);

#endif
