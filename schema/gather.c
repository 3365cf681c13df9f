#include "schema/gather.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/now.h"
#include "schema/thread.h"

#define LINE 64u	/* a block of either digest is one line of the cache then */

struct spare {
	struct spare *next;
};

struct gather {
	struct lanes *lanes;	/* the thread's own */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, progress;
	struct gathered *first, **end;	/* given, in order */
	unsigned count;
	int64_t patience_ns, due_ns;	/* due: the first */
	unsigned waiting;	/* somebody does */
	size_t held;		/* bytes of memory */
	unsigned under_way;	/* being hashed now */
	/* At most LANES buffers that were freed, for messages as long as the
	 * last: the kernel need not clear their pages anew each time. */
	struct spare *spare;
	unsigned spares;
	size_t spare_bytes;	/* of each */
	bool stop;
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

/* --- the thread ------------------------------------------------------------------ */

/* Under the lock. False when it is to end. */
static bool await(struct gather *g)
{
	while (g->count < LANES && !(g->count && g->waiting)) {
		struct timespec due = { .tv_sec = g->due_ns / NS_PER_S,
			.tv_nsec = g->due_ns % NS_PER_S };

		if (g->count == 0 && g->stop)
			return false;
		if (g->count == 0)
			pthread_cond_wait(&g->work, &g->lock);
		else if (g->stop || pthread_cond_timedwait(&g->work, &g->lock,
		    &due) != 0)
			break;
	}
	return true;
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
	g->under_way = n;
	return n;
}

/* Without the lock. */
static void hash(struct gather *g, struct gathered *const m[LANES], unsigned n)
{
	struct lanes_one lane[LANES];

	for (unsigned i = 0; i < n; i++)
		lane[i] = m[i]->lane;
	lanes_take(g->lanes, lane, n);
	for (unsigned i = 0; i < n; i++)
		m[i]->lane = lane[i];
}

static void *work(void *arg)
{
	struct gather *g = arg;
	struct gathered *m[LANES];

	/* Its trial takes some ms, in which messages come in already. */
	g->lanes = lanes_new();
	pthread_mutex_lock(&g->lock);
	while (await(g)) {
		unsigned n = take(g, m);

		if (n == 0)
			continue;
		pthread_mutex_unlock(&g->lock);
		hash(g, m, n);
		pthread_mutex_lock(&g->lock);
		g->under_way = 0;
		for (unsigned i = 0; i < n; i++) {
			g->held -= m[i]->n;
			keep_spare(g, m[i]->bytes, m[i]->n);
			m[i]->bytes = NULL;
			/* Then it is its owner's, who may free it. */
			atomic_store_explicit(&m[i]->taken, true,
			    memory_order_release);
		}
		pthread_cond_broadcast(&g->progress);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static void destroy(struct gather *g)
{
	lanes_free(g->lanes);
	drop_spares(g);
	pthread_cond_destroy(&g->work);
	pthread_cond_destroy(&g->progress);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

struct gather *gather_new(int64_t patience_ns)
{
	struct gather *g = lanes_possible() ? calloc(1, sizeof(*g)) : NULL;
	pthread_condattr_t attr;

	if (!g)
		return NULL;
	g->end = &g->first;
	g->patience_ns = patience_ns;
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&g->progress, NULL);
	if (thread_start(&g->thread, work, g) == 0)
		return g;
	destroy(g);
	return NULL;
}

void gather_free(struct gather *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->work);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	destroy(g);
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
	    g->count + g->under_way >= LANES / 2) {
		pthread_cond_signal(&g->work);
		pthread_cond_wait(&g->progress, &g->lock);
	}
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

	m->lane = (struct lanes_one){ .bytes = span_of(m->bytes, m->n), .v1 = v1 };
	m->given = true;
	pthread_mutex_lock(&g->lock);
	*g->end = m;
	g->end = &m->next;
	if (g->count++ == 0)
		g->due_ns = clock_ns(CLOCK_MONOTONIC) + g->patience_ns;
	if (g->count == 1 || g->count == LANES)
		pthread_cond_signal(&g->work);
	pthread_mutex_unlock(&g->lock);
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
	pthread_cond_signal(&g->work);
	while (!gathered_done(m))
		pthread_cond_wait(&g->progress, &g->lock);
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
