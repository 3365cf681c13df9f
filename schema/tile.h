/*
 * The tree as it is kept: full tiles of 256 nodes (docs/evidence-format.md) go
 * to storage, the rest of each level stays here.
 */
#ifndef SCHEMA_TILE_H
#define SCHEMA_TILE_H

#include "schema/merkle.h"

#define TILE 256u
#define TILE_LEVELS 8u		/* 256^8 leaves: more than seq can count */

/* Keeps a full tile; -1 stops. */
typedef int tile_put_fn(void *ctx, unsigned level, uint64_t n,
    const struct hash hashes[TILE]);

struct tile_level {
	struct hash hash[TILE];
	struct merkle tree;	/* of the hashes so far */
};

struct tiles {
	uint64_t size;		/* leaves */
	struct tile_level level[TILE_LEVELS];
};

void tile_init(struct tiles *t);
/* The next leaf. What put says if a tile became full, else 0. */
int tile_add(struct tiles *t, const struct hash *leaf, tile_put_fn *put,
    void *ctx);
struct hash tile_root(const struct tiles *t);

/*
 * For a tree that exists: empties t, says it has size leaves. The caller then
 * gives each level its tile_missing() entries with tile_load.
 */
void tile_start(struct tiles *t, uint64_t size);
/* Entries of level's last, not full tile. */
unsigned tile_missing(uint64_t size, unsigned level);
/* Full tiles of level. */
uint64_t tile_full(uint64_t size, unsigned level);
void tile_load(struct tiles *t, unsigned level, const struct hash *entry);

#endif
