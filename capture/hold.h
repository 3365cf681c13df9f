/*
 * Segments of one direction that wait for what comes before them, in order of
 * their keys. The first copy of anything stays; none overlap.
 */
#ifndef CAPTURE_HOLD_H
#define CAPTURE_HOLD_H

#include "capture/flow.h"

#define HOLD_SEGMENTS 16384u

struct segment {
	uint32_t key;		/* of its first unit; TCP: sequence number */
	uint32_t units;		/* TCP: bytes; uTP: 1 */
	uint32_t need;		/* what the other side must have told before */
	uint32_t missing;	/* bytes that the capture cut off its end */
	struct span s;
	uint64_t offset;	/* of s in the file; 0: none */
	struct flow_at at;
};

struct hold {
	struct segment **seg;	/* [head, head + n) of room */
	uint32_t head, n, room;
	size_t bytes;		/* heap bytes of segments */
};

/* Heap bytes that it accounts for. */
size_t hold_memory(const struct hold *h);

/* The place of the first segment that ends after key. */
uint32_t hold_find(const struct hold *h, uint32_t key);

/* The n-th from the front, or NULL. */
struct segment *hold_at(const struct hold *h, uint32_t n);

/* Puts a copy in at place n; false: HOLD_SEGMENTS are there (or no memory). */
bool hold_put(struct hold *h, uint32_t n, const struct segment *s);

/* Takes the first out; the caller frees it. */
struct segment *hold_take(struct hold *h);

void hold_clear(struct hold *h);

#endif
