#include "capture/flow_impl.h"

#include <stdlib.h>

#include "schema/draw.h"
#include "schema/log.h"

#define BUCKETS 65536u
#define CHUNK 512u

struct flow_chunk {
	struct flow_chunk *next;
	struct flow flow[CHUNK];
};

int flowtable_init(struct flows *f)
{
	f->bucket = calloc(BUCKETS, sizeof(struct flow *));
	if (f->bucket == NULL)
		return -1;
	draw_bits(f->key, sizeof(f->key));
	return 0;
}

void flowtable_fini(struct flows *f)
{
	for (unsigned i = 0; i < LISTS; i++)
		while (f->list[i].oldest)
			flowtable_drop(f, f->list[i].oldest);
	while (f->chunks) {
		struct flow_chunk *c = f->chunks;

		f->chunks = c->next;
		free(c);
	}
	free(f->bucket);
}

uint32_t flowtable_bucket(const struct flows *f, enum flow_transport t,
    const struct endpoint *a, const struct endpoint *b)
{
	/* Alike in either order: both go by the same factors, and what is
	 * made of the two is a sum. */
	uint64_t x = endpoint_mix(f->key, a), y = endpoint_mix(f->key, b);
	const uint64_t *k = f->key + ENDPOINT_KEYS;

	x ^= x >> 32;
	y ^= y >> 32;
	x = ((x & UINT32_MAX) + (y & UINT32_MAX)) * k[0] + (uint64_t)t * k[1];
	return (uint32_t)(x >> 48) % BUCKETS;
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && a->family == b->family &&
	    memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

bool flow_between(const struct flow *w, const struct endpoint *from,
    const struct endpoint *to, unsigned *side)
{
	if (same(&w->end[0], from) && same(&w->end[1], to)) {
		*side = 0;
		return true;
	}
	if (same(&w->end[1], from) && same(&w->end[0], to)) {
		*side = 1;
		return true;
	}
	return false;
}

static enum flow_list_name list_of(const struct flow *w)
{
	switch (w->stage) {
	case STAGE_PROOF:
	case STAGE_QUIET:
		return LIST_QUIET;
	case STAGE_TOLD:
		return w->reset ? LIST_RESET : LIST_TOLD;
	case STAGE_OVER:
		return LIST_OVER;
	}
	return LIST_OVER;
}

static void list_out(struct flow_list *l, struct flow *w)
{
	if (w->newer)
		w->newer->older = w->older;
	else
		l->newest = w->older;
	if (w->older)
		w->older->newer = w->newer;
	else
		l->oldest = w->newer;
	w->newer = w->older = NULL;
}

static void list_in(struct flow_list *l, struct flow *w)
{
	w->older = l->newest;
	if (l->newest)
		l->newest->newer = w;
	else
		l->oldest = w;
	l->newest = w;
}

void flowtable_touch(struct flows *f, struct flow *w)
{
	enum flow_list_name to = list_of(w);

	if (w->list == to && f->list[to].newest == w)
		return;
	list_out(&f->list[w->list], w);
	w->list = (uint8_t)to;
	list_in(&f->list[to], w);
}

void flowtable_drop(struct flows *f, struct flow *w)
{
	struct flow **link = &f->bucket[w->bucket];

	flow_release(f, w);
	if (w->stage == STAGE_QUIET || w->stage == STAGE_PROOF)
		f->counts.half_open++;
	while (*link != w)
		link = &(*link)->chain;
	*link = w->chain;
	list_out(&f->list[w->list], w);
	w->chain = f->spare;
	f->spare = w;
	f->nflows--;
}

/* Memory for one more, or the place of the one that is least missed. */
static void make_room(struct flows *f)
{
	struct flow_chunk *c;

	if (f->nflows >= FLOW_MOST) {
		struct flow *w = NULL;

		for (unsigned i = 0; w == NULL; i++)
			w = f->list[i].oldest;
		flow_close(f, w, FLOW_DISPLACED, 0);
		flowtable_drop(f, w);
		return;
	}
	if (f->spare)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		log_die("out of memory for the flows of a capture");
	c->next = f->chunks;
	f->chunks = c;
	f->nchunks++;
	for (size_t i = 0; i < CHUNK; i++) {
		c->flow[i].chain = f->spare;
		f->spare = &c->flow[i];
	}
}

struct flow *flowtable_add(struct flows *f, enum flow_transport t,
    uint32_t bucket, const struct endpoint *a, const struct endpoint *b)
{
	struct flow *w;

	make_room(f);
	w = f->spare;
	f->spare = w->chain;
	*w = (struct flow){ .chain = f->bucket[bucket], .bucket = bucket,
	    .transport = t, .stage = STAGE_QUIET, .end = { *a, *b },
	    .first = f->at, .last = f->at, .list = LIST_QUIET };
	f->bucket[bucket] = w;
	f->nflows++;
	list_in(&f->list[LIST_QUIET], w);
	return w;
}

void flowtable_expire(struct flows *f)
{
	static const int64_t most[LISTS] = { [LIST_OVER] = FLOW_LINGER_NS,
	    [LIST_RESET] = FLOW_LINGER_NS, [LIST_QUIET] = FLOW_QUIET_NS, [LIST_TOLD] = FLOW_IDLE_NS };
	struct flow *w;

	for (unsigned i = 0; i < LISTS; i++)
		while ((w = f->list[i].oldest) != NULL &&
		    !(f->sink.patient && i == LIST_TOLD && f->nflows <
		    FLOW_MOST / 2) &&
		    f->now_ns - w->last.utc_ns > most[i]) {
			flow_close(f, w, w->reset ? FLOW_RESET : FLOW_IDLE,
			    w->reset_side);
			flowtable_drop(f, w);
		}
}

size_t flows_memory(const struct flows *f)
{
	return sizeof(*f) + BUCKETS * sizeof(struct flow *) +
	    f->nchunks * sizeof(struct flow_chunk) + f->held + 65536 +
	    RECENT_ENTRIES * sizeof(struct recent_entry) +
	    fragments_memory(f->fragments);
}
