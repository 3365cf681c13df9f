#include "monitor/utptable.h"

#include <stdlib.h>

#include "monitor/hosts.h"

#define LEAST 16u

/* By endpoint alone: of one endpoint there are few. */
static struct utptable_row **head_of(const struct utptable *t,
    const struct endpoint *who)
{
	return &t->bucket[hosts_hash(t->key, 0, who) & (t->room - 1)];
}

static void sit(struct utptable *t, struct utptable_row *r, uint32_t at)
{
	t->heap[at] = r;
	r->place = at;
}

/* Towards the top or the bottom, to where it belongs. */
static void settle(struct utptable *t, struct utptable_row *r, uint32_t at)
{
	while (at > 0 && t->heap[(at - 1) / 2]->due_us > r->due_us) {
		sit(t, t->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	for (uint32_t down; (down = 2 * at + 1) < t->count; at = down) {
		if (down + 1 < t->count &&
		    t->heap[down + 1]->due_us < t->heap[down]->due_us)
			down++;
		if (t->heap[down]->due_us >= r->due_us)
			break;
		sit(t, t->heap[down], at);
	}
	sit(t, r, at);
}

/* Twice the room. -1: no memory, nothing lost. */
static int grow(struct utptable *t)
{
	uint32_t room = t->room ? t->room * 2 : LEAST;
	struct utptable_row **bucket = calloc(room, sizeof(*bucket));
	struct utptable_row **heap = realloc(t->heap, room * sizeof(*heap));
	struct utptable_row **head;

	if (heap)
		t->heap = heap;
	if (!heap || !bucket) {
		free(bucket);
		return -1;
	}
	free(t->bucket);
	t->bucket = bucket;
	t->room = room;
	for (uint32_t i = 0; i < t->count; i++) {
		head = head_of(t, &heap[i]->who);
		heap[i]->chain = *head;
		*head = heap[i];
	}
	return 0;
}

int utptable_add(struct utptable *t, struct utptable_row *r)
{
	struct utptable_row **head;

	if (t->count == t->room && grow(t) < 0)
		return -1;
	head = head_of(t, &r->who);
	r->chain = *head;
	*head = r;
	t->count++;
	settle(t, r, t->count - 1);
	return 0;
}

void utptable_remove(struct utptable *t, struct utptable_row *r)
{
	struct utptable_row **at = head_of(t, &r->who), *last;

	while (*at != r)
		at = &(*at)->chain;
	*at = r->chain;
	last = t->heap[--t->count];
	if (last != r)
		settle(t, last, r->place);
}

struct utptable_row *utptable_find(const struct utptable *t,
    const struct endpoint *who, uint16_t id)
{
	struct utptable_row *r = t->room ? *head_of(t, who) : NULL;

	while (r && (r->id != id || endpoint_cmp(&r->who, who) != 0))
		r = r->chain;
	return r;
}

void utptable_move(struct utptable *t, struct utptable_row *r,
    uint64_t due_us)
{
	r->due_us = due_us;
	settle(t, r, r->place);
}

struct utptable_row *utptable_first(const struct utptable *t)
{
	return t->count ? t->heap[0] : NULL;
}

void utptable_fini(struct utptable *t)
{
	free(t->bucket);
	free(t->heap);
	*t = (struct utptable){ 0 };
}
