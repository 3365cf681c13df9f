#include "monitor/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "monitor/fetch.h"
#include "monitor/learn.h"
#include "monitor/peerlist.h"
#include "monitor/peerlog.h"
#include "monitor/peerout.h"
#include "monitor/tcpstream.h"
#include "schema/gather.h"
#include "schema/log.h"
#include "schema/now.h"

#define CONNECT_WAIT (10 * NS_PER_S)
#define HESITATION (500 * NS_PER_MS)	/* a close comes in a round trip */
#define STALL_LOOK (60 * NS_PER_S)
#define TICK (100 * NS_PER_MS)
#define SIP (PW_BLOCK + 1024u)	/* a turn where that is bounded: a block, whole */
#define DRY_LOOK (250 * NS_PER_MS)
#define SLICE 4096u		/* heard before we may have had enough */
#define OUT_ROOM 131072u	/* said at once */
#define LINEUP_MOST 262144u	/* of records that wait for a peer's digests */

int peer_env_init(struct peer_env *env)
{
	env->out = malloc(OUT_ROOM);
	TAILQ_INIT(&env->lingering);
	TAILQ_INIT(&env->waiting);
	TAILQ_INIT(&env->dry);
	env->round = 1;
	env->digester = digester_new(1, GATHER_NS);
	return env->out ? 0 : -1;
}

void peer_env_fini(struct peer_env *env)
{
	free(env->out);
	digester_free(env->digester);
	env->out = NULL;
	env->digester = NULL;
}

/* --- the end ------------------------------------------------------------------ */

static void on_closed(uv_handle_t *h)
{
	struct peer *p = h->data;

	free(p->out);
	free(p->map);
	free(p);
}

static void wait_no_more(struct peer *p)
{
	if (p->waits_ns)
		TAILQ_REMOVE(&p->env->waiting, p, waiting);
	p->waits_ns = 0;
}

/* Its bytes wait for their turn, or no more. */
static void set_dry(struct peer *p, int64_t since_ns)
{
	if (since_ns && !p->dry_ns)
		TAILQ_INSERT_TAIL(&p->env->dry, p, dry);
	else if (!since_ns && p->dry_ns)
		TAILQ_REMOVE(&p->env->dry, p, dry);
	p->dry_ns = since_ns;
}

static void finish(struct peer *p)
{
	p->ended = true;
	wait_no_more(p);
	set_dry(p, 0);
	peerlist_unlink(p);
	p->claimed = p->witness && claims_any(witness_claims(p->witness,
	    SIDE_PEER));
	stream_close(p->stream);
	p->stream = NULL;
	lineup_free(p->lineup);
	p->lineup = NULL;
	witness_free(p->witness);
	p->witness = NULL;
	cipher_free(p->cipher);
	p->cipher = NULL;
	uv_close((uv_handle_t *)&p->timer, on_closed);
	p->env->gone(p->env->ctx, p);
}

static void end_connected(struct peer *p, const char *by, const char *why,
    struct stamp at)
{
	p->ended = true;
	if (p->undecided && p->first_n)
		witness_bytes(p->witness, SIDE_PEER, p->first, p->first_n, at);
	witness_close(p->witness, by, why, at);
	if (p->lineup)
		lineup_drain(p->lineup);
	finish(p);
}

static void end_unreached(struct peer *p, const char *why, const char *error,
    struct stamp at)
{
	peerlog_unreached(p, why, error, at);
	finish(p);
}

/* --- waiting ------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void arm(struct peer *p, int64_t at_ns, int64_t now_ns)
{
	int64_t left = at_ns > now_ns ? at_ns - now_ns : 0;

	p->armed_ns = at_ns;
	uv_update_time(p->env->loop);
	uv_timer_start(&p->timer, on_timer,
	    (uint64_t)(left / NS_PER_MS) + 1, 0);
}

/* A timer that fires early only looks again. */
static void rearm(struct peer *p, int64_t now_ns)
{
	int64_t at = session_deadline(&p->session);

	if (at < p->armed_ns || p->armed_ns <= now_ns)
		arm(p, at, now_ns);
}

static const char *broke_word(int error)
{
	return error == ECONNRESET || error == EPIPE ? "reset" :
	    strerror(error);
}

/* --- the policy ---------------------------------------------------------------- */

void peer_step(struct peer *p, enum session_in_kind kind,
    const struct event *ev, uint32_t block, int64_t now_ns)
{
	const struct claims *c = witness_claims(p->witness, SIDE_PEER);
	struct session_in in = { .kind = kind, .now_ns = now_ns, .ev = ev,
		.block = block,
		.swarm = p->swarm ? &p->swarm->policy : NULL,
		.claimed = c->bits, .claimed_count = c->count };
	struct session_out out = { .bytes = p->env->out, .room = OUT_ROOM,
		.n = p->env->out_n };

	if (p->why)
		return;
	if (out.room - out.n < SESSION_OUT_MIN) {
		p->why = "it wants more answers than it may";
		return;
	}
	session_step(&p->session, &in, &out);
	p->env->out_n = out.n;
	p->why = out.close;
}

static void step(struct peer *p, enum session_in_kind kind,
    const struct event *ev, int64_t now_ns)
{
	peer_step(p, kind, ev, 0, now_ns);
}

/* Its witness is ticked in time, and what waits for digests handed on. */
static void await_tick(struct peer *p, int64_t now_ns)
{
	bool late = lineup_turn(p->lineup);

	if (p->waits_ns || !(late || witness_waiting(p->witness)))
		return;
	p->waits_ns = now_ns;
	TAILQ_INSERT_TAIL(&p->env->waiting, p, waiting);
}

/* Who does not take what we say is not heard either. */
static void watch(struct peer *p)
{
	stream_read(p->stream, !p->env->paused && p->out_n == 0 &&
	    !p->dry_ns);
}

/* After steps: sends, closes or waits on. */
static void settle(struct peer *p, struct stamp at)
{
	if (!peerout_flush(p)) {
		end_connected(p, "error", broke_word(errno), at);
		return;
	}
	if (p->why) {
		end_connected(p, "us", p->why, at);
		return;
	}
	peerlist_linger(p);
	await_tick(p, at.mono_ns);
	rearm(p, at.mono_ns);
	watch(p);
}

/* The swarm is known: a large sample needs its map. */
static void join(struct peer *p)
{
	const struct session_conf *conf = p->env->policy;

	if (p->map || !sample_is_large(conf->sample) ||
	    p->swarm->policy.pieces == 0)
		return;
	p->map = calloc(1, (size_t)p->swarm->policy.pieces / 8 + 1);
	if (!p->map)
		log_die("out of memory for a peer");
	session_map(&p->session, p->map);
}

static void greeted(struct peer *p, const struct event *ev)
{
	if (!p->swarm) {
		p->swarm = p->env->find(p->env->ctx, ev->hs.infohash);
		if (p->swarm) {
			peerlist_unlink(p);
			peerlist_link(p, &p->swarm->peers);
		}
	}
	if (p->swarm)
		join(p);
}

/* --- what becomes known of the swarm ------------------------------------------- */

void peer_fetch(struct peer *p)
{
	struct stamp at = stamp_now();

	if (p->slot == FETCH_NONE)
		return;
	learn_ask(p, at);
	settle(p, at);
}

void peer_learnt(struct peer *p)
{
	struct stamp at = stamp_now();

	p->slot = FETCH_NONE;
	if (!p->connected)
		return;
	witness_metadata(p->witness, at);
	if (p->session.outcome != SESSION_MET)
		return;
	join(p);
	step(p, IN_LEARNT, NULL, at.mono_ns);
	settle(p, at);
}

/* --- what the witness tells ------------------------------------------------------ */

static int64_t on_add(void *ctx, const struct record *r)
{
	struct peer *p = ctx;

	return p->lineup ? lineup_add(p->lineup, r) :
	    p->env->add(p->env->ctx, r);
}

static int64_t on_later(void *ctx, const struct record *r, struct promise *pr)
{
	struct peer *p = ctx;

	if (!p->lineup)
		p->lineup = lineup_new(LINEUP_MOST, p->env->add, p->env->ctx);
	return lineup_later(p->lineup, r, pr);
}

static const struct swarmref *on_swarm(void *ctx, const uint8_t infohash[20])
{
	struct peer *p = ctx;
	struct swarm *s = p->env->find(p->env->ctx, infohash);

	return s ? &s->ref : NULL;
}

static void on_event(void *ctx, const struct event *ev)
{
	struct peer *p = ctx;
	bool met = p->session.outcome == SESSION_MET;

	if (p->ended)
		return;
	if (ev->by == SIDE_US) {
		if (ev->kind == EV_BLOCK)
			p->env->piece_bytes_sent += (int64_t)ev->part.n;
		return;
	}
	if (ev->kind == EV_HANDSHAKE) {
		greeted(p, ev);
		p->env->greeted(p->env->ctx, p);
	}
	step(p, IN_EVENT, ev, p->env->now_ns);
	if (ev->kind == EV_EXTENDED && p->swarm && !p->why)
		learn_told(p, ev);
	if (!met && p->session.outcome == SESSION_MET)
		p->env->met++;
	if (p->swarm && ev->kind == EV_MESSAGE && ev->msg.id == PW_PORT)
		p->env->node(p->env->ctx, p, ev->msg.port);
	if (p->incoming && p->swarm && ev->kind == EV_EXTENDED &&
	    ev->ext == EXT_HANDSHAKE && ev->xh.p > 0 && ev->xh.p <= UINT16_MAX)
		p->env->listens(p->env->ctx, p, (uint16_t)ev->xh.p);
}

static void on_piece(void *ctx, const struct piece_result *r)
{
	struct peer *p = ctx;

	if (!r->complete)
		return;
	if (!r->matched) {
		p->env->pieces_bad++;
		return;
	}
	p->env->pieces_ok++;
	if (!p->matched)
		p->env->verified++;
	p->matched = true;
}

/* --- what the stream tells --------------------------------------------------------- */

static bool meant(void *ctx, const uint8_t req2[20], uint8_t infohash[20])
{
	struct peer *p = ctx;

	return p->env->meant(p->env->ctx, req2, infohash);
}

/* Our first word is sealed into the handshake of the encryption. */
static void encrypt(struct peer *p)
{
	struct peer_env *env = p->env;

	p->cipher = cipher_dial(p->swarm->policy.infohash[0],
	    p->ladder.way.offer, span_of(env->out, env->out_n));
	env->out_n = 0;
	if (!p->cipher)
		p->why = "no keys could be made";
}

/* Our first word. */
static void speak(struct peer *p, int64_t now_ns)
{
	bool sealed = !p->incoming && p->ladder.way.offer;

	p->hesitates = false;
	if (sealed)
		witness_encrypted(p->witness, SIDE_US);
	step(p, IN_CONNECTED, NULL, now_ns);
	if (sealed)
		encrypt(p);
}

static void connected(struct peer *p, struct stamp at)
{
	static const struct witness_hooks hooks = { .add = on_add,
		.swarm = on_swarm, .event = on_event, .piece = on_piece,
		.skey = meant, .later = on_later };
	struct witness_hooks mine = hooks;

	mine.ctx = p;
	mine.digester = p->env->digester;
	p->connected = true;
	p->witness = witness_begin(&mine, p->swarm ? &p->swarm->ref : NULL,
	    p->conn, &p->who);
	if (!p->witness)
		log_die("out of memory for a peer");
	if (!p->incoming && ladder_hesitates(&p->ladder)) {
		p->hesitates = true;
		arm(p, at.mono_ns + HESITATION, at.mono_ns);
		watch(p);
		return;
	}
	speak(p, at.mono_ns);
	settle(p, at);
}

static void on_opened(void *ctx, struct stamp at)
{
	struct peer *p = ctx;

	peerlog_reached(p, at);
	p->env->reached_count++;
	if (p->incoming)	/* over uTP, and now it is proven */
		return;
	p->env->reached(p->env->ctx, p);
	connected(p, at);
}

static void on_failed(void *ctx, const char *why, const char *error,
    struct stamp at)
{
	end_unreached(ctx, why, error, at);
}

/* The first bytes of an incoming connection: plain or encrypted? False: too
 * few to tell. */
static bool decide(struct peer *p, struct span first)
{
	enum ladder_crypt crypt = p->env->crypt;

	switch (mse_detect(first)) {
	case MSE_START_MORE:
		return false;
	case MSE_START_PLAIN:
		if (crypt == LADDER_REQUIRE)
			p->why = "not encrypted, which we require";
		break;
	case MSE_START_CRYPT:
		witness_encrypted(p->witness, SIDE_PEER);
		p->cipher = cipher_accept(meant, p);
		if (!p->cipher)
			p->why = "no keys could be made";
		break;
	}
	p->undecided = false;
	return true;
}

/* Wire bytes: on record first, then for whom they are. */
static void hear(struct peer *p, struct span bytes, struct stamp at)
{
	const uint8_t *secret;

	witness_bytes(p->witness, SIDE_PEER, bytes.p, bytes.n, at);
	if (!p->cipher || cipher_ready(p->cipher) || p->why)
		return;
	p->why = cipher_bytes(p->cipher, bytes);
	secret = cipher_secret(p->cipher);
	if (secret)
		witness_secret(p->witness, secret, at);
}

/* Once we leave, the rest counts as unread, like what the kernel has. */
static void hear_slices(struct peer *p, struct span bytes, struct stamp at)
{
	for (size_t i = 0, n; i < bytes.n && !p->why; i += n) {
		n = bytes.n - i < SLICE ? bytes.n - i : SLICE;
		hear(p, span_of(bytes.p + i, n), at);
	}
}

/* The same while it is undecided. */
static void hear_first(struct peer *p, struct span bytes, struct stamp at)
{
	size_t n = PEER_FIRST - p->first_n;

	if (n > bytes.n)
		n = bytes.n;
	memcpy(p->first + p->first_n, bytes.p, n);
	p->first_n = (uint8_t)(p->first_n + n);
	if (!decide(p, span_of(p->first, p->first_n)))
		return;
	hear(p, span_of(p->first, p->first_n), at);
	hear_slices(p, span_of(bytes.p + n, bytes.n - n), at);
}

static void on_bytes(void *ctx, struct span bytes, struct stamp at)
{
	struct peer *p = ctx;
	struct peer_env *env = p->env;
	bool ready = p->cipher && cipher_ready(p->cipher);

	env->rx_bytes += (int64_t)bytes.n;
	env->now_ns = at.mono_ns;
	meter_take(&env->meter, (int64_t)bytes.n);
	if (meter_left(&env->meter, at.mono_ns) <= 0)
		set_dry(p, at.mono_ns);
	if (p->hesitates)
		speak(p, at.mono_ns);
	if (p->undecided)
		hear_first(p, bytes, at);
	else
		hear_slices(p, bytes, at);
	settle(p, at);
	if (!p->ended && p->cipher && !ready && cipher_ready(p->cipher)) {
		/* What it said behind its head can be read now. */
		witness_tick(p->witness, at);
		settle(p, at);
	}
	env->heard(env->ctx);
}

/* Whoever waits longest reads first, and a sip at a time: so a peer that sends
 * much takes nothing from the others. */
static size_t on_may(void *ctx, struct stamp at)
{
	struct peer *p = ctx;
	struct peer_env *env = p->env;

	if (!env->meter.per_s)
		return SIZE_MAX;
	if (p->sip == env->round) {
		p->sip = 0;
		env->promised -= SIP;
		return SIP;
	}
	if (TAILQ_EMPTY(&env->dry) &&
	    meter_left(&env->meter, at.mono_ns) > env->promised)
		return SIP;
	set_dry(p, at.mono_ns);
	watch(p);
	return 0;
}

static void on_room(void *ctx, struct stamp at)
{
	settle(ctx, at);
}

static void on_ended(void *ctx, const char *by, const char *why,
    struct stamp at)
{
	end_connected(ctx, by, why, at);
}

/* --- time ----------------------------------------------------------------------- */

/* A time-out that fell into a stall proves nothing, and says so. */
static void doubt(struct peer *p, struct stamp at)
{
	struct peer_env *env = p->env;

	if (!p->why || !env->stalled(env->ctx, at.mono_ns - STALL_LOOK))
		return;
	snprintf(env->why, sizeof(env->why), "%s (there was a stall)", p->why);
	p->why = env->why;
}

static void on_timer(uv_timer_t *timer)
{
	struct peer *p = timer->data;
	struct stamp at = stamp_now();

	if (!p->connected) {
		end_unreached(p, "timeout", "no answer within 10 s", at);
		return;
	}
	if (p->hesitates)
		speak(p, at.mono_ns);
	/* What it said in time may not have been read yet. */
	if (p->dry_ns && p->dry_ns <= session_deadline(&p->session)) {
		arm(p, at.mono_ns + DRY_LOOK, at.mono_ns);
		return;
	}
	if (at.mono_ns >= session_deadline(&p->session)) {
		step(p, IN_TIMEOUT, NULL, at.mono_ns);
		doubt(p, at);
	}
	p->armed_ns = 0;
	settle(p, at);
}

/* --- the beginning ------------------------------------------------------------------ */

static const struct stream_hooks stream_hooks = { .opened = on_opened,
	.failed = on_failed, .bytes = on_bytes, .may = on_may, .room = on_room,
	.ended = on_ended };

/* Takes the stream over, or closes it. */
static struct peer *make(struct peer_env *env, struct stream *s,
    const struct endpoint *who, bool incoming, struct stamp at)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p) {
		stream_close(s);
		return NULL;
	}
	uv_timer_init(env->loop, &p->timer);
	p->timer.data = p;
	p->env = env;
	p->stream = s;
	p->who = *who;
	p->incoming = incoming;
	p->slot = FETCH_NONE;
	p->undecided = incoming && env->crypt != LADDER_OFF;
	p->began_ns = at.mono_ns;
	session_init(&p->session, env->policy, who, incoming, at.mono_ns);
	return p;
}

int peer_dial(struct peer_env *env, struct swarm *swarm,
    const struct book_visit *v, const struct ladder *l)
{
	struct stamp at = stamp_now();
	struct stream *s = l->way.utp ? utpmux_dial(env->utp, &v->at) :
	    tcpstream_dial(env->tcp, &v->at, v->at.family == 4 ?
	    &env->bind4 : &env->bind6, env->ports_from, env->ports_to);
	struct peer *p;

	if (!s)
		return -1;
	p = make(env, s, &v->at, false, at);
	if (!p)
		return -1;
	p->swarm = swarm;
	p->visit = *v;
	p->ladder = *l;
	peerlist_link(p, &swarm->peers);
	peerlog_dial(p, at);
	env->dialled++;
	arm(p, at.mono_ns + CONNECT_WAIT, at.mono_ns);
	stream_start(s, &stream_hooks, p);
	return 0;
}

int peer_accept(struct peer_env *env, struct peer **strangers,
    struct stream *s, const struct endpoint *from,
    const struct endpoint *local)
{
	struct stamp at = stamp_now();
	struct peer *p = make(env, s, from, true, at);

	if (!p)
		return -1;
	peerlist_link(p, strangers);
	peerlog_accept(p, local, at);
	env->accepted++;
	stream_start(s, &stream_hooks, p);
	connected(p, at);
	return 0;
}

void peer_end(struct peer *p, const char *why)
{
	struct stamp at = stamp_now();

	if (!p->connected) {
		end_unreached(p, "other", why, at);
		return;
	}
	step(p, IN_END, NULL, at.mono_ns);
	p->why = why;
	settle(p, at);
}

void peer_resume(struct peer *p)
{
	if (p->connected)
		watch(p);
}

void peers_pour(struct peer_env *env)
{
	int64_t left = meter_left(&env->meter, stamp_now().mono_ns);
	struct peer *p;

	if (++env->round == 0)
		env->round = 1;
	env->promised = 0;	/* who made no use of it asks again */
	for (; left > 0 && (p = TAILQ_FIRST(&env->dry)) != NULL; left -= SIP) {
		set_dry(p, 0);
		p->sip = env->round;
		env->promised += SIP;
		watch(p);
	}
}

void peers_tick(struct peer_env *env)
{
	struct stamp at = stamp_now();
	struct peer *p;

	while ((p = TAILQ_FIRST(&env->waiting)) != NULL &&
	    p->waits_ns + TICK <= at.mono_ns) {
		wait_no_more(p);
		env->now_ns = at.mono_ns;
		witness_tick(p->witness, at);
		settle(p, at);	/* what was held may have said something */
	}
}
