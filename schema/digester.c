#include "schema/digester.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/copy.h"
#include "schema/gather.h"
#include "schema/log.h"
#include "schema/now.h"
#include "schema/pair.h"
#include "schema/thread.h"

#define CHUNK (256u << 10)
#define CHUNKS (DIGESTER_MEMORY / CHUNK)
#define JOBS 4096u		/* of one thread */

struct digester_chunk {
	struct digester_chunk *next;	/* of those that are free */
	atomic_uint users;		/* jobs, pins, and the feeder */
	size_t n;
	uint8_t bytes[CHUNK];
};

struct job {
	struct hashing *h;	/* NULL: done */
	struct digester_chunk *chunk;	/* NULL: the bytes are lent */
	struct span bytes;	/* not taken yet */
};

/* Jobs [done, published) are the thread's, [published, given) the feeder's. */
struct worker {
	struct digester *digester;
	pthread_t thread;
	pthread_cond_t work;
	struct job job[JOBS];
	uint64_t given;		/* the feeder's own */
	uint64_t published, done;	/* under the lock */
	bool helps;		/* with what is gathered, when it has no jobs */
	struct gather_hand hand;
};

struct digester {
	pthread_mutex_t lock;
	/* Jobs are done, and what the feeder waits for came with them: it is not
	 * woken for each, or it and a thread would take turns on a processor. */
	pthread_cond_t progress;
	bool (*awaited)(const struct digester *g);	/* NULL: it does not */
	const struct hashing *awaited_hashing;
	uint64_t awaited_lots;
	const struct worker *awaited_worker;
	struct digester_chunk *current;	/* the feeder's, with ... */
	struct hashing *pending;	/* ... digests that have bytes in it */
	unsigned pins;		/* of the current one, not among its users yet:
				 * they need no atomic step for each packet */
	struct digester_chunk *free;
	unsigned frees;		/* of them */
	size_t staged;		/* bytes of jobs not published */
	unsigned chunks, workers, next;
	bool pairs;		/* SHA-256 alone: all on the first thread */
	bool stop;
	struct gather *gather;	/* NULL: none */
	struct worker *helper;	/* the one that helps, or NULL */
	bool roused;		/* it is to look at what is gathered */
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
	g->frees++;
}

static struct job *job_at(struct worker *w, uint64_t n)
{
	return &w->job[n % JOBS];
}

static void take_sha256(void *ctx, const uint8_t *p, size_t n)
{
	SHA256_Update(ctx, p, n);
}

/* The first job of another stream, if both are SHA-256 alone; or NULL. Those of
 * its own stream before it are done, since there are none. */
static struct job *partner(struct worker *w, const struct job *j,
    uint64_t from, uint64_t to)
{
	if (!w->digester->pairs || j->h->take != take_sha256)
		return NULL;
	for (; from < to; from++) {
		struct job *k = job_at(w, from);

		if (k->h && k->h != j->h)
			return k->h->take == take_sha256 ? k : NULL;
	}
	return NULL;
}

static void take_job(struct job *j, struct job *k)
{
	size_t n = j->bytes.n;

	if (!k) {
		j->h->take(j->h->ctx, j->bytes.p, n);
	} else {
		if (n > k->bytes.n)
			n = k->bytes.n;
		pair_update(j->h->ctx, j->bytes.p, k->h->ctx, k->bytes.p, n);
		k->bytes = span_of(k->bytes.p + n, k->bytes.n - n);
	}
	j->bytes = span_of(j->bytes.p + n, j->bytes.n - n);
}

/* Under the lock. Its owner may free h from then on. */
static void finish(struct digester *g, struct job *j)
{
	struct hashing *h = j->h;

	if (j->bytes.n)
		return;
	if (j->chunk)
		release(g, j->chunk);
	j->h = NULL;
	atomic_fetch_add_explicit(&h->taken, 1, memory_order_release);
}

/* Under the lock, when jobs may be done. */
static void move_on(struct worker *w)
{
	struct digester *g = w->digester;

	while (w->done < w->published && !job_at(w, w->done)->h)
		w->done++;
	if (g->awaited && g->awaited(g))
		pthread_cond_signal(&g->progress);
}

/* Under the lock: until there may be something to do. What is gathered is taken
 * when there are no jobs, for whoever reads waits for those first; and if they
 * never end, that one comes to wait, and takes it. */
static void idle(struct worker *w)
{
	struct digester *g = w->digester;
	struct timespec until;
	int64_t due_ns;

	if (!w->helps) {
		pthread_cond_wait(&w->work, &g->lock);
		return;
	}
	g->roused = false;
	pthread_mutex_unlock(&g->lock);
	if (gather_help(g->gather, &w->hand)) {
		pthread_mutex_lock(&g->lock);
		return;
	}
	due_ns = gather_due_ns(g->gather);
	pthread_mutex_lock(&g->lock);
	if (w->done != w->published || g->roused || g->stop)
		return;
	if (due_ns == INT64_MAX) {
		pthread_cond_wait(&w->work, &g->lock);
		return;
	}
	until = (struct timespec){ .tv_sec = due_ns / NS_PER_S,
		.tv_nsec = due_ns % NS_PER_S };
	pthread_cond_timedwait(&w->work, &g->lock, &until);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct digester *g = w->digester;

	/* Takes some ms, in which jobs come in already. */
	if (w->helps)
		gather_ready(&w->hand);
	pthread_mutex_lock(&g->lock);
	for (;;) {
		struct job *j, *k;
		uint64_t to;

		while (w->done == w->published && !g->stop)
			idle(w);
		if (w->done == w->published)
			break;
		j = job_at(w, w->done);
		to = w->published;
		pthread_mutex_unlock(&g->lock);
		k = partner(w, j, w->done + 1, to);
		take_job(j, k);
		pthread_mutex_lock(&g->lock);
		finish(g, j);
		if (k)
			finish(g, k);
		move_on(w);
	}
	pthread_mutex_unlock(&g->lock);
	gather_rest(&w->hand);
	return NULL;
}

/* By whoever gathers. */
static void rouse(void *ctx)
{
	struct digester *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->roused = true;
	if (g->helper)
		pthread_cond_signal(&g->helper->work);
	pthread_mutex_unlock(&g->lock);
}

static bool start(struct worker *w)
{
	pthread_condattr_t attr;
	bool good;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_condattr_destroy(&attr);
	good = thread_start(&w->thread, work, w) == 0;
	if (!good)
		pthread_cond_destroy(&w->work);
	return good;
}

struct digester *digester_new(unsigned threads, int64_t patience_ns)
{
	struct digester *g = calloc(1, sizeof(*g));
	unsigned helper;

	if (!g)
		return NULL;
	if (threads > DIGESTER_THREADS)
		threads = DIGESTER_THREADS;
	g->pairs = pair_faster();
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->progress, NULL);
	g->gather = gather_new(patience_ns, rouse, g);
	/* Of two processors the feeder has one, and all else goes on one thread:
	 * of three, one would often wait for a processor that is taken. */
	helper = sysconf(_SC_NPROCESSORS_ONLN) > 2 ? threads - 1 : 0;
	for (unsigned i = 0; i < threads; i++) {
		struct worker *w = &g->worker[i];

		w->digester = g;
		w->helps = g->gather && i == helper;
		if (!start(w))
			break;
		if (w->helps)
			g->helper = w;
		g->workers++;
	}
	if (!g->helper) {	/* then nobody would keep to the patience */
		gather_free(g->gather);
		g->gather = NULL;
	}
	if (g->workers)
		return g;
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

/* Under the lock: the threads may begin. */
static void publish_locked(struct digester *g)
{
	g->staged = 0;
	for (unsigned i = 0; i < g->workers; i++) {
		struct worker *w = &g->worker[i];

		if (w->published == w->given)
			continue;
		w->published = w->given;
		pthread_cond_signal(&w->work);
	}
}

static void publish(struct digester *g)
{
	if (g->staged == 0)
		return;
	pthread_mutex_lock(&g->lock);
	publish_locked(g);
	pthread_mutex_unlock(&g->lock);
}

/* Under the lock. */
static void wait_for(struct digester *g, bool (*over)(const struct digester *g))
{
	bool helped;

	publish_locked(g);
	while (!over(g)) {
		pthread_mutex_unlock(&g->lock);
		helped = gather_help(g->gather, NULL);
		pthread_mutex_lock(&g->lock);
		g->awaited = over;
		if (!helped && !over(g))
			pthread_cond_wait(&g->progress, &g->lock);
		g->awaited = NULL;
	}
}

static bool half_is_done(const struct digester *g)
{
	const struct worker *w = g->awaited_worker;

	return w->given - w->done <= JOBS / 2;
}

static bool half_is_free(const struct digester *g)
{
	return g->frees >= CHUNKS / 2;
}

static void put_job(struct hashing *h, struct digester_chunk *chunk,
    struct span bytes)
{
	struct digester *g = h->digester;
	struct worker *w = &g->worker[h->thread];

	if (w->given % (JOBS / 2) == 0) {
		/* Then the half that comes next must be free. */
		pthread_mutex_lock(&g->lock);
		g->awaited_worker = w;
		wait_for(g, half_is_done);
		pthread_mutex_unlock(&g->lock);
	}
	*job_at(w, w->given++) = (struct job){ h, chunk, bytes };
	g->staged += bytes.n;
	h->given++;
}

/* What is pending becomes a job. */
static void hand_over(struct hashing *h)
{
	struct digester *g = h->digester;

	if (h->pending.n == 0)
		return;
	atomic_fetch_add(&g->current->users, 1);
	put_job(h, g->current, h->pending);
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
	if (g->staged >= DIGESTER_BATCH)
		publish(g);
	pthread_mutex_lock(&g->lock);
	if (c) {
		atomic_fetch_add(&c->users, g->pins);
		release(g, c);
	}
	g->pins = 0;
	if (!g->free && g->chunks == CHUNKS)
		wait_for(g, half_is_free);
	c = g->free;
	if (c) {
		g->free = c->next;
		g->frees--;
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
	copy_ahead(at, p, n);
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
	if (!g)
		return;
	h->thread = g->next++ % g->workers;
	if (!g->pairs || g->workers == 1)
		return;
	h->thread = take == take_sha256 ? 0 : 1 + h->thread % (g->workers - 1);
}

void hashing_sha256(struct hashing *h, struct digester *g, SHA256_CTX *c)
{
	hashing_init(h, g, take_sha256, c);
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

uint64_t hashing_lend(struct hashing *h, const uint8_t *p, size_t n)
{
	struct digester *g = h->digester;

	if (!g) {
		h->take(h->ctx, p, n);
	} else if (n) {
		put_job(h, NULL, span_of(p, n));
		if (g->staged >= DIGESTER_BATCH)
			publish(g);
	}
	return h->given;
}

static bool is_taken(const struct hashing *h, uint64_t lots)
{
	return atomic_load_explicit(&h->taken, memory_order_acquire) >= lots;
}

static bool are_taken(const struct digester *g)
{
	return is_taken(g->awaited_hashing, g->awaited_lots);
}

bool hashing_taken(const struct hashing *h, uint64_t lots)
{
	return !h->digester || is_taken(h, lots);
}

void hashing_await(struct hashing *h, uint64_t lots)
{
	struct digester *g = h->digester;

	if (hashing_taken(h, lots))
		return;
	pthread_mutex_lock(&g->lock);
	g->awaited_hashing = h;
	g->awaited_lots = lots;
	wait_for(g, are_taken);
	pthread_mutex_unlock(&g->lock);
}

bool hashing_done(struct hashing *h)
{
	if (!h->digester)
		return true;
	hand_over(h);
	publish(h->digester);
	return is_taken(h, h->given);
}

void hashing_wait(struct hashing *h)
{
	if (!hashing_done(h))
		hashing_await(h, h->given);
}
