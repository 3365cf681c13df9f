/*
 * IP packets put together from their fragments (RFC 791, RFC 8200 4.5, RFC
 * 5722). Of IPv4 fragments that overlap the first copy counts, unless they
 * differ: then the whole packet is refused. IPv6 fragments must not overlap. A
 * fragment that brings nothing new, and nothing else, is a repeat, no overlap.
 */
#ifndef CAPTURE_FRAGMENT_H
#define CAPTURE_FRAGMENT_H

#include "capture/packet.h"

#define FRAGMENT_PACKETS 256u	/* under way at once; then the oldest goes */
#define FRAGMENT_PARTS 128u	/* of one packet */
#define FRAGMENT_MEMORY (4u << 20)
#define FRAGMENT_WAIT_NS (30LL * 1000000000)

struct fragments;

enum fragment_status {
	FRAGMENT_WAIT,
	FRAGMENT_WHOLE,		/* *p is now the packet above IP */
	FRAGMENT_REFUSED	/* *reason; the packet is forgotten */
};

/* NULL on out of memory. */
struct fragments *fragments_new(void);
void fragments_free(struct fragments *f);

/* p: a PACKET_FRAGMENT. WHOLE: p's payload is lent until the next call. */
enum fragment_status fragments_add(struct fragments *f, struct packet *p,
    int64_t utc_ns, const char **reason);

/* IP packets given up, or still not whole, so far; heap bytes. */
uint64_t fragments_lost(const struct fragments *f);
size_t fragments_memory(const struct fragments *f);

#endif
