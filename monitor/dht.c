#include "monitor/dht.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "monitor/dhtboot.h"
#include "monitor/dhthunt.h"
#include "monitor/vote.h"
#include "schema/draw.h"
#include "schema/log.h"
#include "schema/now.h"
#include "wire/dhtnode.h"

#define BEAT_MS 100
#define HUNTS 8u		/* lookups at a time, per family */
#define AGAIN_MS (15 * 60 * 1000ll)	/* when a lookup reached its end */
#define SOON_MS (60 * 1000ll)	/* when it did not; doubles */
#define NEWS_MS 5000		/* when few nodes were known, and one is new */
#define STALE_MS 5000		/* one old node is pinged so often */
#define REFRESH_MS 10000	/* one bucket is refreshed so often */
#define KEEP_MS (15 * 60 * 1000ll)	/* tables are written so often */
#define HEARD 64u		/* endpoints heard of, not yet asked */
#define ENOUGH 64u		/* nodes: no more are asked for by hearsay */

/* One infohash in one family. */
struct task {
	struct dht_search *search;
	uint8_t hash[20];
	int side;
	int64_t due_ms, wait_ms;
	struct hunt *hunt;
	bool few;		/* the last one reached few nodes */
};

struct dht_search {
	struct dht *d;
	struct dht_search *next;
	void *ctx;
	char swarm[65];
	struct task task[2 * DHT_HASHES];
	int tasks;
};

struct side {
	int family;		/* 0: not used */
	struct dht_table table;
	struct endpoint external;
	struct vote vote;
	struct hunt *refresh;
	unsigned hunts;
	int64_t stale_ms, refresh_ms;
};

struct dht {
	struct dht_conf conf;
	struct hunt_env env;
	struct dht_boots *boots;
	struct side side[2];
	struct dht_search *searches;
	struct hunt *hunts;
	struct endpoint heard[HEARD];
	unsigned heard_n;
	uv_timer_t beat;
	int64_t keep_ms;
	bool stopped;
};

static int64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

static struct side *side_of(struct dht *d, const struct endpoint *at)
{
	return &d->side[at->family == 6];
}

static bool has(const struct dht *d, const struct endpoint *at)
{
	return (at->family == 4 || at->family == 6) &&
	    d->side[at->family == 6].family != 0;
}

/* --- who we are ------------------------------------------------------------ */

static void choose_id(struct dht *d, int i, bool first)
{
	struct side *s = &d->side[i];
	uint8_t random[NODEID_BYTES], was[NODEID_BYTES];

	draw_bits(random, sizeof(random));
	memcpy(was, d->env.id[i], sizeof(was));
	nodeid_make(d->env.id[i], &s->external, random);
	dhtlog_id(&d->env.log, s->family, d->env.id[i], first ? NULL : was,
	    &s->external, stamp_now());
}

/* Nodes say from where our queries come. If our id is not of that address
 * (BEP 42), we take another, and the table is sorted anew. */
static void take_vote(struct dht *d, const struct endpoint *voter,
    const struct endpoint *says)
{
	int i = voter->family == 6;
	struct side *s = &d->side[i];
	uint8_t kept[DHT_SAVE_MAX];
	struct endpoint winner;
	size_t n;

	if (says->family != voter->family ||
	    !vote_cast(&s->vote, voter, says, &winner) ||
	    endpoint_same_ip(&winner, &s->external))
		return;
	s->external = winner;
	if (nodeid_check(d->env.id[i], &winner) != NODEID_WRONG)
		return;
	choose_id(d, i, false);
	n = dht_save(&s->table, now_ms() / 1000, kept, sizeof(kept));
	dht_init(&s->table, d->env.id[i], (uint8_t)s->family);
	dht_load(&s->table, span_of(kept, n));
}

/* --- the tables in the case ------------------------------------------------ */

static const char *file_of(const struct side *s)
{
	return s->family == 4 ? "dht4.nodes" : "dht6.nodes";
}

static void load_table(struct dht *d, struct side *s)
{
	char *name = casedir_file(d->conf.dir, file_of(s));
	uint8_t kept[DHT_SAVE_MAX];
	FILE *f = fopen(name, "re");

	if (f != NULL) {
		if (!dht_load(&s->table, span_of(kept, fread(kept, 1,
		    sizeof(kept), f))))
			log_warn("%s: not of whole DHT nodes", name);
		fclose(f);
	} else if (errno != ENOENT) {
		log_warn("%s: %s", name, strerror(errno));
	}
	free(name);
}

static void keep_tables(struct dht *d)
{
	uint8_t kept[DHT_SAVE_MAX];
	size_t n;

	for (int i = 0; i < 2; i++) {
		struct side *s = &d->side[i];

		if (s->family == 0)
			continue;
		n = dht_save(&s->table, now_ms() / 1000, kept, sizeof(kept));
		if (n > 0)
			casedir_put(d->conf.dir, file_of(s), span_of(kept, n));
	}
}

/* --- queries --------------------------------------------------------------- */

static bool ping(struct dht *d, const struct endpoint *at, int64_t now)
{
	static const uint8_t none[20];
	struct krpc_ask ask = hunt_ask(&d->env, KRPC_PING, at->family, none);
	uint32_t random;

	draw_bits(&random, sizeof(random));
	return dht_asks_put(d->env.asks, at, &ask, NULL, 0, random, now) !=
	    NULL;
}

/* A lookup that reached few nodes is worth repeating once there are more. */
static void few_no_more(struct dht *d, const struct side *s, int64_t now)
{
	for (struct dht_search *q = d->searches; q != NULL; q = q->next)
		for (int i = 0; i < q->tasks; i++) {
			struct task *t = &q->task[i];

			if (&d->side[t->side] == s && t->few && !t->hunt &&
			    t->due_ms > now + NEWS_MS)
				t->due_ms = now + NEWS_MS;
		}
}

static void answered(struct dht *d, const struct dht_answer *a)
{
	struct side *s = side_of(d, &a->d->from);
	struct krpc_nodes it = { 0 };
	struct krpc_named named;
	int64_t now = now_ms();
	size_t before = dht_count(&s->table, now / 1000, NULL);

	if (a->msg->ip.family)
		take_vote(d, &a->d->from, &a->msg->ip);
	dht_answered(&s->table, a->msg->id, &a->d->from, now / 1000);
	if (before < LOOKUP_K &&
	    dht_count(&s->table, now / 1000, NULL) > before)
		few_no_more(d, s, now);
	/* Of the other family the lookup makes no use (BEP 32). */
	for (unsigned n = 0; n < 2 && krpc_node(a->msg, &it, &named);)
		if (named.at.family != s->family) {
			dht_heard(d, &named.at);
			n++;
		}
}

static void on_done(void *ctx, const struct dht_ask *ask,
    const struct dht_answer *a)
{
	struct dht *d = ctx;

	if (a->end == DHT_ANSWERED && a->msg->type == KRPC_REPLY)
		answered(d, a);
	else if (a->end == DHT_SILENT &&
	    !d->conf.stalled(d->conf.ctx, ask->sent.mono_ns))
		dht_failed(&side_of(d, &ask->at)->table, &ask->at);
	if (ask->owner != NULL)
		hunt_told(ask->owner, ask, a);
}

static bool on_send(void *ctx, const struct endpoint *to, struct span bytes)
{
	struct dht *d = ctx;

	return datagrams_send(d->conf.net, to, bytes);
}

static void on_peer(void *ctx, void *owner, const struct endpoint *at)
{
	struct dht *d = ctx;
	struct task *t = owner;

	d->conf.peer(d->conf.ctx, t->search->ctx, at);
}

static bool on_stalled(void *ctx, int64_t since_mono_ns)
{
	struct dht *d = ctx;

	return d->conf.stalled(d->conf.ctx, since_mono_ns);
}

/* --- lookups --------------------------------------------------------------- */

static bool knows(const struct dht *d, const struct side *s)
{
	struct endpoint at;

	return dht_count(&s->table, 0, NULL) > 0 ||
	    dht_boots_get(d->boots, s->family, 0, &at);
}

/* Whom a lookup begins with. False: nobody that may be asked. */
static bool give_nodes(struct dht *d, struct hunt *h, struct side *s,
    int64_t now)
{
	const struct dht_node *near[2 * LOOKUP_K];
	size_t n = dht_closest(&s->table, h->l.target, now / 1000, near,
	    2 * LOOKUP_K);
	struct endpoint at;
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= lookup_add(&h->l, near[i]->id, &near[i]->at);
	if (n < LOOKUP_K)
		for (size_t i = 0; dht_boots_get(d->boots, s->family, i, &at);
		    i++)
			any |= lookup_add(&h->l, NULL, &at);
	return any;
}

static struct hunt *begin(struct dht *d, int side, const char *swarm,
    void *owner, const uint8_t target[20], int64_t now)
{
	struct side *s = &d->side[side];
	struct hunt *h;

	if (!knows(d, s))
		return NULL;
	h = hunt_new(&d->env, swarm, owner, target, s->family);
	if (h == NULL)
		log_die("out of memory");
	if (!give_nodes(d, h, s, now)) {
		free(h);
		return NULL;
	}
	h->next = d->hunts;
	d->hunts = h;
	s->hunts++;
	return h;
}

/* Takes it out of the list and ends it. */
static void end(struct dht *d, struct hunt **at, const char *why, int64_t now)
{
	struct hunt *h = *at;
	struct side *s = &d->side[h->l.family == 6];
	struct task *t = h->owner;
	unsigned reached;

	*at = h->next;
	s->hunts--;
	if (s->refresh == h)
		s->refresh = NULL;
	reached = hunt_end(h, why);
	if (t == NULL)
		return;
	t->hunt = NULL;
	t->few = reached < LOOKUP_K;
	if (!t->few || t->wait_ms >= AGAIN_MS)
		t->wait_ms = AGAIN_MS;
	t->due_ms = now + t->wait_ms;
	t->wait_ms *= 2;
	if (!t->few)
		t->wait_ms = SOON_MS;
}

static void step_hunts(struct dht *d, int64_t now)
{
	for (struct hunt **at = &d->hunts; *at != NULL;) {
		hunt_step(*at, now);
		if ((*at)->over)
			end(d, at, NULL, now);
		else
			at = &(*at)->next;
	}
}

static void begin_due(struct dht *d, struct dht_search *q, int64_t now)
{
	for (int i = 0; i < q->tasks; i++) {
		struct task *t = &q->task[i];

		if (t->hunt != NULL || t->due_ms > now ||
		    d->side[t->side].hunts >= HUNTS)
			continue;
		t->hunt = begin(d, t->side, q->swarm, t, t->hash, now);
		if (t->hunt == NULL)
			t->due_ms = now + 1000;
	}
}

/* Whose turn it is moves on, so that nobody waits for ever. */
static void begin_hunts(struct dht *d, int64_t now)
{
	struct dht_search *q = d->searches, **last = &d->searches;

	for (; q != NULL; q = q->next) {
		if (d->side[0].hunts >= HUNTS && d->side[1].hunts >= HUNTS)
			break;
		begin_due(d, q, now);
	}
	if (q == NULL || q == d->searches)
		return;
	while (*last != NULL)
		last = &(*last)->next;
	*last = d->searches;
	for (struct dht_search **at = last; *at != NULL; at = &(*at)->next)
		if ((*at)->next == q) {
			(*at)->next = NULL;
			break;
		}
	d->searches = q;
}

/* --- upkeep ---------------------------------------------------------------- */

static void tend(struct dht *d, int i, int64_t now)
{
	struct side *s = &d->side[i];
	uint8_t random[NODEID_BYTES], target[NODEID_BYTES];
	const struct dht_node *old;

	if (s->family == 0)
		return;
	if (now >= s->stale_ms) {
		s->stale_ms = now + STALE_MS;
		old = dht_stale(&s->table, now / 1000);
		if (old != NULL)
			ping(d, &old->at, now);
	}
	if (s->refresh == NULL && now >= s->refresh_ms && knows(d, s)) {
		s->refresh_ms = now + REFRESH_MS;
		draw_bits(random, sizeof(random));
		if (dht_refresh(&s->table, now / 1000, random, target))
			s->refresh = begin(d, i, NULL, NULL, target, now);
	}
}

static void on_beat(uv_timer_t *beat)
{
	struct dht *d = beat->data;
	int64_t now = now_ms();

	dht_boots_resolve(d->boots, now / 1000);
	if (d->heard_n > 0)
		ping(d, &d->heard[--d->heard_n], now);
	for (int i = 0; i < 2; i++)
		tend(d, i, now);
	begin_hunts(d, now);
	step_hunts(d, now);
	dht_asks_step(d->env.asks, now);
	if (now >= d->keep_ms) {
		d->keep_ms = now + KEEP_MS;
		keep_tables(d);
	}
}

static void on_datagram(void *ctx, const struct sock_datagram *g)
{
	struct dht *d = ctx;
	int64_t now = now_ms();
	struct dht_asks_state before, after;

	if (!has(d, &g->from))
		return;
	dht_asks_state(d->env.asks, &before);
	dht_asks_take(d->env.asks, g);
	dht_asks_state(d->env.asks, &after);
	if (before.answers == after.answers)
		return;		/* nobody is to be moved by what is none */
	step_hunts(d, now);
	dht_asks_step(d->env.asks, now);
}

/* --- what others call ------------------------------------------------------ */

struct dht *dht_new(const struct dht_conf *conf)
{
	struct dht *d = calloc(1, sizeof(*d));
	struct dht_asks_conf asks = { .ctx = d, .done = on_done,
	    .send = on_send };
	int64_t now = now_ms();

	if (d == NULL)
		return NULL;
	d->conf = *conf;
	draw_bits(asks.key, sizeof(asks.key));
	d->boots = dht_boots_new(conf->loop);
	d->env = (struct hunt_env){ .asks = dht_asks_new(&asks),
	    .allow_local = conf->allow_local, .announce = conf->announce,
	    .port = conf->port, .ctx = d, .peer = on_peer,
	    .stalled = on_stalled };
	if (d->boots == NULL || d->env.asks == NULL)
		log_die("out of memory");
	dhtlog_init(&d->env.log, conf->ctx, conf->add);
	d->keep_ms = now + KEEP_MS;
	for (int i = 0; i < 2; i++) {
		struct side *s = &d->side[i];

		if (!datagrams_has(conf->net, i == 0 ? 4 : 6))
			continue;
		s->family = i == 0 ? 4 : 6;
		d->env.want |= i == 0 ? KRPC_WANT4 : KRPC_WANT6;
		s->refresh_ms = now + REFRESH_MS;
		choose_id(d, i, true);
		dht_init(&s->table, d->env.id[i], (uint8_t)s->family);
		load_table(d, s);
	}
	datagrams_take(conf->net, DATAGRAM_DHT, on_datagram, d);
	uv_timer_init(conf->loop, &d->beat);
	d->beat.data = d;
	uv_timer_start(&d->beat, on_beat, 0, BEAT_MS);
	return d;
}

bool dht_bootstrap(struct dht *d, struct span host, uint16_t port)
{
	return dht_boots_add(d->boots, host, port);
}

void dht_heard(struct dht *d, const struct endpoint *at)
{
	if (d->stopped || !has(d, at) || d->heard_n == HEARD ||
	    endpoint_forbidden(at, d->conf.allow_local) != NULL ||
	    dht_count(&side_of(d, at)->table, now_ms() / 1000, NULL) >= ENOUGH)
		return;
	for (unsigned i = 0; i < d->heard_n; i++)
		if (endpoint_same_ip(&d->heard[i], at))
			return;
	d->heard[d->heard_n++] = *at;
}

struct dht_search *dht_watch(struct dht *d, const char *swarm,
    const uint8_t (*hash)[20], int hashes, void *swarm_ctx)
{
	struct dht_search *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->d = d;
	q->ctx = swarm_ctx;
	snprintf(q->swarm, sizeof(q->swarm), "%s", swarm);
	for (int i = 0; i < hashes && i < DHT_HASHES; i++)
		for (int side = 0; side < 2; side++) {
			struct task *t = &q->task[q->tasks];

			if (d->side[side].family == 0)
				continue;
			*t = (struct task){ .search = q, .side = side,
			    .wait_ms = SOON_MS };
			memcpy(t->hash, hash[i], sizeof(t->hash));
			q->tasks++;
		}
	q->next = d->searches;
	d->searches = q;
	return q;
}

static void end_task(struct dht *d, struct task *t, const char *why)
{
	struct hunt **at = &d->hunts;

	if (t->hunt == NULL)
		return;
	while (*at != t->hunt)
		at = &(*at)->next;
	end(d, at, why, now_ms());
}

static void unwatch(struct dht_search *q, const char *why)
{
	struct dht_search **at = &q->d->searches;

	for (int i = 0; i < q->tasks; i++)
		end_task(q->d, &q->task[i], why);
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

void dht_unwatch(struct dht_search *q)
{
	if (q != NULL)
		unwatch(q, "not watched any more");
}

void dht_stop(struct dht *d)
{
	if (d == NULL || d->stopped)
		return;
	while (d->hunts != NULL)
		end(d, &d->hunts, "the run ended", now_ms());
	d->stopped = true;
	datagrams_take(d->conf.net, DATAGRAM_DHT, NULL, NULL);
	keep_tables(d);
	dht_boots_close(d->boots);
	d->boots = NULL;
	uv_close((uv_handle_t *)&d->beat, NULL);
}

void dht_free(struct dht *d)
{
	struct dht_search *q;

	if (d == NULL)
		return;
	while ((q = d->searches) != NULL) {
		d->searches = q->next;
		free(q);
	}
	dht_asks_free(d->env.asks);
	dhtlog_fini(&d->env.log);
	free(d);
}

void dht_counts(const struct dht *d, struct dht_count *c)
{
	*c = (struct dht_count){ 0 };
	for (int i = 0; i < 2; i++) {
		if (d->side[i].family == 0)
			continue;
		c->nodes[i] = dht_count(&d->side[i].table, now_ms() / 1000,
		    &c->good[i]);
		c->lookups += d->side[i].hunts;
	}
}
