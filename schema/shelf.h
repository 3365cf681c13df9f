/*
 * Room for things that are given up in the order in which they were taken:
 * blocks, filled from their start, that go round. One thread takes, another
 * gives up; nothing is allocated for each of them.
 */
#ifndef SCHEMA_SHELF_H
#define SCHEMA_SHELF_H

#include <pthread.h>
#include <stddef.h>

struct shelf_block;

struct shelf {
	struct shelf_block *filling;	/* the taker's */
	struct shelf_block *emptying;	/* the other side's */
	size_t bytes;			/* of a block; larger things have one
					 * of their own */
	pthread_mutex_t lock;
	struct shelf_block *spare;
	unsigned spares;
};

void shelf_init(struct shelf *s, size_t block_bytes);
/* When nothing of it is used any more. */
void shelf_fini(struct shelf *s);

/* Room for n bytes, aligned for anything, and in *block where it lies. NULL: no
 * memory. */
void *shelf_take(struct shelf *s, size_t n, struct shelf_block **block);

/* What lay in that block, and whatever was taken before it, is given up. */
void shelf_give(struct shelf *s, struct shelf_block *block);

#endif
