/*
 * Finds what belongs to a 20-byte hash: which swarm an infohash names, which
 * one an encrypted handshake means. Those that are put in are the operator's,
 * but torrents are made by others.
 */
#ifndef MONITOR_HASHINDEX_H
#define MONITOR_HASHINDEX_H

#include <stdint.h>

#include "wire/mix.h"

struct hashindex_row {
	uint8_t hash[20];
	void *value;		/* NULL: free */
	int n;			/* the caller's, kept beside the value */
};

struct hashindex {
	struct hashindex_row *row;
	uint32_t count, room;	/* room: a power of two, or 0 */
	uint64_t key[MIX_KEYS(20)];	/* of the hash, drawn with the first rows */
};

/* Of two rows with one hash the first put in stands. -1: no memory. */
int hashindex_add(struct hashindex *t, const uint8_t hash[20], void *value,
    int n);
/* Only if it is there with this value. */
void hashindex_remove(struct hashindex *t, const uint8_t hash[20],
    const void *value);
const struct hashindex_row *hashindex_find(const struct hashindex *t,
    const uint8_t hash[20]);
void hashindex_fini(struct hashindex *t);

#endif
