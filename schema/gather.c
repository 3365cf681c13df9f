#include "schema/gather.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/now.h"

#define LINE 64u	/* a block of either digest is one line of the cache then */

struct spare {
	struct spare *next;
};

struct gather {
	pthread_mutex_t lock;
	pthread_cond_t progress;
	struct gathered *first, **end;	/* given, in order */
	unsigned count;
	int64_t patience_ns, due_ns;	/* due: the first */
	unsigned waiting;	/* somebody does */
	size_t held;		/* bytes of memory */
	unsigned under_way;	/* being hashed now */
	struct gather_hand own;	/* of whoever gathers */
	void (*rouse)(void *ctx);	/* NULL: nobody else helps */
	void *ctx;
	/* At most LANES buffers that were freed, for messages as long as the
	 * last: the kernel need not clear their pages anew each time. */
	struct spare *spare;
	unsigned spares;
	size_t spare_bytes;	/* of each */
};

/* --- buffers (under the lock) ----------------------------------------------------- */

static void drop_spares(struct gather *g)
{
	while (g->spare) {
		struct spare *s = g->spare;

		g->spare = s->next;
		free(s);
	}
	g->spares = 0;
}

/* One of n bytes, or NULL. Those of another length go. */
static void *take_spare(struct gather *g, size_t n)
{
	struct spare *s;

	if (n != g->spare_bytes)
		drop_spares(g);
	g->spare_bytes = n;
	s = g->spare;
	if (s) {
		g->spare = s->next;
		g->spares--;
	}
	return s;
}

static void keep_spare(struct gather *g, void *bytes, size_t n)
{
	struct spare *s = bytes;

	if (n != g->spare_bytes || n < sizeof(*s) || g->spares == LANES) {
		free(bytes);
		return;
	}
	s->next = g->spare;
	g->spare = s;
	g->spares++;
}

/* --- digests ---------------------------------------------------------------------- */

/* Under the lock. Who waits does not take few while many are being taken: what
 * comes of those may be what it waits for. */
static bool is_due(const struct gather *g)
{
	return g->count >= LANES || (g->count && ((g->waiting &&
	    g->under_way == 0) || clock_ns(CLOCK_MONOTONIC) >= g->due_ns));
}

static unsigned take(struct gather *g, struct gathered *m[LANES])
{
	unsigned n = 0;

	while (g->first && n < LANES) {
		m[n++] = g->first;
		g->first = g->first->next;
	}
	if (!g->first)
		g->end = &g->first;
	g->count -= n;
	g->due_ns = clock_ns(CLOCK_MONOTONIC) + g->patience_ns;
	g->under_way += n;
	return n;
}

/* Without the lock. */
static void hash(struct gather_hand *hand, struct gathered *const m[LANES],
    unsigned n)
{
	struct lanes_one lane[LANES];

	for (unsigned i = 0; i < n; i++)
		lane[i] = m[i]->lane;
	lanes_take(hand->lanes, lane, n);
	for (unsigned i = 0; i < n; i++)
		m[i]->lane = lane[i];
}

/* Under the lock, which it gives up in between. */
static bool help(struct gather *g, struct gather_hand *hand)
{
	struct gathered *m[LANES];
	unsigned n;

	if (!is_due(g))
		return false;
	n = take(g, m);
	pthread_mutex_unlock(&g->lock);
	gather_ready(hand);
	hash(hand, m, n);
	pthread_mutex_lock(&g->lock);
	g->under_way -= n;
	for (unsigned i = 0; i < n; i++) {
		g->held -= m[i]->n;
		keep_spare(g, m[i]->bytes, m[i]->n);
		m[i]->bytes = NULL;
		/* Then it is its owner's, who may free it. */
		atomic_store_explicit(&m[i]->taken, true,
		    memory_order_release);
	}
	pthread_cond_broadcast(&g->progress);
	return true;
}

/* Under the lock. */
static void help_or_wait(struct gather *g)
{
	if (!help(g, &g->own))
		pthread_cond_wait(&g->progress, &g->lock);
}

void gather_ready(struct gather_hand *hand)
{
	if (hand->ready)
		return;
	hand->ready = true;
	hand->lanes = lanes_new();
}

void gather_rest(struct gather_hand *hand)
{
	lanes_free(hand->lanes);
	*hand = (struct gather_hand){ .ready = false };
}

bool gather_help(struct gather *g, struct gather_hand *hand)
{
	bool helped;

	if (!g)
		return false;
	pthread_mutex_lock(&g->lock);
	helped = help(g, hand ? hand : &g->own);
	pthread_mutex_unlock(&g->lock);
	return helped;
}

int64_t gather_due_ns(struct gather *g)
{
	int64_t due_ns;

	pthread_mutex_lock(&g->lock);
	due_ns = g->count ? g->due_ns : INT64_MAX;
	pthread_mutex_unlock(&g->lock);
	return due_ns;
}

struct gather *gather_new(int64_t patience_ns, void (*rouse)(void *ctx),
    void *ctx)
{
	struct gather *g = lanes_possible() ? calloc(1, sizeof(*g)) : NULL;

	if (!g)
		return NULL;
	g->end = &g->first;
	g->patience_ns = patience_ns;
	g->rouse = rouse;
	g->ctx = ctx;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->progress, NULL);
	return g;
}

void gather_free(struct gather *g)
{
	if (!g)
		return;
	gather_rest(&g->own);
	drop_spares(g);
	pthread_cond_destroy(&g->progress);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* --- who gathers ------------------------------------------------------------------ */

bool gathered_begin(struct gathered *m, struct gather *g, size_t n)
{
	bool room;

	*m = (struct gathered){ .gather = g, .n = n };
	atomic_init(&m->taken, false);
	if (!g || n == 0 || n > GATHER_EACH)
		return false;
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	/* Else most of it is being filled, which may take long. */
	while (g->held + n > GATHER_MEMORY &&
	    g->count + g->under_way >= LANES / 2)
		help_or_wait(g);
	g->waiting--;
	room = g->held + n <= GATHER_MEMORY;
	if (room) {
		g->held += n;
		m->bytes = take_spare(g, n);
	}
	pthread_mutex_unlock(&g->lock);
	if (!room)
		return false;
	if (m->bytes || posix_memalign((void **)&m->bytes, LINE, n) == 0)
		return true;
	m->bytes = NULL;
	pthread_mutex_lock(&g->lock);
	g->held -= n;
	pthread_mutex_unlock(&g->lock);
	return false;
}

void gathered_give(struct gathered *m, bool v1)
{
	struct gather *g = m->gather;
	bool news;

	m->lane = (struct lanes_one){ .bytes = span_of(m->bytes, m->n), .v1 = v1 };
	m->given = true;
	pthread_mutex_lock(&g->lock);
	*g->end = m;
	g->end = &m->next;
	if (g->count++ == 0)
		g->due_ns = clock_ns(CLOCK_MONOTONIC) + g->patience_ns;
	news = g->count == 1 || g->count == LANES;
	pthread_mutex_unlock(&g->lock);
	if (news && g->rouse)
		g->rouse(g->ctx);
}

bool gathered_done(struct gathered *m)
{
	return atomic_load_explicit(&m->taken, memory_order_acquire);
}

void gathered_wait(struct gathered *m)
{
	struct gather *g = m->gather;

	if (gathered_done(m))
		return;
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	while (!gathered_done(m))
		help_or_wait(g);
	g->waiting--;
	pthread_mutex_unlock(&g->lock);
}

void gathered_end(struct gathered *m)
{
	struct gather *g = m->gather;

	if (m->given) {
		gathered_wait(m);
		return;
	}
	if (!m->bytes)
		return;
	pthread_mutex_lock(&g->lock);
	g->held -= m->n;
	pthread_mutex_unlock(&g->lock);
	free(m->bytes);
	m->bytes = NULL;
}
