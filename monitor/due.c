#include "monitor/due.h"

#define LEAST 16u

void due_init(struct due *d, void *(*memory)(void *old, size_t bytes))
{
	*d = (struct due){ .memory = memory };
}

void due_fini(struct due *d)
{
	if (d->item)
		d->memory(d->item, 0);
	d->item = NULL;
	d->count = d->room = 0;
}

bool due_reserve(struct due *d, uint32_t items)
{
	uint32_t room = d->room ? d->room : LEAST;
	struct due_item **made;

	if (items <= d->room)
		return true;
	while (room < items)
		room *= 2;
	made = d->memory(d->item, room * sizeof(struct due_item *));
	if (!made)
		return false;
	d->item = made;
	d->room = room;
	return true;
}

static void set(struct due *d, uint32_t at, struct due_item *i)
{
	d->item[at] = i;
	i->place = at + 1;
}

/* To the place where nothing above it is later, nothing below it earlier. */
static void settle(struct due *d, uint32_t at, struct due_item *i)
{
	uint32_t up, down;

	for (; at > 0; at = up) {
		up = (at - 1) / 2;
		if (d->item[up]->at_ns <= i->at_ns)
			break;
		set(d, at, d->item[up]);
	}
	for (; (down = 2 * at + 1) < d->count; at = down) {
		if (down + 1 < d->count &&
		    d->item[down + 1]->at_ns < d->item[down]->at_ns)
			down++;
		if (d->item[down]->at_ns >= i->at_ns)
			break;
		set(d, at, d->item[down]);
	}
	set(d, at, i);
}

void due_put(struct due *d, struct due_item *i, int64_t at_ns)
{
	i->at_ns = at_ns;
	settle(d, i->place ? i->place - 1 : d->count++, i);
}

void due_drop(struct due *d, struct due_item *i)
{
	struct due_item *last;
	uint32_t at = i->place - 1;

	if (i->place == 0)
		return;
	last = d->item[--d->count];
	i->place = 0;
	if (last != i)
		settle(d, at, last);
}

struct due_item *due_first(const struct due *d)
{
	return d->count ? d->item[0] : NULL;
}
