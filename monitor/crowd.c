#include "monitor/crowd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/fetch.h"
#include "monitor/learn.h"
#include "monitor/relief.h"
#include "monitor/tcpstream.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/now.h"

#define BEAT_MS 50
#define DIALS_A_TURN 32		/* before others have a turn */
#define FETCH_BEATS 5		/* who is silent is noticed after so many */
#define SAY_AGAIN (60 * NS_PER_S)
#define REST (1 * NS_PER_S)

static int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void each_of(struct peer *p, void (*f)(struct peer *p))
{
	struct peer *next;

	for (; p; p = next) {
		next = p->next;
		f(p);
	}
}

static void each(struct crowd *c, void (*f)(struct peer *p))
{
	each_of(c->strangers, f);
	for (struct swarm *s = c->swarms.first; s; s = s->next)
		each_of(s->peers, f);
}

static void end_all(struct peer *p, const char *why)
{
	struct peer *next;

	for (; p; p = next) {
		next = p->next;
		peer_end(p, why);
	}
}

/* --- what connections tell ------------------------------------------------------ */

static int64_t on_add(void *ctx, const struct record *r)
{
	struct crowd *c = ctx;

	return ledger_add(c->ledger, r);
}

static struct swarm *on_find(void *ctx, const uint8_t infohash[20])
{
	struct crowd *c = ctx;

	return swarms_find(&c->swarms, infohash);
}

static bool on_meant(void *ctx, const uint8_t req2[20], uint8_t infohash[20])
{
	struct crowd *c = ctx;

	return swarms_meant(&c->swarms, req2, infohash) != NULL;
}

static bool on_stalled(void *ctx, int64_t since_mono_ns)
{
	struct crowd *c = ctx;

	return c->env.paused || clockwatch_stalled(c->clock, since_mono_ns);
}

static void on_dialling(uv_idle_t *idle);

/* There may be room for another dial. */
static void dial_soon(struct crowd *c)
{
	if (!c->stopping)
		uv_idle_start(&c->dialling, on_dialling);
}

static void on_reached(void *ctx, struct peer *p)
{
	struct crowd *c = ctx;

	book_reached(c->book, p->visit.id);
	if (p->ladder.way.utp)	/* nothing else answers so */
		book_spoke(c->book, &p->who, now_ns());
	dial_soon(c);
}

static void on_greeted(void *ctx, struct peer *p)
{
	struct crowd *c = ctx;

	book_spoke(c->book, &p->who, p->env->now_ns);
}

static void on_listens(void *ctx, struct peer *p, uint16_t port)
{
	struct crowd *c = ctx;
	struct endpoint at = p->who;

	at.port = port;
	book_met(c->book, p->swarm->book, &at, p->env->now_ns);
}

static void on_node(void *ctx, struct peer *p, uint16_t port)
{
	struct crowd *c = ctx;
	struct endpoint at = p->who;

	at.port = port;
	c->node(c->ctx, p->swarm, &at);
}

/* How others say that it is reached (BEP 11). */
static uint8_t said_of(uint8_t flags)
{
	return (flags & PEX_ENCRYPTION ? LADDER_SAID_CRYPT : 0) |
	    (flags & PEX_UTP ? LADDER_SAID_UTP : 0);
}

static void on_gossip(void *ctx, struct peer *p, const struct pex_msg *m)
{
	struct crowd *c = ctx;
	struct pex_peers it = { 0 };
	struct pex_peer q;

	for (unsigned n = 0; n < PEX_HEARD_MOST && pex_peer(m, &it, &q); n++) {
		if (q.dropped || !q.at.family)
			continue;
		c->found(c->ctx, p->swarm, &q.at, BOOK_PEX);
		book_hint(c->book, p->swarm->book, &q.at,
		    said_of(q.flags));
	}
}

/* No descriptor or no local port: others may be given back soon. */
static void cannot_dial(struct crowd *c, const char *why, int64_t now)
{
	c->dial_again_ns = now + REST;
	c->undialled++;
	if (now - c->undialled_said_ns < SAY_AGAIN)
		return;
	c->undialled_said_ns = now;
	log_warn("cannot dial: %s (%lld times so far)", why,
	    (long long)c->undialled);
}

static enum ladder_end way_end(const struct peer *p)
{
	if (!p->connected || p->hesitates)
		return LADDER_SILENT;
	return p->session.outcome == SESSION_SILENT ? LADDER_CLOSED :
	    LADDER_MET;
}

static enum book_end end_of(const struct peer *p)
{
	if (p->swarm && p->swarm->decoy && p->connected)
		return BOOK_SELF;	/* once is enough */
	switch (p->session.outcome) {
	case SESSION_SILENT:
		return p->ladder.known & (LADDER_TCP | LADDER_UTP) ?
		    BOOK_SHUT : BOOK_FAILED;
	case SESSION_OTHER:
		return BOOK_OTHER;
	case SESSION_SELF:
		return BOOK_SELF;
	case SESSION_MET:
		break;
	}
	return BOOK_MET;
}

/* A dial is over: the visit goes on another way, now or later, or is over too. */
static void visited(struct crowd *c, struct peer *p)
{
	uint32_t id = p->visit.id;
	int64_t now = now_ns();
	bool more = ladder_next(&p->ladder, way_end(p)) && !c->stopping &&
	    !p->swarm->leaving && book_counts(c->book, id);
	bool at_once = more && book_again(c->book, id, now);

	book_know(c->book, id, p->ladder.known, more ?
	    ladder_mark(&p->ladder) : 0);
	if (at_once) {
		if (peer_dial(&c->env, p->swarm, &p->visit, &p->ladder) == 0)
			return;
		cannot_dial(c, strerror(errno), now);
	}
	book_done(c->book, id, more ? BOOK_AGAIN : end_of(p), now);
	dial_soon(c);
}

static void on_gone(void *ctx, struct peer *p)
{
	struct crowd *c = ctx;

	learn_forget(p);
	decoys_gone(c->decoys, p, stamp_now());
	if (p->incoming)
		book_left(c->book, &p->who);
	else
		visited(c, p);
}

/* The ledger cannot keep up, or memory is full: nobody is read until that is
 * over. */
static void on_heard(void *ctx)
{
	struct crowd *c = ctx;
	bool full = relief_heard(c), behind = ledger_full(c->ledger);

	if (c->env.paused || (!full && !behind))
		return;
	c->paused_at = stamp_now();
	c->paused_for = behind ? "queue" : "memory";
	c->env.paused = true;
	each(c, peer_resume);
}

static void resume(struct crowd *c)
{
	struct stamp at = stamp_now();

	if (!c->env.paused || ledger_full(c->ledger) || relief_full(c))
		return;
	c->env.paused = false;
	clockwatch_stall(c->clock, c->paused_for, c->paused_at.utc_ns, at.utc_ns,
	    at.mono_ns - c->paused_at.mono_ns, 0);
	each(c, peer_resume);
}

static void refused(struct crowd *c, const struct endpoint *from,
    const char *limit, int64_t now)
{
	char text[ENDPOINT_TEXT_MAX];

	c->refused++;
	if (now - c->refused_said_ns < SAY_AGAIN)
		return;
	c->refused_said_ns = now;
	log_info("%s: connection refused: %s (%lld so far)",
	    endpoint_text(from, text), limit, (long long)c->refused);
}

static void take_stream(struct crowd *c, struct stream *s,
    const struct endpoint *from, const struct endpoint *local)
{
	if (!s || peer_accept(&c->env, &c->strangers, s, from, local) < 0)
		book_left(c->book, from);
}

/* Who calls may be let in: NULL, or what forbids it. forged: see book_accept. */
static const char *admit(struct crowd *c, const struct endpoint *from,
    bool forged, int64_t now)
{
	if (relief_tight(c)) {
		c->refused_tight++;
		return "memory is short";
	}
	if (!forged && book_crowded(c->book, from, now))
		relief_place(c);
	return book_accept(c->book, from, forged, now);
}

static void on_accepted(void *ctx, int fd, const struct endpoint *from,
    const struct endpoint *local)
{
	struct crowd *c = ctx;
	int64_t now = now_ns();
	const char *limit = admit(c, from, false, now);

	if (limit) {
		close(fd);
		refused(c, from, limit, now);
		return;
	}
	take_stream(c, tcpstream_adopt(c->env.tcp, fd), from, local);
}

static bool on_admit(void *ctx, const struct endpoint *from)
{
	struct crowd *c = ctx;
	int64_t now = now_ns();
	const char *limit = c->env.paused ? "the ledger is full" :
	    admit(c, from, true, now);

	if (limit)
		refused(c, from, limit, now);
	return !limit;
}

static void on_utp(void *ctx, struct stream *s, const struct endpoint *from,
    const struct endpoint *local)
{
	take_stream(ctx, s, from, local);
}

/* --- the beat: dials and old runs ------------------------------------------------- */

/* Until nothing is due, or a limit is met: what lifts it begins anew. */
static void on_dialling(uv_idle_t *idle)
{
	struct crowd *c = idle->data;
	struct ladder_conf conf = { .crypt = c->env.crypt };
	int64_t now = now_ns();
	struct book_visit v;
	struct ladder l;

	for (int i = 0; i < DIALS_A_TURN; i++) {
		book_yield(c->book, !TAILQ_EMPTY(&c->env.lingering));
		if (c->env.paused || relief_tight(c) || now < c->dial_again_ns ||
		    !book_next(c->book, now, &v)) {
			uv_idle_stop(idle);
			return;
		}
		if (v.crowded)
			relief_place(c);
		conf.utp = c->env.utp && datagrams_has(c->udp, v.at.family);
		ladder_resume(&l, &conf, v.known, v.mark);
		if (peer_dial(&c->env, c->swarms.by_book[v.swarm], &v, &l) ==
		    0)
			continue;
		cannot_dial(c, strerror(errno), now);
		book_done(c->book, v.id, BOOK_UNTRIED, now);
	}
}

/* A private torrent's peers come from its trackers (BEP 27), or from the link
 * that the operator gave: of others we know no more. */
static void keep_private(struct crowd *c, struct swarm *s, struct stamp at)
{
	struct record r = { .at = at, .kind = "no_dials",
		.swarm = s->ref.swarm, .conn = CONN_NONE };
	struct peer *next;
	struct json j;
	unsigned ended = 0;

	book_only(c->book, s->book, BOOK_TRACKER | BOOK_MAGNET);
	for (struct peer *p = s->peers; p; p = next) {
		next = p->next;
		if (p->incoming || book_counts(c->book, p->visit.id))
			continue;
		ended++;
		peer_end(p, "its torrent is private, and no tracker named "
		    "this peer");
	}
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "why", "the torrent is private: whom neither a tracker "
	    "nor the link named is not dialled from here on");
	json_uint(&j, "ended", ended);
	json_close(&j, '}');
	r.detail = json_done(&j);
	ledger_add(c->ledger, &r);
	json_fini(&j);
}

/* What peers gave of a swarm's metadata is looked at here, outside of their
 * own conversations. */
static void fetch(struct crowd *c, struct swarm *s)
{
	struct stamp at = stamp_now();
	char *source;
	struct torrent *t = fetch_take(s->fetch, at, &source);

	if (!t) {
		if (c->beats % FETCH_BEATS == 0)
			each_of(s->peers, peer_fetch);
		return;
	}
	c->fetching--;
	swarm_learn(s, t);
	swarms_learnt(&c->swarms, s);
	c->learnt(c->ctx, s, source);
	free(source);
	if (s->policy.is_private)
		keep_private(c, s, at);
	each_of(s->peers, peer_learnt);
}

static void on_beat(uv_timer_t *beat)
{
	struct crowd *c = beat->data;
	struct swarm *next;

	struct endpoint who;

	c->beats++;
	while (c->decoy && decoys_due(c->decoys, now_ns(), &who))
		crowd_hear(c, c->decoy, &who, BOOK_DECOY);
	relief_beat(c, stamp_now());
	on_heard(c);
	resume(c);
	dial_soon(c);
	for (struct swarm *s = c->swarms.first; s && c->fetching > 0;
	    s = next) {
		next = s->next;
		if (s->fetch)
			fetch(c, s);
	}
	peers_pour(&c->env);
	peers_tick(&c->env);
}

/* --- the story ---------------------------------------------------------------- */

static void *memory(void *old, size_t bytes)
{
	if (bytes)
		return realloc(old, bytes);
	free(old);
	return NULL;
}

static int listen_at(struct crowd *c, struct listener *l, uv_loop_t *loop,
    const struct endpoint *bind_to, uint16_t port)
{
	struct endpoint at = *bind_to;
	char text[ENDPOINT_TEXT_MAX];

	l->fd = -1;
	if (at.family == 0)
		return 0;
	at.port = port;
	l->ctx = c;
	l->accepted = on_accepted;
	if (listener_open(l, loop, &at) < 0) {
		log_warn("cannot listen on %s: %s", endpoint_text(&at, text),
		    strerror(errno));
		return -1;
	}
	return 0;
}

static int open_utp(struct crowd *c, const struct crowd_conf *conf)
{
	struct utpmux_conf mux = { .loop = conf->loop, .udp = conf->udp,
		.bind4 = conf->bind4, .bind6 = conf->bind6,
		.port = conf->listen_port, .ctx = c, .admit = on_admit,
		.accepted = on_utp };

	c->udp = conf->udp;
	c->env.utp = utpmux_open(&mux);
	if (c->env.utp)
		return 0;
	log_warn("out of memory");
	return -1;
}

int crowd_open(struct crowd *c, const struct crowd_conf *conf)
{
	struct book_conf bc = conf->book;

	*c = (struct crowd){ .ledger = conf->ledger, .clock = conf->clock,
		.refused_said_ns = now_ns() - SAY_AGAIN,
		.undialled_said_ns = now_ns() - SAY_AGAIN,
		.unkept_said_ns = now_ns() - SAY_AGAIN,
		.ctx = conf->ctx, .node = conf->node, .found = conf->found,
		.learnt = conf->learnt,
		.listen4 = { .fd = -1 }, .listen6 = { .fd = -1 } };
	c->env = (struct peer_env){ .loop = conf->loop,
		.policy = conf->policy, .bind4 = conf->bind4,
		.bind6 = conf->bind6, .crypt = conf->crypt,
		.meant = on_meant, .ports_from = conf->ports_from,
		.ports_to = conf->ports_to, .ctx = c, .add = on_add,
		.find = on_find, .stalled = on_stalled, .reached = on_reached,
		.greeted = on_greeted, .listens = on_listens,
		.node = on_node, .gossip = on_gossip, .gone = on_gone,
		.heard = on_heard };
	meter_init(&c->env.meter, conf->max_rate, now_ns());
	bc.memory = memory;
	c->book = book_new(&bc);
	c->env.tcp = tcpset_open(conf->loop);
	if (!c->book || !c->env.tcp || peer_env_init(&c->env) < 0) {
		log_warn("out of memory");
		return -1;
	}
	if (listen_at(c, &c->listen4, conf->loop, &conf->bind4,
	    conf->listen_port) < 0 ||
	    listen_at(c, &c->listen6, conf->loop, &conf->bind6,
	    conf->listen_port) < 0)
		return -1;
	if (conf->udp && open_utp(c, conf) < 0)
		return -1;
	c->memory = conf->memory;
	c->decoys = conf->decoys;
	c->decoy = decoys_swarm(c->decoys);
	if (c->decoy && crowd_watch(c, c->decoy) < 0) {
		log_warn("out of memory");
		return -1;
	}
	uv_timer_init(conf->loop, &c->beat);
	uv_idle_init(conf->loop, &c->dialling);
	c->beat.data = c->dialling.data = c;
	uv_timer_start(&c->beat, on_beat, BEAT_MS, BEAT_MS);
	return 0;
}

/* Nothing but its infohash is known. */
static bool begin_fetch(struct crowd *c, struct swarm *s)
{
	struct fetch_conf conf = { .swarm = s->ref.swarm, .ctx = c,
		.add = on_add,
		.hash_v1 = s->magnet.v1 ? s->magnet.hash_v1 : NULL,
		.hash_v2 = s->magnet.v2 ? s->magnet.hash_v2 : NULL };

	s->fetch = fetch_new(&conf);
	c->fetching += s->fetch != NULL;
	return s->fetch != NULL;
}

int crowd_watch(struct crowd *c, struct swarm *s)
{
	if (s->is_magnet && !begin_fetch(c, s))
		return -1;
	s->book = book_open(c->book);
	if (s->book == BOOK_NONE)
		return -1;
	if (swarms_add(&c->swarms, s) < 0) {
		book_close(c->book, s->book);
		return -1;
	}
	return 0;
}

void crowd_unwatch(struct crowd *c, struct swarm *s, const char *why)
{
	s->leaving = true;
	end_all(s->peers, why);
	c->fetching -= s->fetch != NULL;
	book_close(c->book, s->book);
	swarms_remove(&c->swarms, s);
	swarm_free(s);
}

void crowd_hear(struct crowd *c, struct swarm *s, const struct endpoint *at,
    enum book_source source)
{
	/* Which family we cannot dial is no business of the book's. */
	if ((at->family == 4 ? c->env.bind4 : c->env.bind6).family == 0 ||
	    c->stopping)
		return;
	if (!book_hear(c->book, s->book, at, source, now_ns()))
		dial_soon(c);
}

void crowd_stop(struct crowd *c, const char *why)
{
	if (c->stopping)
		return;
	c->stopping = true;
	uv_close((uv_handle_t *)&c->beat, NULL);
	uv_close((uv_handle_t *)&c->dialling, NULL);
	listener_close(&c->listen4);
	listener_close(&c->listen6);
	if (c->env.utp)
		utpmux_stop(c->env.utp);
	end_all(c->strangers, why);
	for (struct swarm *s = c->swarms.first; s; s = s->next)
		end_all(s->peers, why);
	relief_end(c, stamp_now());
	tcpset_close(c->env.tcp);
}

void crowd_free(struct crowd *c)
{
	struct swarm *s;

	while ((s = c->swarms.first)) {
		swarms_remove(&c->swarms, s);
		swarm_free(s);
	}
	book_free(c->book);
	utpmux_free(c->env.utp);
	peer_env_fini(&c->env);
}
