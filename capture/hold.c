#include "capture/hold.h"

#include <stdlib.h>

#define OVERHEAD 16u	/* of a heap block, about */

size_t hold_memory(const struct hold *h)
{
	return h->bytes + h->room * sizeof(*h->seg);
}

static size_t cost(const struct segment *s)
{
	return sizeof(*s) + s->s.n + OVERHEAD;
}

struct segment *hold_at(const struct hold *h, uint32_t n)
{
	return n < h->n ? h->seg[h->head + n] : NULL;
}

uint32_t hold_find(const struct hold *h, uint32_t key)
{
	uint32_t low = 0, high = h->n;

	/* Most come behind the last. */
	if (h->n) {
		const struct segment *last = hold_at(h, h->n - 1);

		if ((int32_t)(key - (last->key + last->units)) >= 0)
			return h->n;
	}
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct segment *s = hold_at(h, mid);

		if ((int32_t)(key - (s->key + s->units)) < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Room for one more: at the back, by moving to the front or growing. */
static bool widen(struct hold *h)
{
	if (h->head + h->n < h->room)
		return true;
	if (h->head >= h->room / 2 && h->head) {
		memmove(h->seg, h->seg + h->head, h->n * sizeof(*h->seg));
		h->head = 0;
		return true;
	}
	uint32_t room = h->room ? h->room * 2 : 8;
	struct segment **seg = realloc(h->seg, room * sizeof(*seg));

	if (seg == NULL)
		return false;
	h->seg = seg;
	h->room = room;
	return true;
}

bool hold_put(struct hold *h, uint32_t n, const struct segment *s)
{
	struct segment *copy, **place;
	uint8_t *bytes;

	if (h->n >= HOLD_SEGMENTS || !widen(h))
		return false;
	copy = malloc(sizeof(*copy) + s->s.n);
	if (copy == NULL)
		return false;
	bytes = (uint8_t *)(copy + 1);
	if (s->s.n)
		memcpy(bytes, s->s.p, s->s.n);
	*copy = *s;
	copy->s.p = bytes;
	place = h->seg + h->head + n;
	memmove(place + 1, place, (h->n - n) * sizeof(*place));
	*place = copy;
	h->n++;
	h->bytes += cost(copy);
	return true;
}

struct segment *hold_take(struct hold *h)
{
	struct segment *s = h->seg[h->head];

	h->head++;
	h->n--;
	h->bytes -= cost(s);
	if (h->n == 0)
		h->head = 0;
	return s;
}

void hold_clear(struct hold *h)
{
	while (h->n)
		free(hold_take(h));
	free(h->seg);
	*h = (struct hold){ 0 };
}
