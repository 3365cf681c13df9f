#include "schema/shelf.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SPARES 8u		/* kept; others go back to the system */

struct shelf_block {
	struct shelf_block *next;	/* among the spares */
	size_t used, room;
	_Alignas(max_align_t) unsigned char bytes[];
};

#ifdef SW_SANITIZED	/* whose ends are watched */
static struct shelf_block *map_block(size_t room)
{
	struct shelf_block *b = malloc(sizeof(*b) + room);

	if (b)
		b->room = room;
	return b;
}

static void unmap_block(struct shelf_block *b)
{
	free(b);
}
#else
/* Pages of its own, so that what a long queue took is given back to the system
 * and not kept by the heap; asked for at once, for met one by one each costs the
 * taker a fault. */
static struct shelf_block *map_block(size_t room)
{
	struct shelf_block *b = mmap(NULL, sizeof(*b) + room, PROT_READ |
	    PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (b == MAP_FAILED)
		return NULL;
	b->room = room;
	return b;
}

static void unmap_block(struct shelf_block *b)
{
	if (b)
		munmap(b, sizeof(*b) + b->room);
}
#endif

void shelf_init(struct shelf *s, size_t block_bytes)
{
	*s = (struct shelf){ .bytes = block_bytes };
	pthread_mutex_init(&s->lock, NULL);
}

void shelf_fini(struct shelf *s)
{
	struct shelf_block *b;

	if (s->emptying != s->filling)
		unmap_block(s->emptying);
	unmap_block(s->filling);
	while ((b = s->spare) != NULL) {
		s->spare = b->next;
		unmap_block(b);
	}
	pthread_mutex_destroy(&s->lock);
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
	if (!b)
		b = map_block(room);
	if (b)
		b->used = 0;
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
	unmap_block(b);
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
