#include "monitor/trackers.h"

#include <stdio.h>
#include <stdlib.h>

#include "monitor/due.h"
#include "monitor/http.h"
#include "monitor/tier.h"
#include "monitor/trackerurl.h"
#include "monitor/udptrack.h"
#include "schema/draw.h"
#include "schema/log.h"
#include "schema/now.h"
#include "schema/trackerlog.h"

#define URL_MAX 8192u			/* with our query */
#define TRACKERID_MAX 512u
#define NUMWANT 200
#define SCRAPE_NS (15 * 60 * NS_PER_S)	/* at most this often */
#define HTTP_MOST 64u			/* asked at once */
#define UDP_MOST 256u
#define HASHES 2
#define FAMILIES 2

static const char *const schemes[] = { "http", "https", "udp", NULL };

struct tracker {
	struct tracker_url at;
	unsigned tier;
	int64_t scraped_ns[HASHES];	/* 0: never */
};

/* One tracker, asked about one hash over one family. */
struct target {
	struct tracker_list *list;
	struct tier_walk *walk;
	unsigned id, tracker;
	int hash, family;
	bool started;		/* it knows us: it shall hear `stopped` */
	bool stop;		/* ... now */
	struct op *op;		/* the announce on its way */
	uint8_t trackerid[TRACKERID_MAX];
	size_t trackerid_bytes;
	bool worked;		/* its last announce succeeded */
};

struct tracker_list {
	struct due_item due;	/* first: the heap's item is the list */
	struct trackers *ts;
	struct tracker_list *next, **link;
	void *ctx;
	char swarm[65];
	uint8_t hash[HASHES][20];
	int hashes;
	bool is_private, gone;
	uint64_t left;
	struct tracker *trackers;
	size_t n;
	struct target *targets;
	size_t target_count;
	struct tier_walk *walks;
	size_t walk_count;
	struct tier_slot *slots;
	unsigned ops;
};

/* A question on its way. */
struct op {
	struct trackers *ts;
	struct op *next, **link;
	struct target *target;
	bool scrape;
	struct tracker_ask ask;
	uint8_t trackerid[TRACKERID_MAX];
	struct http_get *http;
	struct udp_ask *udp;
};

struct trackers {
	struct trackers_conf conf;
	struct http *http;
	struct udptrack *udp;
	struct trackerlog log;
	uv_timer_t pump, deadline;
	struct tracker_list *lists;
	struct due turns;	/* of every list */
	unsigned list_count;
	struct op *ops;
	unsigned http_ops, udp_ops;
	unsigned announces, failures;
	bool stopping, closing;
	unsigned open;
	void (*done)(void *ctx);
	void *done_ctx;
};

/* --- a torrent's trackers ------------------------------------------------ */

/* Adds one; false: out of memory. One that stands there twice counts where it
 * stands first. */
static bool add_tracker(struct tracker_list *l, struct span url, unsigned tier)
{
	struct tracker *t = &l->trackers[l->n];

	for (size_t i = 0; i < l->n; i++)
		if (span_eq(span_str(l->trackers[i].at.text), url))
			return true;
	*t = (struct tracker){ .tier = tier };
	if (!tracker_url_init(&t->at, url))
		return false;
	l->n++;
	return true;
}

static bool read_trackers(struct tracker_list *l,
    const struct tracker_watch *w)
{
	struct span url;
	unsigned tier;

	l->trackers = calloc(TRACKERS_MOST, sizeof(*l->trackers));
	if (l->trackers == NULL)
		return false;
	while (w->url(w->url_ctx, &url, &tier)) {
		if (url.n == 0 || url.n > URL_MAX / 2)
			continue;
		if (l->n == TRACKERS_MOST) {
			log_warn("%s: only the first %d trackers are asked",
			    l->swarm, TRACKERS_MOST);
			break;
		}
		if (!add_tracker(l, url, tier))
			return false;
	}
	return true;
}

/* Slots of one hash and family, cut into walks: at every new tier, or not at
 * all if the torrent is private. A tracker whose URL bears an address is asked
 * over that address's family alone. */
static void make_walks(struct tracker_list *l, int hash, int family)
{
	int64_t now = stamp_now().mono_ns;
	size_t first = l->target_count, from = first;
	uint32_t rnd[TRACKERS_MOST];

	for (size_t i = 0; i < l->n; i++) {
		unsigned id = (unsigned)l->target_count;

		if (l->trackers[i].at.family != 0 &&
		    l->trackers[i].at.family != family)
			continue;
		l->targets[id] = (struct target){ .list = l, .id = id,
		    .tracker = (unsigned)i, .hash = hash, .family = family };
		l->slots[id] = (struct tier_slot){ .id = id,
		    .tier = l->trackers[i].tier };
		draw_bits(&rnd[id - first], sizeof(rnd[0]));
		l->target_count++;
	}
	for (size_t i = first + 1; i <= l->target_count; i++) {
		struct tier_walk *w;

		if (i < l->target_count && (l->is_private ||
		    l->slots[i].tier == l->slots[from].tier))
			continue;
		w = &l->walks[l->walk_count++];
		for (size_t k = from; k < i; k++)
			l->targets[k].walk = w;
		tier_init(w, &l->slots[from], i - from, rnd, now);
		from = i;
	}
}

static void list_free(struct tracker_list *l)
{
	due_drop(&l->ts->turns, &l->due);
	if (l->link != NULL) {
		l->ts->list_count--;
		*l->link = l->next;
		if (l->next != NULL)
			l->next->link = l->link;
	}
	for (size_t i = 0; i < l->n; i++)
		tracker_url_fini(&l->trackers[i].at);
	free(l->trackers);
	free(l->targets);
	free(l->walks);
	free(l->slots);
	free(l);
}

/* --- asking -------------------------------------------------------------- */

static void pump_soon(struct trackers *ts, struct tracker_list *l);

static void asked_of(const struct op *op, struct asked *a)
{
	const struct target *g = op->target;
	const struct tracker *t = &g->list->trackers[g->tracker];

	*a = (struct asked){ .url = t->at.text, .swarm = g->list->swarm,
	    .transport = schemes[t->at.scheme], .tier = t->tier,
	    .family = g->family, .ask = &op->ask };
}

/* What a refusal asks us to wait, or -1. Whoever says never is asked daily. */
static int64_t retry_s(const struct told *t)
{
	if (t->outcome != EXCHANGE_FAILURE || t->reply.retry_min < 0)
		return -1;
	return t->reply.retry_min > TIER_INTERVAL_MOST_S / 60 ?
	    TIER_INTERVAL_MOST_S : t->reply.retry_min * 60;
}

static void announced(struct op *op, const struct asked *a,
    const struct exchange *x)
{
	struct target *g = op->target;
	struct tracker_list *l = g->list;
	struct trackers *ts = l->ts;
	int64_t now = stamp_now().mono_ns;
	struct told t;
	struct span id;

	trackerlog_announce(&ts->log, a, x, &t);
	ts->announces++;
	g->op = NULL;
	g->worked = t.outcome == EXCHANGE_OK;
	if (!g->worked)
		ts->failures++;
	if (op->ask.event == TRACKER_STOPPED) {
		g->started = false;
		free(t.peers);
		return;
	}
	/* A `started` given up on may have arrived all the same, unless we
	 * came no further than BEP 15's connect. */
	if (g->worked || (op->ask.event == TRACKER_STARTED && l->gone &&
	    t.outcome == EXCHANGE_TIMEOUT && x->request.n > UDP_CONNECT))
		g->started = true;
	if (g->worked) {
		id = t.reply.trackerid;
		if (id.n > 0 && id.n <= TRACKERID_MAX) {
			memcpy(g->trackerid, id.p, id.n);
			g->trackerid_bytes = id.n;
		}
		tier_ok(g->walk, g->id, t.reply.interval,
		    t.reply.min_interval, now);
	} else {
		tier_failed(g->walk, g->id, a->transport == NULL ?
		    TIER_INTERVAL_MOST_S : retry_s(&t), now);
	}
	if (g->worked && !l->gone)
		ts->conf.named(ts->conf.ctx, l->ctx, a->url, t.listed, t.peers,
		    t.n);
	free(t.peers);
}

static void on_answer(void *ctx, const struct exchange *x)
{
	struct op *op = ctx;
	struct trackers *ts = op->ts;
	struct tracker_list *l = op->target->list;
	struct asked a;

	asked_of(op, &a);
	a.stalled = x->outcome == EXCHANGE_TIMEOUT &&
	    ts->conf.stalled != NULL &&
	    ts->conf.stalled(ts->conf.ctx, x->sent.mono_ns);
	if (op->scrape)
		trackerlog_scrape(&ts->log, &a, x);
	else
		announced(op, &a, x);
	if (op->http != NULL)
		ts->http_ops--;
	if (op->udp != NULL)
		ts->udp_ops--;
	*op->link = op->next;
	if (op->next != NULL)
		op->next->link = op->link;
	free(op);
	l->ops--;
	pump_soon(ts, l);
}

/* Nothing could be asked: say so as if it had been. */
static void fail_op(struct op *op, enum exchange_outcome outcome,
    const char *error)
{
	struct exchange x = { .outcome = outcome, .sent = stamp_now() };

	x.at = x.sent;
	snprintf(x.error, sizeof(x.error), "%s", error);
	on_answer(op, &x);
}

static void send_op(struct op *op)
{
	struct target *g = op->target;
	const struct tracker *t = &g->list->trackers[g->tracker];
	struct trackers *ts = op->ts;
	char url[URL_MAX];
	size_t n;

	if (t->at.scheme == SCHEME_OTHER) {
		fail_op(op, EXCHANGE_REFUSED, "no tracker address we use");
		return;
	}
	if (t->at.scheme == SCHEME_UDP) {
		op->udp = udptrack_ask(ts->udp, t->at.host, t->at.port,
		    g->family, op->scrape ? NULL : &op->ask,
		    span_str(t->at.path), op->ask.infohash, on_answer, op);
		if (op->udp == NULL)
			fail_op(op, EXCHANGE_ERROR, "cannot ask");
		else
			ts->udp_ops++;
		return;
	}
	n = op->scrape ? tracker_scrape_url(url, sizeof(url),
	    span_str(t->at.text), op->ask.infohash) :
	    tracker_http_url(url, sizeof(url), span_str(t->at.text), &op->ask);
	if (n > 0)
		op->http = http_get(ts->http, url, g->family, HTTP_WAIT_MS,
		    on_answer, op);
	if (op->http == NULL)
		fail_op(op, EXCHANGE_ERROR, "no usable URL");
	else
		ts->http_ops++;
}

static void begin(struct target *g, bool scrape, enum tracker_event event)
{
	struct tracker_list *l = g->list;
	struct trackers *ts = l->ts;
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		log_die("out of memory");
	op->ts = ts;
	op->target = g;
	op->scrape = scrape;
	op->ask = (struct tracker_ask){ .left = l->left, .event = event,
	    .key = ts->conf.key, .numwant = event == TRACKER_STOPPED ? 0 :
	    NUMWANT, .port = ts->conf.port };
	memcpy(op->ask.infohash, l->hash[g->hash], 20);
	memcpy(op->ask.peer_id, ts->conf.peer_id, 20);
	memcpy(op->trackerid, g->trackerid, g->trackerid_bytes);
	op->ask.trackerid = span_of(op->trackerid, g->trackerid_bytes);
	op->next = ts->ops;
	op->link = &ts->ops;
	if (op->next != NULL)
		op->next->link = &op->next;
	ts->ops = op;
	l->ops++;
	if (!scrape)
		g->op = op;
	send_op(op);
}

/* --- when ---------------------------------------------------------------- */

static bool has_room(const struct trackers *ts, const struct target *g)
{
	return g->list->trackers[g->tracker].at.scheme == SCHEME_UDP ?
	    ts->udp_ops < UDP_MOST : ts->http_ops < HTTP_MOST;
}

static bool can_scrape(const struct tracker *t)
{
	static const uint8_t any[20];
	char url[URL_MAX];

	return t->at.scheme == SCHEME_UDP || tracker_scrape_url(url,
	    sizeof(url), span_str(t->at.text), any) > 0;
}

/* After an announce that worked: once per tracker and hash. */
static void scrape(struct target *g, int64_t now)
{
	struct tracker *t = &g->list->trackers[g->tracker];
	int64_t *last = &t->scraped_ns[g->hash];

	if (!g->worked || g->op != NULL || g->list->gone ||
	    (*last != 0 && now - *last < SCRAPE_NS))
		return;
	g->worked = false;	/* until the next announce works */
	*last = now;
	if (can_scrape(t))
		begin(g, true, TRACKER_NONE);
}

static bool full(const struct trackers *ts)
{
	return ts->http_ops >= HTTP_MOST || ts->udp_ops >= UDP_MOST;
}

/* Asks what is due of it; when it is to be looked at again. */
static int64_t pump_list(struct trackers *ts, struct tracker_list *l,
    int64_t now)
{
	int64_t due = INT64_MAX;
	unsigned id;

	for (size_t i = 0; i < l->target_count; i++) {
		struct target *g = &l->targets[i];

		if (!has_room(ts, g))
			return now;
		scrape(g, now);
		if (g->stop && g->started && g->op == NULL) {
			g->stop = false;
			begin(g, false, TRACKER_STOPPED);
		}
	}
	for (size_t i = 0; i < l->walk_count && !l->gone; i++) {
		struct tier_walk *w = &l->walks[i];

		if (full(ts))
			return now;	/* an answer pumps again */
		if (tier_next(w, now, &id))
			begin(&l->targets[id], false, l->targets[id].started ?
			    TRACKER_NONE : TRACKER_STARTED);
		if (tier_due(w) < due)
			due = tier_due(w);
	}
	return due;
}

static bool idle(const struct tracker_list *l)
{
	if (l->ops > 0)
		return false;
	for (size_t i = 0; i < l->target_count; i++)
		if (l->targets[i].stop && l->targets[i].started)
			return false;
	return true;
}

static void close_all(struct trackers *ts);

static void on_pump(uv_timer_t *timer)
{
	struct trackers *ts = timer->data;
	int64_t now = stamp_now().mono_ns, due = INT64_MAX;
	struct due_item *first;

	while (!full(ts) && (first = due_first(&ts->turns)) != NULL &&
	    first->at_ns <= now) {
		struct tracker_list *l = (struct tracker_list *)first;

		due_put(&ts->turns, first, INT64_MAX);
		due = pump_list(ts, l, now);
		if (l->gone && idle(l))
			list_free(l);
		else if (due < first->at_ns)	/* or an answer came at once */
			due_put(&ts->turns, first, due);
	}
	first = due_first(&ts->turns);
	due = first != NULL ? first->at_ns : INT64_MAX;
	if (ts->stopping && ts->lists == NULL) {
		close_all(ts);
		return;
	}
	/* Full, it waits for an answer, which pumps. */
	if (due != INT64_MAX && !full(ts) &&
	    !uv_is_active((uv_handle_t *)&ts->pump))
		uv_timer_start(&ts->pump, on_pump, due <= now ? 0 :
		    (uint64_t)((due - now) / NS_PER_MS + 1), 0);
}

/* Something of this list is to be looked at. */
static void pump_soon(struct trackers *ts, struct tracker_list *l)
{
	due_put(&ts->turns, &l->due, INT64_MIN);
	if (!ts->closing)
		uv_timer_start(&ts->pump, on_pump, 0, 0);
}

/* --- ends ---------------------------------------------------------------- */

static void closed(void *ctx)
{
	struct trackers *ts = ctx;

	if (--ts->open == 0)
		ts->done(ts->done_ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	closed(handle->data);
}

static void close_all(struct trackers *ts)
{
	if (ts->closing)
		return;
	ts->closing = true;
	ts->open = 4;
	uv_close((uv_handle_t *)&ts->pump, timer_closed);
	uv_close((uv_handle_t *)&ts->deadline, timer_closed);
	http_close(ts->http, closed, ts);
	udptrack_close(ts->udp, closed, ts);
}

static void give_up(struct op *op, const char *why)
{
	if (op->http != NULL)
		http_give_up(op->http, why);
	else if (op->udp != NULL)
		udptrack_give_up(op->udp, why);
}

void trackers_unwatch(struct tracker_list *l)
{
	struct op *next;

	if (l->gone)
		return;
	l->gone = true;
	l->ctx = NULL;
	for (struct op *op = l->ts->ops; op != NULL; op = next) {
		next = op->next;
		if (op->target->list == l)
			give_up(op, "not watched any more");
	}
	for (size_t i = 0; i < l->target_count; i++)
		l->targets[i].stop = true;
	pump_soon(l->ts, l);
}

static void on_deadline(uv_timer_t *timer)
{
	struct trackers *ts = timer->data;
	struct op *next;
	unsigned unheard = 0;

	for (struct op *op = ts->ops; op != NULL; op = next) {
		next = op->next;
		give_up(op, "the run ended");
	}
	while (ts->lists != NULL) {
		for (size_t i = 0; i < ts->lists->target_count; i++)
			unheard += ts->lists->targets[i].stop &&
			    ts->lists->targets[i].started;
		list_free(ts->lists);
	}
	if (unheard > 0)
		log_warn("%u trackers could not be told `stopped` in time",
		    unheard);
	close_all(ts);
}

void trackers_stop(struct trackers *ts, int wait_ms, void (*done)(void *ctx))
{
	if (ts->stopping)
		return;
	ts->stopping = true;
	ts->done = done;
	ts->done_ctx = ts->conf.ctx;
	for (struct tracker_list *l = ts->lists; l != NULL; l = l->next)
		trackers_unwatch(l);
	uv_timer_start(&ts->deadline, on_deadline, (uint64_t)wait_ms, 0);
	uv_timer_start(&ts->pump, on_pump, 0, 0);
}

void trackers_free(struct trackers *ts)
{
	if (ts == NULL)
		return;
	json_fini(&ts->log.json);
	due_fini(&ts->turns);
	free(ts);
}

/* --- beginnings ---------------------------------------------------------- */

static void *memory(void *old, size_t bytes)
{
	if (bytes > 0)
		return realloc(old, bytes);
	free(old);
	return NULL;
}

struct trackers *trackers_new(const struct trackers_conf *conf)
{
	struct trackers *ts = calloc(1, sizeof(*ts));

	if (ts == NULL)
		return NULL;
	ts->conf = *conf;
	due_init(&ts->turns, memory);
	ts->log.ctx = conf->ctx;
	ts->log.add = conf->add;
	json_init(&ts->log.json, JSON_MOST);
	ts->http = http_new(&(struct http_conf){ .loop = conf->loop,
	    .user_agent = conf->user_agent, .bind4 = conf->bind4,
	    .bind6 = conf->bind6, .ports_from = conf->ports_from,
	    .ports_to = conf->ports_to, .allow_local = conf->allow_local });
	ts->udp = udptrack_new(&(struct udptrack_conf){ .loop = conf->loop,
	    .bind4 = conf->bind4, .bind6 = conf->bind6,
	    .ports_from = conf->ports_from, .ports_to = conf->ports_to,
	    .allow_local = conf->allow_local });
	if (ts->http == NULL || ts->udp == NULL)
		log_die("out of memory");
	uv_timer_init(conf->loop, &ts->pump);
	uv_timer_init(conf->loop, &ts->deadline);
	ts->pump.data = ts->deadline.data = ts;
	return ts;
}

static void make_all(struct tracker_list *l, int hash)
{
	if (l->n == 0)
		return;
	if (l->ts->conf.want4)
		make_walks(l, hash, 4);
	if (l->ts->conf.want6)
		make_walks(l, hash, 6);
}

struct tracker_list *trackers_watch(struct trackers *ts,
    const struct tracker_watch *w)
{
	struct tracker_list *l = calloc(1, sizeof(*l));
	size_t most;

	if (l == NULL)
		return NULL;
	l->ts = ts;
	if (!due_reserve(&ts->turns, ts->list_count + 1))
		goto fail;
	l->ctx = w->ctx;
	snprintf(l->swarm, sizeof(l->swarm), "%s", w->swarm);
	l->is_private = w->is_private;
	l->left = w->left;
	if (!read_trackers(l, w))
		goto fail;
	most = l->n * HASHES * FAMILIES + 1;
	l->targets = calloc(most, sizeof(*l->targets));
	l->walks = calloc(most, sizeof(*l->walks));
	l->slots = calloc(most, sizeof(*l->slots));
	if (l->targets == NULL || l->walks == NULL || l->slots == NULL)
		goto fail;
	for (int i = 0; i < w->hashes; i++) {
		memcpy(l->hash[l->hashes++], w->hash[i], 20);
		make_all(l, i);
	}
	l->next = ts->lists;
	l->link = &ts->lists;
	if (l->next != NULL)
		l->next->link = &l->next;
	ts->lists = l;
	ts->list_count++;
	pump_soon(ts, l);
	return l;
fail:
	list_free(l);
	return NULL;
}

void trackers_learnt(struct tracker_list *l, uint64_t left,
    const uint8_t (*hash)[20], int hashes)
{
	l->left = left;
	while (l->hashes < hashes) {
		memcpy(l->hash[l->hashes], hash[l->hashes], 20);
		make_all(l, l->hashes++);
	}
	pump_soon(l->ts, l);
}

void trackers_state(const struct trackers *ts, struct trackers_state *s)
{
	*s = (struct trackers_state){ .announces = ts->announces,
	    .failures = ts->failures };
	for (const struct tracker_list *l = ts->lists; l != NULL; l = l->next) {
		s->trackers += (unsigned)l->n;
		for (size_t i = 0; i < l->n; i++)
			for (size_t k = 0; k < l->target_count; k++)
				if (l->targets[k].tracker == i &&
				    l->targets[k].started) {
					s->working++;
					break;
				}
	}
}
