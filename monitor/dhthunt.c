#include "monitor/dhthunt.h"

#include <stdlib.h>

#include "schema/draw.h"
#include "schema/now.h"

#define CLOSING_SCRAPE 1000u	/* slots beyond those of the lookup */
#define CLOSING_ANNOUNCE 1001u

struct krpc_ask hunt_ask(const struct hunt_env *env, enum krpc_method method,
    int family, const uint8_t target[20])
{
	static const uint8_t version[4] = { 'S', 'W', 1, 0 };
	struct krpc_ask ask = { .method = method, .read_only = true,
	    .v = span_of(version, sizeof(version)), .want = env->want,
	    .port = env->port };

	memcpy(ask.id, env->id[family == 6], sizeof(ask.id));
	memcpy(ask.target, target, sizeof(ask.target));
	return ask;
}

static const struct dht_ask *put(struct hunt *h, struct krpc_ask *ask,
    const struct endpoint *at, unsigned slot, int64_t now_ms)
{
	uint32_t random;

	draw_bits(&random, sizeof(random));
	return dht_asks_put(h->env->asks, at, ask, h, slot, random, now_ms);
}

struct hunt *hunt_new(struct hunt_env *env, const char *swarm, void *owner,
    const uint8_t target[NODEID_BYTES], int family)
{
	struct hunt *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->env = env;
	h->swarm = swarm;
	h->owner = owner;
	lookup_init(&h->l, target, (uint8_t)family, env->allow_local);
	h->sum = (struct dhtlog_sum){ .swarm = swarm, .family = family,
	    .began = stamp_now(), .seeds = -1, .peers = -1 };
	memcpy(h->sum.infohash, target, sizeof(h->sum.infohash));
	return h;
}

/* --- asking ---------------------------------------------------------------- */

static void ask_node(struct hunt *h, unsigned slot, int64_t now_ms)
{
	struct lookup_node *n = &h->l.node[slot];
	struct krpc_ask ask = hunt_ask(h->env, h->swarm ? KRPC_GET_PEERS :
	    KRPC_FIND_NODE, h->l.family, h->l.target);
	const struct dht_ask *q = put(h, &ask, &n->at, slot, now_ms);

	if (q == NULL) {
		h->sum.unsent++;
		lookup_failed(&h->l, slot);
		return;
	}
	/* The wait for an answer begins when it may be sent. */
	n->asked_ms = q->due_ms;
}

static void close_with(struct hunt *h, const struct lookup_node *n,
    int64_t now_ms)
{
	struct krpc_ask ask = hunt_ask(h->env, KRPC_GET_PEERS, h->l.family,
	    h->l.target);

	/* Its own query: nodes that give filters leave the values out. */
	ask.scrape = true;
	if (put(h, &ask, &n->at, CLOSING_SCRAPE, now_ms))
		h->open++;
	if (!h->env->announce || n->token_n == 0)
		return;
	ask = hunt_ask(h->env, KRPC_ANNOUNCE_PEER, h->l.family, h->l.target);
	ask.token = span_of(n->token, n->token_n);
	if (put(h, &ask, &n->at, CLOSING_ANNOUNCE, now_ms)) {
		h->open++;
		h->sum.announced++;
	}
}

static void begin_closing(struct hunt *h, int64_t now_ms)
{
	const struct lookup_node *n;

	h->closing = true;
	h->sum.ended = h->l.exhausted ? "too many queries" :
	    "the nearest answered";
	if (h->l.answered == 0)
		h->sum.ended = "nobody answered";
	for (unsigned i = 0; h->swarm && i < LOOKUP_K &&
	    (n = lookup_nearest(&h->l, i)) != NULL; i++)
		close_with(h, n, now_ms);
}

void hunt_step(struct hunt *h, int64_t now_ms)
{
	int64_t wake;
	unsigned slot;

	while (!h->closing)
		switch (lookup_next(&h->l, now_ms, &slot, &wake)) {
		case LOOKUP_ASK:
			ask_node(h, slot, now_ms);
			break;
		case LOOKUP_SILENT:
			h->sum.silent++;
			break;
		case LOOKUP_WAIT:
			return;
		case LOOKUP_DONE:
			begin_closing(h, now_ms);
			break;
		}
	h->over = h->open == 0;
}

/* --- answers --------------------------------------------------------------- */

static void take_filters(struct hunt *h, const struct krpc_msg *m)
{
	if (m->bloom_seeds.n != BLOOM_BYTES && m->bloom_peers.n != BLOOM_BYTES)
		return;
	h->sum.scraped++;
	if (m->bloom_seeds.n == BLOOM_BYTES)
		bloom_merge(h->seeds, m->bloom_seeds.p);
	if (m->bloom_peers.n == BLOOM_BYTES)
		bloom_merge(h->peers, m->bloom_peers.p);
	h->sum.seeds = bloom_estimate(h->seeds);
	h->sum.peers = bloom_estimate(h->peers);
}

static struct dhtlog_told told(const struct dht_ask *ask,
    const struct dht_answer *a)
{
	return (struct dhtlog_told){ .method = ask->method,
	    .scrape = ask->scrape, .target = ask->target,
	    .request = span_of(ask->out, ask->out_n), .sent = ask->sent,
	    .from = a->d->from, .bytes = a->d->bytes, .at = a->at,
	    .msg = a->msg, .err = a->err };
}

static void answered(struct hunt *h, const struct dht_ask *ask,
    const struct dht_answer *a)
{
	const struct krpc_msg *m = a->msg;
	struct dhtlog_told t = told(ask, a);
	struct dhtlog *log = &h->env->log;
	unsigned fresh, slot = ask->slot;

	if (m->type == KRPC_ERROR)
		h->sum.errors++;
	if (slot >= LOOKUP_NODES) {
		h->sum.announces_taken += slot == CLOSING_ANNOUNCE &&
		    m->type == KRPC_REPLY;
	} else if (m->type == KRPC_ERROR) {
		lookup_failed(&h->l, slot);
	} else {
		/* A late one counts while the hunt is on. */
		h->sum.silent -= h->l.node[slot].state == LOOKUP_LOST;
		lookup_answered(&h->l, slot, m, &fresh);
		if (h->l.node[slot].renamed)
			t.named_as = h->l.node[slot].old_id;
	}
	if (h->swarm == NULL)
		return;
	if (m->type == KRPC_REPLY)
		take_filters(h, m);
	dhtlog_answer(log, h->swarm, &t);
	h->sum.values += log->names;
	for (size_t i = 0; i < log->names; i++)
		h->env->peer(h->env->ctx, h->owner, &log->named[i].at);
}

void hunt_told(struct hunt *h, const struct dht_ask *ask,
    const struct dht_answer *a)
{
	bool closing = ask->slot >= LOOKUP_NODES;
	struct dhtlog_told t;

	switch (a->end) {
	case DHT_ANSWERED:
		answered(h, ask, a);
		break;
	case DHT_MALFORMED:
		h->sum.malformed++;
		t = told(ask, a);
		if (h->swarm)
			dhtlog_malformed(&h->env->log, h->swarm, &t);
		return;
	case DHT_SILENT:
		h->sum.silent += closing;	/* else the lookup says so */
		break;
	case DHT_UNSENT:
		h->sum.unsent++;
		if (!closing)
			lookup_failed(&h->l, ask->slot);
		break;
	}
	if (closing && !(a->end == DHT_ANSWERED && ask->silent))
		h->open--;
}

unsigned hunt_end(struct hunt *h, const char *why)
{
	struct dhtlog_sum *s = &h->sum;
	unsigned answers = h->l.answered;
	const struct lookup_node *n;

	dht_asks_forget(h->env->asks, h);
	s->at = stamp_now();
	if (why != NULL || s->ended == NULL)
		s->ended = why;
	s->queries = h->l.asked;
	s->answered = answers;
	s->stalled = h->env->stalled(h->env->ctx, s->began.mono_ns);
	for (; s->nearest < LOOKUP_K &&
	    (n = lookup_nearest(&h->l, s->nearest)) != NULL; s->nearest++) {
		if (s->nearest == 0)
			s->closest_bits = nodeid_shared(n->id, h->l.target);
		s->obeying += nodeid_check(n->id, &n->at) == NODEID_OBEYS;
	}
	if (h->swarm)
		dhtlog_sum(&h->env->log, s);
	free(h);
	return answers;
}
