#include "monitor/hashindex.h"

#include <stdlib.h>
#include <string.h>

#include "schema/draw.h"

#define LEAST 16u

/* Where a hash is, or where it would be put. */
static uint32_t place(const struct hashindex *t, const uint8_t hash[20])
{
	uint32_t i = (uint32_t)(mix_bytes(t->key, hash, 20) >> 32);

	for (i &= t->room - 1; t->row[i].value; i = (i + 1) & (t->room - 1))
		if (memcmp(t->row[i].hash, hash, 20) == 0)
			break;
	return i;
}

static int grow(struct hashindex *t)
{
	struct hashindex more = *t;

	more.room = t->room ? t->room * 2 : LEAST;
	more.row = calloc(more.room, sizeof(*more.row));
	if (!more.row)
		return -1;
	if (!t->room)
		draw_bits(more.key, sizeof(more.key));
	for (uint32_t i = 0; i < t->room; i++)
		if (t->row[i].value)
			more.row[place(&more, t->row[i].hash)] = t->row[i];
	free(t->row);
	*t = more;
	return 0;
}

int hashindex_add(struct hashindex *t, const uint8_t hash[20], void *value,
    int n)
{
	struct hashindex_row *r;

	if (t->count >= t->room / 2 && grow(t) < 0)
		return -1;
	r = &t->row[place(t, hash)];
	if (r->value)
		return 0;
	memcpy(r->hash, hash, 20);
	r->value = value;
	r->n = n;
	t->count++;
	return 0;
}

void hashindex_remove(struct hashindex *t, const uint8_t hash[20],
    const void *value)
{
	struct hashindex_row moved;
	uint32_t i;

	if (t->count == 0)
		return;
	i = place(t, hash);
	if (!t->row[i].value || t->row[i].value != value)
		return;
	t->row[i].value = NULL;
	t->count--;
	/* What stands behind the hole may belong before it. */
	for (i = (i + 1) & (t->room - 1); t->row[i].value;
	    i = (i + 1) & (t->room - 1)) {
		moved = t->row[i];
		t->row[i].value = NULL;
		t->row[place(t, moved.hash)] = moved;
	}
}

const struct hashindex_row *hashindex_find(const struct hashindex *t,
    const uint8_t hash[20])
{
	uint32_t i;

	if (t->count == 0)
		return NULL;
	i = place(t, hash);
	return t->row[i].value ? &t->row[i] : NULL;
}

void hashindex_fini(struct hashindex *t)
{
	free(t->row);
	*t = (struct hashindex){ 0 };
}
