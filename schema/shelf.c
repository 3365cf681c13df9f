#include "schema/shelf.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPARES 8u		/* kept; others go back to the system */

struct shelf_block {
	struct shelf_block *next;	/* among the spares */
	size_t used, room;
	_Alignas(max_align_t) unsigned char bytes[];
};

void shelf_init(struct shelf *s, size_t block_bytes)
{
	*s = (struct shelf){ .bytes = block_bytes };
	pthread_mutex_init(&s->lock, NULL);
}

void shelf_fini(struct shelf *s)
{
	struct shelf_block *b;

	if (s->emptying != s->filling)
		free(s->emptying);
	free(s->filling);
	while ((b = s->spare) != NULL) {
		s->spare = b->next;
		free(b);
	}
	pthread_mutex_destroy(&s->lock);
}

/* Its pages are asked for at once: met one by one, each costs the taker a
 * fault. A kernel that knows no such request (before 5.14) does it so. */
static void populate(struct shelf_block *b)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)b + page - 1) / page * page;
	uintptr_t to = ((uintptr_t)b->bytes + b->room) / page * page;

	if (to > from)
		(void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}

static struct shelf_block *open_block(struct shelf *s, size_t n)
{
	size_t room = n > s->bytes ? n : s->bytes;
	struct shelf_block *b = NULL;

	pthread_mutex_lock(&s->lock);
	if (room == s->bytes && s->spare) {
		b = s->spare;
		s->spare = b->next;
		s->spares--;
	}
	pthread_mutex_unlock(&s->lock);
	if (b) {
		b->used = 0;
		return b;
	}
	b = malloc(sizeof(*b) + room);
	if (b) {
		b->used = 0;
		b->room = room;
		populate(b);
	}
	return b;
}

void *shelf_take(struct shelf *s, size_t n, struct shelf_block **block)
{
	struct shelf_block *b = s->filling;

	n = (n + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) *
	    _Alignof(max_align_t);
	/* A block once left is not filled again: so blocks are given up whole,
	 * in order, by whoever meets the next. */
	if (!b || n > b->room - b->used)
		s->filling = b = open_block(s, n);
	*block = b;
	if (!b)
		return NULL;
	b->used += n;
	return b->bytes + b->used - n;
}

static void put_back(struct shelf *s, struct shelf_block *b)
{
	pthread_mutex_lock(&s->lock);
	if (b->room == s->bytes && s->spares < SPARES) {
		b->next = s->spare;
		s->spare = b;
		s->spares++;
		b = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	free(b);
}

void shelf_give(struct shelf *s, struct shelf_block *block)
{
	struct shelf_block *before = s->emptying;

	if (block == before)
		return;
	s->emptying = block;
	if (before)
		put_back(s, before);
}
