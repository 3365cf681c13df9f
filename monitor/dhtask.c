#include "monitor/dhtask.h"

#include <stdlib.h>

#include "monitor/asked.h"
#include "schema/now.h"

#define CHAINS 256u
#define PACES 4096u		/* addresses that share one are asked slower */
#define DELAY_MAX_MS 15000

struct dht_asks {
	struct dht_asks_conf conf;
	struct asked asked;
	struct dht_ask *chain[CHAINS];
	int64_t pace_ms[PACES];	/* when the next query may go there */
	int64_t sent_ms[PACES];	/* when the last one went */
	int64_t all_ms;
	struct dht_asks_state state;
};

/* How much of an address is one host's: of global IPv6 its /64, since whoever
 * has one address there can have all. */
static size_t of_host(const struct endpoint *at)
{
	return at->family == 6 && !endpoint_special(at) ? 8 : sizeof(at->addr);
}

/* Keyed, as whoever names addresses could choose them to collide. With the
 * port the endpoint, without it the host. */
static uint64_t mix(const struct dht_asks *a, const struct endpoint *at,
    bool port)
{
	size_t n = port ? sizeof(at->addr) : of_host(at);
	uint64_t h, k;

	memcpy(&h, a->conf.key, sizeof(h));
	memcpy(&k, a->conf.key + sizeof(h), sizeof(k));
	for (size_t i = 0; i < n; i++) {
		h = (h ^ at->addr[i]) * 1099511628211u;
		h ^= h >> 29;
	}
	h = (h ^ (port ? at->port : 0) ^ k) * 1099511628211u;
	return h ^ h >> 32;
}

static struct dht_ask **chain_of(struct dht_asks *a, const struct endpoint *at)
{
	return &a->chain[mix(a, at, true) % CHAINS];
}

static size_t pace_of(const struct dht_asks *a, const struct endpoint *at)
{
	return mix(a, at, false) % PACES;
}

static int64_t due(struct dht_asks *a, const struct endpoint *at,
    int64_t now_ms)
{
	int64_t *pace = &a->pace_ms[pace_of(a, at)];
	int64_t at_ms = now_ms;

	if (at_ms < *pace)
		at_ms = *pace;
	if (at_ms < a->all_ms)
		at_ms = a->all_ms;
	if (at_ms - now_ms > DELAY_MAX_MS)
		return -1;
	*pace = at_ms + DHTASK_GAP_MS;
	a->all_ms = (now_ms > a->all_ms ? now_ms : a->all_ms) +
	    DHTASK_ALL_GAP_MS;
	return at_ms;
}

static void tell(struct dht_asks *a, struct dht_ask *q,
    const struct dht_answer *answer)
{
	if (!q->gone)
		a->conf.done(a->conf.ctx, q, answer);
}

static uint64_t who(const struct dht_asks *a, const struct endpoint *at)
{
	return mix(a, at, false) | 1;
}

static void unsent(struct dht_asks *a, struct dht_ask *q)
{
	tell(a, q, &(struct dht_answer){ .end = DHT_UNSENT,
	    .at = stamp_now() });
	q->gone = true;
}

/* Its address was asked and has not answered: it waits, but not for long. */
static bool is_held(struct dht_asks *a, struct dht_ask *q, int64_t now_ms)
{
	if (endpoint_forbidden(&q->at, false) ||
	    asked_may(&a->asked, who(a, &q->at), now_ms))
		return false;
	q->waited_ms += DHTASK_LOOK_MS;
	q->due_ms = now_ms + DHTASK_LOOK_MS;
	if (q->waited_ms > DHTASK_PATIENCE_MS)
		unsent(a, q);
	return true;
}

/* A step came late, and several are due there: one goes, each other waits for
 * another turn. */
static bool is_early(struct dht_asks *a, struct dht_ask *q, int64_t now_ms)
{
	if (now_ms >= a->sent_ms[pace_of(a, &q->at)] + DHTASK_LEAST_MS)
		return false;
	q->due_ms = due(a, &q->at, now_ms);
	if (q->due_ms < 0)
		unsent(a, q);
	return true;
}

static void send_now(struct dht_asks *a, struct dht_ask *q, int64_t now_ms)
{
	size_t i = pace_of(a, &q->at);

	q->sent = stamp_now();
	a->sent_ms[i] = q->sent.mono_ns / NS_PER_MS;
	if (a->sent_ms[i] < now_ms)
		a->sent_ms[i] = now_ms;
	if (a->pace_ms[i] < a->sent_ms[i] + DHTASK_GAP_MS)
		a->pace_ms[i] = a->sent_ms[i] + DHTASK_GAP_MS;
	if (a->conf.send(a->conf.ctx, &q->at, span_of(q->out, q->out_n)))
		a->state.sent++;
	else
		unsent(a, q);
}

/* --- asking ---------------------------------------------------------------- */

const struct dht_ask *dht_asks_put(struct dht_asks *a,
    const struct endpoint *at, struct krpc_ask *ask, void *owner,
    unsigned slot, uint32_t random, int64_t now_ms)
{
	struct dht_ask *q, **chain = chain_of(a, at);

	if (a->state.live >= DHTASK_MOST)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return NULL;
	put_u32(q->t, random);
	ask->t = span_of(q->t, sizeof(q->t));
	q->out_n = (uint16_t)krpc_put(q->out, sizeof(q->out), ask);
	q->due_ms = q->out_n ? due(a, at, now_ms) : -1;
	if (q->due_ms < 0) {
		free(q);
		return NULL;
	}
	q->at = *at;
	q->method = ask->method;
	q->scrape = ask->scrape;
	memcpy(q->target, ask->target, sizeof(q->target));
	q->owner = owner;
	q->slot = slot;
	q->next = *chain;
	*chain = q;
	a->state.live++;
	/* Not sent here: the caller's hands are full. */
	return q;
}

void dht_asks_forget(struct dht_asks *a, const void *owner)
{
	for (size_t i = 0; i < CHAINS; i++)
		for (struct dht_ask *q = a->chain[i]; q != NULL; q = q->next)
			if (q->owner == owner) {
				q->owner = NULL;
				q->gone = q->gone || q->sent.utc_ns == 0;
			}
}

static void step_one(struct dht_asks *a, struct dht_ask *q, int64_t now_ms)
{
	int64_t waited;

	if (q->gone)
		return;
	if (q->sent.utc_ns == 0) {
		if (now_ms >= q->due_ms && !is_early(a, q, now_ms) &&
		    !is_held(a, q, now_ms)) {
			asked_put(&a->asked, who(a, &q->at), now_ms);
			send_now(a, q, now_ms);
		}
		return;
	}
	waited = now_ms - q->sent.mono_ns / NS_PER_MS;
	if (waited >= DHTASK_LATE_MS) {
		q->gone = true;
	} else if (waited >= DHTASK_WAIT_MS && !q->silent) {
		q->silent = true;
		tell(a, q, &(struct dht_answer){ .end = DHT_SILENT,
		    .at = stamp_now() });
	}
}

void dht_asks_step(struct dht_asks *a, int64_t now_ms)
{
	/* What is put meanwhile goes to the head of a chain; nothing is freed
	 * before the sweep. */
	for (size_t i = 0; i < CHAINS; i++)
		for (struct dht_ask *q = a->chain[i]; q != NULL; q = q->next)
			step_one(a, q, now_ms);
	for (size_t i = 0; i < CHAINS; i++)
		for (struct dht_ask **at = &a->chain[i]; *at != NULL;) {
			struct dht_ask *q = *at;

			if (!q->gone) {
				at = &q->next;
				continue;
			}
			*at = q->next;
			free(q);
			a->state.live--;
		}
}

/* --- answers --------------------------------------------------------------- */

static bool is_asked(const struct dht_ask *q, const struct endpoint *from)
{
	return !q->gone && q->sent.utc_ns != 0 &&
	    endpoint_cmp(&q->at, from) == 0;
}

static void answer(struct dht_asks *a, struct dht_ask *first,
    const struct sock_datagram *d)
{
	struct wire_error err = { "longer than 8 KiB", 0 };
	struct dht_answer r = { .d = d, .at = { d->utc_ns, d->mono_ns } };
	struct dht_ask *q = first;
	struct krpc_msg m;

	if (d->cut || d->bytes.n > DHTASK_REPLY_MAX ||
	    krpc_read(d->bytes, &m, &err) != WIRE_OK) {
		r.end = DHT_MALFORMED;
		r.err = &err;
		tell(a, first, &r);
		return;
	}
	if (m.type == KRPC_QUERY) {
		a->state.queries++;
		return;
	}
	while (q != NULL && !(is_asked(q, &d->from) &&
	    span_eq(m.t, span_of(q->t, sizeof(q->t)))))
		q = q->next;
	if (q == NULL) {
		a->state.wrong++;
		return;
	}
	asked_answered(&a->asked, who(a, &d->from));
	first->heard--;
	a->state.answers++;
	r.end = DHT_ANSWERED;
	r.msg = &m;
	tell(a, q, &r);
	q->gone = true;
}

void dht_asks_take(struct dht_asks *a, const struct sock_datagram *d)
{
	struct dht_ask *q = *chain_of(a, &d->from);

	while (q != NULL && !is_asked(q, &d->from))
		q = q->next;
	if (q == NULL) {
		a->state.strangers++;
	} else if (q->heard >= DHTASK_HEARD) {
		a->state.surplus++;
	} else {
		q->heard++;
		answer(a, q, d);
	}
}

void dht_asks_state(const struct dht_asks *a, struct dht_asks_state *s)
{
	*s = a->state;
}

struct dht_asks *dht_asks_new(const struct dht_asks_conf *conf)
{
	struct dht_asks *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->conf = *conf;
	return a;
}

void dht_asks_free(struct dht_asks *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		while (a->chain[i] != NULL) {
			struct dht_ask *q = a->chain[i];

			a->chain[i] = q->next;
			free(q);
		}
	free(a);
}
