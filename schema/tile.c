#include "schema/tile.h"

void tile_init(struct tiles *t)
{
	tile_start(t, 0);
}

void tile_start(struct tiles *t, uint64_t size)
{
	t->size = size;
	for (unsigned i = 0; i < TILE_LEVELS; i++)
		merkle_init(&t->level[i].tree);
}

uint64_t tile_full(uint64_t size, unsigned level)
{
	return level + 1 < TILE_LEVELS ? size >> 8 * (level + 1) : 0;
}

unsigned tile_missing(uint64_t size, unsigned level)
{
	return (unsigned)(size >> 8 * level & (TILE - 1));
}

void tile_load(struct tiles *t, unsigned level, const struct hash *entry)
{
	struct tile_level *l = &t->level[level];

	l->hash[l->tree.size & (TILE - 1)] = *entry;
	merkle_add(&l->tree, entry);
}

int tile_add(struct tiles *t, const struct hash *leaf, tile_put_fn *put,
    void *ctx)
{
	struct hash h = *leaf;
	int got = 0;

	t->size++;
	for (unsigned i = 0; i < TILE_LEVELS; i++) {
		struct tile_level *l = &t->level[i];

		tile_load(t, i, &h);
		if (l->tree.size < TILE)
			break;
		if (put(ctx, i, (t->size >> 8 * (i + 1)) - 1, l->hash) < 0)
			got = -1;
		h = merkle_root(&l->tree);
		merkle_init(&l->tree);
	}
	return got;
}

struct hash tile_root(const struct tiles *t)
{
	struct merkle all;

	/* Bit k of level i's count is bit 8 i + k of the size: their edges
	 * are the whole tree's edge. */
	all.size = t->size;
	for (unsigned i = 0; i < TILE_LEVELS; i++)
		for (unsigned k = 0; k < 8; k++)
			if (t->level[i].tree.size >> k & 1)
				all.edge[8 * i + k] = t->level[i].tree.edge[k];
	return merkle_root(&all);
}
