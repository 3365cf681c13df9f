#include "monitor/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/fetch.h"
#include "monitor/now.h"
#include "monitor/peerlog.h"
#include "monitor/sock.h"
#include "schema/log.h"

#define CONNECT_WAIT (10 * NS_PER_S)
#define STALL_LOOK (60 * NS_PER_S)
#define TICK (100 * NS_PER_MS)
#define IN_ROOM 65536u		/* read at once: a peer's share of a turn */
#define SLICE 4096u		/* heard before we may have had enough */
#define OUT_ROOM 131072u	/* said at once */

int peer_env_init(struct peer_env *env)
{
	env->in = malloc(IN_ROOM);
	env->out = malloc(OUT_ROOM);
	TAILQ_INIT(&env->waiting);
	return env->in && env->out ? 0 : -1;
}

void peer_env_fini(struct peer_env *env)
{
	free(env->in);
	free(env->out);
	env->in = env->out = NULL;
}

/* --- its place among the others ----------------------------------------------- */

static void link_into(struct peer *p, struct peer **list)
{
	p->list = list;
	p->prev = NULL;
	p->next = *list;
	if (p->next)
		p->next->prev = p;
	*list = p;
}

static void unlink_peer(struct peer *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		*p->list = p->next;
	if (p->next)
		p->next->prev = p->prev;
}

/* --- the end ------------------------------------------------------------------ */

static void on_closed(uv_handle_t *h)
{
	struct peer *p = h->data;

	if (--p->handles > 0)
		return;
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

static void finish(struct peer *p)
{
	p->ended = true;
	wait_no_more(p);
	unlink_peer(p);
	p->env->gone(p->env->ctx, p);
	witness_free(p->witness);
	p->witness = NULL;
	uv_close((uv_handle_t *)&p->poll, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
	close(p->fd);
}

static void end_connected(struct peer *p, const char *by, const char *why,
    struct stamp at)
{
	witness_close(p->witness, by, why, at);
	finish(p);
}

static void end_unreached(struct peer *p, const char *why, const char *error,
    struct stamp at)
{
	peerlog_unreached(p, why, error, at);
	finish(p);
}

/* --- waiting ------------------------------------------------------------------ */

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* The poll handle waits for what there is to do. */
static void watch(struct peer *p)
{
	int want = 0;

	/* Who does not take what we say is not heard either. */
	if (!p->connected || p->out_n)
		want = UV_WRITABLE;
	else if (!p->env->paused)
		want = UV_READABLE;
	if (want == p->events)
		return;
	p->events = want;
	if (want)
		uv_poll_start(&p->poll, want, on_poll);
	else
		uv_poll_stop(&p->poll);
}

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

/* --- saying ------------------------------------------------------------------- */

/* Hands bytes to the kernel; those it took are on record. The rest's length,
 * or -1 with errno. */
static ssize_t say(struct peer *p, const uint8_t *bytes, size_t n,
    struct stamp at)
{
	while (n > 0) {
		ssize_t took = send(p->fd, bytes, n, MSG_NOSIGNAL);

		if (took < 0 && errno == EINTR)
			continue;
		if (took < 0)
			return errno == EAGAIN ? (ssize_t)n : -1;
		witness_bytes(p->witness, SIDE_US, bytes, (size_t)took, at);
		bytes += took;
		n -= (size_t)took;
	}
	return 0;
}

/* Sends what waits, then what was said anew; false: the connection broke. */
static bool flush(struct peer *p)
{
	struct stamp at = stamp_now();	/* of what is said, not of its cause */
	struct peer_env *env = p->env;
	size_t fresh = env->out_n;
	ssize_t left = 0;
	uint8_t *rest;

	env->out_n = 0;
	if (p->out_n) {
		left = say(p, p->out, p->out_n, at);
		if (left < 0)
			return false;
		memmove(p->out, p->out + (p->out_n - (size_t)left),
		    (size_t)left);
		p->out_n = (size_t)left;
	}
	if (fresh && p->out_n == 0) {
		left = say(p, env->out, fresh, at);
		if (left < 0)
			return false;
	} else {
		left = (ssize_t)fresh;
	}
	if (left > 0) {
		rest = realloc(p->out, p->out_n + (size_t)left);
		if (!rest)
			log_die("out of memory for a peer");
		memcpy(rest + p->out_n, env->out + fresh - (size_t)left,
		    (size_t)left);
		p->out = rest;
		p->out_n += (size_t)left;
	}
	if (p->out_n == 0) {
		free(p->out);
		p->out = NULL;
	}
	return true;
}

static const char *broke_word(int error)
{
	return error == ECONNRESET || error == EPIPE ? "reset" :
	    strerror(error);
}

/* --- the policy ---------------------------------------------------------------- */

static void step_for(struct peer *p, enum session_in_kind kind,
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
	step_for(p, kind, ev, 0, now_ns);
}

/* Its witness is ticked in time. */
static void await_tick(struct peer *p, int64_t now_ns)
{
	if (p->waits_ns || !witness_waiting(p->witness))
		return;
	p->waits_ns = now_ns;
	TAILQ_INSERT_TAIL(&p->env->waiting, p, waiting);
}

/* After steps: sends, closes or waits on. */
static void settle(struct peer *p, struct stamp at)
{
	if (!flush(p)) {
		end_connected(p, "error", broke_word(errno), at);
		return;
	}
	if (p->why) {
		end_connected(p, "us", p->why, at);
		return;
	}
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
			unlink_peer(p);
			link_into(p, &p->swarm->peers);
		}
	}
	if (p->swarm)
		join(p);
}

/* --- what peers tell of the swarm ---------------------------------------------- */

static void ask(struct peer *p, struct stamp at)
{
	uint32_t piece;

	if (p->why || !fetch_next(p->swarm->fetch, p->slot, at, &piece))
		return;
	step_for(p, IN_FETCH, NULL, piece, at.mono_ns);
}

static void told(struct peer *p, const struct event *ev)
{
	struct stamp at = stamp_now();
	struct fetch *f = p->swarm->fetch;

	if (ev->ext == EXT_UT_PEX) {
		if (p->session.extend.gossip)
			p->env->gossip(p->env->ctx, p, &ev->pex);
	} else if (f && ev->ext == EXT_HANDSHAKE && p->session.extend.metadata_id &&
	    ev->xh.metadata_size != -1) {
		peer_forget(p);
		p->slot = fetch_join(f, ev->xh.metadata_size, p->conn,
		    &p->who, at);
	} else if (f && p->slot != FETCH_NONE && ev->ext == EXT_UT_METADATA) {
		fetch_answer(f, p->slot, &ev->metadata, at);
	}
	if (f && p->slot != FETCH_NONE)
		ask(p, at);
}

void peer_forget(struct peer *p)
{
	if (p->slot != FETCH_NONE && p->swarm && p->swarm->fetch)
		fetch_leave(p->swarm->fetch, p->slot);
	p->slot = FETCH_NONE;
}

void peer_fetch(struct peer *p)
{
	struct stamp at = stamp_now();

	if (p->slot == FETCH_NONE)
		return;
	ask(p, at);
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

	return p->env->add(p->env->ctx, r);
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
	if (ev->kind == EV_HANDSHAKE)
		greeted(p, ev);
	step(p, IN_EVENT, ev, p->env->now_ns);
	if (ev->kind == EV_EXTENDED && p->swarm && !p->why)
		told(p, ev);
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

/* --- what the loop tells ---------------------------------------------------------- */

static void connected(struct peer *p, struct stamp at)
{
	static const struct witness_hooks hooks = { .add = on_add,
		.swarm = on_swarm, .event = on_event, .piece = on_piece };
	struct witness_hooks mine = hooks;
	int one = 1;

	mine.ctx = p;
	p->connected = true;
	p->witness = witness_begin(&mine, p->swarm ? &p->swarm->ref : NULL,
	    p->conn, &p->who);
	if (!p->witness)
		log_die("out of memory for a peer");
	/* Requests are small and answered in turn: none waits for another. */
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	step(p, IN_CONNECTED, NULL, at.mono_ns);
	settle(p, at);
}

static void on_connect(struct peer *p, struct stamp at)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error) {
		end_unreached(p, peerlog_word(error), strerror(error), at);
		return;
	}
	peerlog_reached(p, at);
	p->env->reached_count++;
	p->env->reached(p->env->ctx, p);
	connected(p, at);
}

static void on_readable(struct peer *p, struct stamp at)
{
	struct peer_env *env = p->env;
	ssize_t n = recv(p->fd, env->in, IN_ROOM, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_connected(p, "error", broke_word(errno), at);
		return;
	}
	if (n == 0) {
		end_connected(p, "peer", "closed the connection", at);
		return;
	}
	env->rx_bytes += n;
	env->now_ns = at.mono_ns;
	/* Once we leave, the rest counts as unread, like what the kernel has. */
	for (ssize_t i = 0, k; i < n && !p->why; i += k) {
		k = n - i < (ssize_t)SLICE ? n - i : (ssize_t)SLICE;
		witness_bytes(p->witness, SIDE_PEER, env->in + i, (size_t)k,
		    at);
	}
	settle(p, at);
	env->heard(env->ctx);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct peer *p = poll->data;
	struct stamp at = stamp_now();

	if (!p->connected) {
		on_connect(p, at);
	} else if (status < 0 || (events & UV_READABLE)) {
		on_readable(p, at);
	} else if (events & UV_WRITABLE) {
		settle(p, at);
	}
}

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
	if (at.mono_ns >= session_deadline(&p->session)) {
		step(p, IN_TIMEOUT, NULL, at.mono_ns);
		doubt(p, at);
	}
	p->armed_ns = 0;
	settle(p, at);
}

/* --- the beginning ------------------------------------------------------------------ */

static struct peer *make(struct peer_env *env, int fd,
    const struct endpoint *who, bool incoming, struct stamp at)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (uv_poll_init(env->loop, &p->poll, fd) < 0) {
		free(p);
		return NULL;
	}
	uv_timer_init(env->loop, &p->timer);
	p->poll.data = p->timer.data = p;
	p->handles = 2;
	p->env = env;
	p->fd = fd;
	p->who = *who;
	p->incoming = incoming;
	p->visit = BOOK_NONE;
	p->slot = FETCH_NONE;
	p->began_ns = at.mono_ns;
	session_init(&p->session, env->policy, who, incoming, at.mono_ns);
	return p;
}

int peer_dial(struct peer_env *env, struct swarm *swarm,
    const struct book_visit *v)
{
	const struct endpoint *from = v->at.family == 4 ? &env->bind4 :
	    &env->bind6;
	struct stamp at = stamp_now();
	struct sockaddr_storage ss;
	socklen_t n = sock_addr(&v->at, &ss);
	int fd = sock_open(v->at.family, SOCK_STREAM, from, env->ports_from,
	    env->ports_to);
	struct peer *p;

	if (fd < 0)
		return -1;
	p = make(env, fd, &v->at, false, at);
	if (!p) {
		close(fd);
		return -1;
	}
	p->swarm = swarm;
	p->visit = v->id;
	link_into(p, &swarm->peers);
	peerlog_dial(p, v, at);
	env->dialled++;
	if (connect(fd, (struct sockaddr *)&ss, n) < 0 &&
	    errno != EINPROGRESS) {
		end_unreached(p, peerlog_word(errno), strerror(errno),
		    stamp_now());
		return 0;
	}
	arm(p, at.mono_ns + CONNECT_WAIT, at.mono_ns);
	watch(p);
	return 0;
}

int peer_accept(struct peer_env *env, struct peer **strangers, int fd,
    const struct endpoint *from, const struct endpoint *local)
{
	struct stamp at = stamp_now();
	struct peer *p = make(env, fd, from, true, at);

	if (!p) {
		close(fd);
		return -1;
	}
	link_into(p, strangers);
	peerlog_accept(p, local, at);
	env->accepted++;
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
	watch(p);
}

void peers_tick(struct peer_env *env)
{
	struct stamp at = stamp_now();
	struct peer *p;

	while ((p = TAILQ_FIRST(&env->waiting)) != NULL &&
	    p->waits_ns + TICK <= at.mono_ns) {
		wait_no_more(p);
		witness_tick(p->witness, at);
		await_tick(p, at.mono_ns);
	}
}
