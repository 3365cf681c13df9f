#include "schema/digester.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/gather.h"
#include "schema/log.h"
#include "schema/thread.h"

#define CHUNK (256u << 10)
#define CHUNKS (DIGESTER_MEMORY / CHUNK)
#define JOBS 1024u		/* of one thread */

struct digester_chunk {
	struct digester_chunk *next;	/* of those that are free */
	atomic_uint users;		/* jobs, pins, and the feeder */
	size_t n;
	uint8_t bytes[CHUNK];
};

struct job {
	struct hashing *h;
	struct digester_chunk *chunk;
	struct span bytes;
};

struct worker {
	struct digester *digester;
	pthread_t thread;
	pthread_cond_t work;
	struct job job[JOBS];
	unsigned head, count;
};

struct digester {
	pthread_mutex_t lock;
	pthread_cond_t progress;	/* a job is done */
	struct digester_chunk *current;	/* the feeder's, with ... */
	struct hashing *pending;	/* ... digests that have bytes in it */
	unsigned pins;		/* of the current one, not among its users yet:
				 * they need no atomic step for each packet */
	struct digester_chunk *free;
	unsigned chunks, workers, next;
	bool stop;
	struct gather *gather;	/* NULL: none */
	struct worker worker[DIGESTER_THREADS];
};

/* --- the threads ----------------------------------------------------------------- */

/* Under the lock. */
static void release(struct digester *g, struct digester_chunk *c)
{
	if (atomic_fetch_sub(&c->users, 1) != 1)
		return;
	c->next = g->free;
	g->free = c;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct digester *g = w->digester;

	pthread_mutex_lock(&g->lock);
	for (;;) {
		struct job j;

		while (w->count == 0 && !g->stop)
			pthread_cond_wait(&w->work, &g->lock);
		if (w->count == 0)
			break;
		j = w->job[w->head];
		pthread_mutex_unlock(&g->lock);
		j.h->take(j.h->ctx, j.bytes.p, j.bytes.n);
		pthread_mutex_lock(&g->lock);
		w->head = (w->head + 1) % JOBS;
		w->count--;
		release(g, j.chunk);
		atomic_fetch_add_explicit(&j.h->taken, 1,
		    memory_order_release);
		pthread_cond_signal(&g->progress);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static bool start(struct worker *w)
{
	bool good;

	pthread_cond_init(&w->work, NULL);
	good = thread_start(&w->thread, work, w) == 0;
	if (!good)
		pthread_cond_destroy(&w->work);
	return good;
}

struct digester *digester_new(unsigned threads)
{
	struct digester *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->progress, NULL);
	while (g->workers < threads && g->workers < DIGESTER_THREADS) {
		g->worker[g->workers].digester = g;
		if (!start(&g->worker[g->workers]))
			break;
		g->workers++;
	}
	if (g->workers) {
		g->gather = gather_new();
		return g;
	}
	digester_free(g);
	return NULL;
}

struct gather *digester_gather(const struct digester *g)
{
	return g ? g->gather : NULL;
}

void digester_free(struct digester *g)
{
	struct digester_chunk *c;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	for (unsigned i = 0; i < g->workers; i++)
		pthread_cond_signal(&g->worker[i].work);
	pthread_mutex_unlock(&g->lock);
	for (unsigned i = 0; i < g->workers; i++) {
		pthread_join(g->worker[i].thread, NULL);
		pthread_cond_destroy(&g->worker[i].work);
	}
	gather_free(g->gather);
	while ((c = g->free)) {
		g->free = c->next;
		free(c);
	}
	free(g->current);
	pthread_cond_destroy(&g->progress);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* What is pending goes to the thread. */
static void hand_over(struct hashing *h)
{
	struct digester *g = h->digester;
	struct worker *w;

	if (h->pending.n == 0)
		return;
	w = &g->worker[h->thread];
	pthread_mutex_lock(&g->lock);
	while (w->count == JOBS)
		pthread_cond_wait(&g->progress, &g->lock);
	w->job[(w->head + w->count) % JOBS] = (struct job){ h, g->current,
		h->pending };
	atomic_fetch_add(&g->current->users, 1);
	if (w->count++ == 0)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&g->lock);
	h->given++;
	h->pending = span_of(NULL, 0);
	*h->at = h->next;
	if (h->next)
		h->next->at = h->at;
}

/* --- chunks ------------------------------------------------------------------------ */

/* A chunk with room for n bytes more becomes the current one. */
static void make_room(struct digester *g, size_t n)
{
	struct digester_chunk *c = g->current;

	if (c && n <= CHUNK - c->n)
		return;
	/* Or bytes in hand would keep the chunk from ever being free. */
	while (g->pending)
		hand_over(g->pending);
	pthread_mutex_lock(&g->lock);
	if (c) {
		atomic_fetch_add(&c->users, g->pins);
		release(g, c);
	}
	g->pins = 0;
	while (!g->free && g->chunks == CHUNKS)
		pthread_cond_wait(&g->progress, &g->lock);
	c = g->free;
	if (c) {
		g->free = c->next;
	} else {
		c = malloc(sizeof(*c));
		if (!c)
			log_die("out of memory for digests");
		g->chunks++;
	}
	pthread_mutex_unlock(&g->lock);
	atomic_init(&c->users, 1);
	c->n = 0;
	g->current = c;
}

static const uint8_t *copy(struct digester *g, const uint8_t *p, size_t n)
{
	uint8_t *at;

	make_room(g, n);
	at = g->current->bytes + g->current->n;
	memcpy(at, p, n);
	g->current->n += n;
	return at;
}

const uint8_t *digester_hold(struct digester *g, const uint8_t *p, size_t n,
    struct digester_chunk **pin)
{
	*pin = NULL;
	if (!g || n == 0 || n > CHUNK)
		return p;
	p = copy(g, p, n);
	*pin = g->current;
	g->pins++;
	return p;
}

void digester_unpin(struct digester *g, struct digester_chunk *pin)
{
	if (!pin)
		return;
	if (pin == g->current) {
		g->pins--;
		return;
	}
	pthread_mutex_lock(&g->lock);
	release(g, pin);
	pthread_mutex_unlock(&g->lock);
}

static bool in_chunk(const struct digester_chunk *c, const uint8_t *p,
    size_t n)
{
	uintptr_t at = (uintptr_t)p, from = c ? (uintptr_t)c->bytes : 0;

	return c && at >= from && at - from <= c->n && n <= c->n - (at - from);
}

/* --- digests ----------------------------------------------------------------------- */

void hashing_init(struct hashing *h, struct digester *g,
    void (*take)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
	*h = (struct hashing){ .digester = g, .take = take, .ctx = ctx };
	atomic_init(&h->taken, 0);
	if (g)
		h->thread = g->next++ % g->workers;
}

static void add_held(struct hashing *h, const uint8_t *p, size_t n)
{
	struct digester *g = h->digester;

	if (h->pending.n && h->pending.p + h->pending.n == p) {
		h->pending.n += n;
		return;
	}
	hand_over(h);
	h->pending = span_of(p, n);
	h->next = g->pending;
	h->at = &g->pending;
	if (h->next)
		h->next->at = &h->next;
	g->pending = h;
}

void hashing_add(struct hashing *h, const uint8_t *p, size_t n)
{
	struct digester *g = h->digester;

	if (n == 0)
		return;
	if (!g) {
		h->take(h->ctx, p, n);
		return;
	}
	while (n && !in_chunk(g->current, p, n)) {
		size_t part = n < CHUNK ? n : CHUNK;

		add_held(h, copy(g, p, part), part);
		p += part;
		n -= part;
	}
	if (n)
		add_held(h, p, n);
}

bool hashing_done(struct hashing *h)
{
	if (!h->digester)
		return true;
	hand_over(h);
	return atomic_load_explicit(&h->taken, memory_order_acquire) ==
	    h->given;
}

void hashing_wait(struct hashing *h)
{
	struct digester *g = h->digester;

	if (hashing_done(h))
		return;
	pthread_mutex_lock(&g->lock);
	while (atomic_load_explicit(&h->taken, memory_order_acquire) !=
	    h->given)
		pthread_cond_wait(&g->progress, &g->lock);
	pthread_mutex_unlock(&g->lock);
}
