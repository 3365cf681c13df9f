#include "monitor/utpmux.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#include "monitor/utptable.h"
#include "schema/draw.h"
#include "schema/now.h"
#include "wire/utp.h"

#define RING 16384u		/* of bytes said and not acknowledged */
#define WINDOW 65536u
#define MTU 1200u		/* of what we send: no path fragments it */
#define UNPROVEN_MOST 64	/* accepted, and perhaps forged */
#define UNPROVEN_US 1000000	/* for which none of these gives way */
#define REFUSALS_MOST 100	/* RESETs to strangers, a second */

struct conv {
	struct stream stream;
	struct utptable_row row;
	struct utpmux *mux;
	struct utp u;
	void *memory;		/* blocks and ring: pages that are never
				 * needed are never touched */
	struct stamp at;	/* of the last datagram */
	TAILQ_ENTRY(conv) dirty, unproven;
	uint64_t began_us;	/* accepted */
	bool started, opened, read, full;
	bool wake;		/* reading goes on */
	bool is_dirty;		/* there may be something to send */
	bool ended;		/* the user was told */
	bool orphan;		/* it has no user (any more) */
};

struct utpmux {
	struct utpmux_conf conf;
	struct utptable table;
	TAILQ_HEAD(, conv) dirty;
	TAILQ_HEAD(, conv) unproven;	/* the oldest first */
	uv_prepare_t before;	/* the loop waits: send what timers caused */
	uv_check_t after;	/* it waited: what datagrams caused */
	uv_timer_t timer;
	uint64_t now_us;	/* never goes back */
	uint64_t armed_us, refused_us;
	unsigned unproven_count, refusals;
	bool stopping;
};

static const size_t blocks_n = UTP_BLOCKS(WINDOW) * sizeof(struct utp_block);

/* Datagrams bear the kernel's stamp, which may be a little older than what was
 * sent since; conversations want time that does not go back. */
static uint64_t advance(struct utpmux *m, int64_t mono_ns)
{
	uint64_t us = (uint64_t)mono_ns / 1000;

	if (us > m->now_us)
		m->now_us = us;
	return m->now_us;
}

static uint64_t now_us(struct utpmux *m)
{
	return advance(m, clock_ns(CLOCK_MONOTONIC));
}

static void soil(struct conv *c)
{
	if (c->is_dirty)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&c->mux->dirty, c, dirty);
}

static struct conv *of(struct utptable_row *r)
{
	return (struct conv *)((char *)r - offsetof(struct conv, row));
}

/* --- what the user is told ------------------------------------------------------ */

static void told_proven(struct conv *c)
{
	if (c->opened)
		return;
	c->opened = true;
	if (c->u.accepted) {
		TAILQ_REMOVE(&c->mux->unproven, c, unproven);
		c->mux->unproven_count--;
	}
}

static void tell_end(struct conv *c, struct stamp at)
{
	const struct stream_hooks *h = c->stream.hooks;
	void *ctx = c->stream.ctx;
	enum utp_end end = c->u.end;

	c->ended = true;
	if (!c->opened && !c->u.accepted)
		h->failed(ctx, end == UTP_END_REFUSED ? "refused" :
		    end == UTP_END_TIMEOUT ? "timeout" : "other",
		    utp_end_name(end), at);
	else if (end == UTP_END_FIN)
		h->ended(ctx, "peer", "closed the connection", at);
	else if (!c->opened && (end == UTP_END_TIMEOUT || end == UTP_END_LOCAL))
		h->ended(ctx, "error", "it never proved that it receives", at);
	else
		h->ended(ctx, "error", utp_end_name(end), at);
}

/* Hands on what there is. The user may close the stream at every step. */
static void deliver(struct conv *c, struct stamp at)
{
	struct span s;

	if (!c->started || c->orphan || c->ended)
		return;
	if (!c->opened && utp_proven(&c->u)) {
		told_proven(c);
		c->stream.hooks->opened(c->stream.ctx, at);
	}
	while (c->read && !c->orphan && (s = utp_read(&c->u)).n) {
		c->stream.hooks->bytes(c->stream.ctx, s, at);
		utp_consume(&c->u, s.n);
	}
	if (c->full && !c->orphan && utp_unsent(&c->u) < RING) {
		c->full = false;
		c->stream.hooks->room(c->stream.ctx, at);
	}
	if (c->orphan || utp_read(&c->u).n)
		return;
	if (utp_eof(&c->u)) {
		c->ended = true;
		c->stream.hooks->ended(c->stream.ctx, "peer",
		    "closed the connection", at);
	} else if (c->u.state == UTP_CLOSED) {
		tell_end(c, at);
	}
}

/* --- the end of one --------------------------------------------------------------- */

static void drop(struct conv *c)
{
	struct utpmux *m = c->mux;

	told_proven(c);
	if (c->is_dirty)
		TAILQ_REMOVE(&m->dirty, c, dirty);
	utptable_remove(&m->table, &c->row);
	munmap(c->memory, blocks_n + RING);
	free(c);
}

/* --- sending ------------------------------------------------------------------ */

static void send_all(struct conv *c)
{
	uint8_t out[MTU];
	size_t n;

	while ((n = utp_output(&c->u, out, sizeof(out), c->mux->now_us)) != 0)
		datagrams_send(c->mux->conf.udp, &c->row.who,
		    span_of(out, n));
}

static void on_timer(uv_timer_t *timer);

static void arm(struct utpmux *m)
{
	struct utptable_row *first = utptable_first(&m->table);
	uint64_t at = first ? first->due_us : UINT64_MAX, left;

	if (at == m->armed_us)
		return;
	m->armed_us = at;
	if (at == UINT64_MAX) {
		uv_timer_stop(&m->timer);
		return;
	}
	left = at > m->now_us ? at - m->now_us : 0;
	uv_timer_start(&m->timer, on_timer, (left + 999) / 1000, 0);
}

/* What many datagrams caused goes together. */
static void flush(struct utpmux *m)
{
	struct conv *c;

	if (TAILQ_EMPTY(&m->dirty))
		return;
	now_us(m);
	while ((c = TAILQ_FIRST(&m->dirty)) != NULL) {
		TAILQ_REMOVE(&m->dirty, c, dirty);
		c->is_dirty = false;
		if (c->wake) {
			c->wake = false;
			deliver(c, c->at);
		}
		send_all(c);
		if (c->u.state == UTP_CLOSED && c->orphan)
			drop(c);
		else
			utptable_move(&m->table, &c->row,
			    utp_deadline(&c->u));
	}
	arm(m);
}

static void on_before(uv_prepare_t *h)
{
	flush(h->data);
}

static void on_after(uv_check_t *h)
{
	flush(h->data);
}

static void on_timer(uv_timer_t *timer)
{
	struct utpmux *m = timer->data;
	struct stamp at = stamp_now();
	uint64_t now = advance(m, at.mono_ns);
	struct utptable_row *r;
	struct conv *c;

	m->armed_us = 0;
	while ((r = utptable_first(&m->table)) != NULL && r->due_us <= now) {
		c = of(r);
		utptable_move(&m->table, r, UINT64_MAX);	/* until sent */
		utp_timeout(&c->u, now);
		soil(c);
		deliver(c, at);
	}
	flush(m);
	arm(m);
}

/* --- the stream --------------------------------------------------------------- */

static struct conv *conv_of(struct stream *s)
{
	return (struct conv *)s;	/* its first member */
}

static struct utp_conf conv_conf(void)
{
	struct utp_conf conf = UTP_CONF_DEFAULT;

	conf.window = WINDOW;
	conf.mtu = MTU;
	conf.syns = 2;		/* 3 s: there are other ways to try */
	return conf;
}

static struct utp_memory memory_of(const struct conv *c)
{
	return (struct utp_memory){ .blocks = c->memory,
		.nblocks = UTP_BLOCKS(WINDOW),
		.ring = (uint8_t *)c->memory + blocks_n, .ring_n = RING };
}

static void start(struct stream *s)
{
	struct conv *c = conv_of(s);
	struct utp_conf conf = conv_conf();
	struct utp_memory memory = memory_of(c);
	uint16_t seq;

	c->started = c->read = true;
	if (!c->u.accepted) {
		draw_bits(&seq, sizeof(seq));
		utp_connect(&c->u, &conf, &memory, c->row.id, seq,
		    now_us(c->mux));
	}
	soil(c);
}

static ssize_t put(struct stream *s, const uint8_t *bytes, size_t n)
{
	struct conv *c = conv_of(s);
	size_t took = utp_write(&c->u, span_of(bytes, n));

	if (c->u.state == UTP_CLOSED) {
		errno = c->u.end == UTP_END_TIMEOUT ? ETIMEDOUT : ECONNRESET;
		return -1;
	}
	c->full = took < n;
	soil(c);
	return (ssize_t)took;
}

static void want(struct stream *s, bool on)
{
	struct conv *c = conv_of(s);

	c->wake = on && !c->read;	/* not at once: this may be a hook */
	c->read = on;
	if (c->wake)
		soil(c);
}

/* The address from which the kernel would send to e. */
static bool route(const struct endpoint *e, struct endpoint *from)
{
	int fd = socket(e->family == 4 ? AF_INET : AF_INET6,
	    SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t n = sock_addr(e, &ss);
	bool known = fd >= 0 && connect(fd, (struct sockaddr *)&ss, n) == 0;

	n = sizeof(ss);
	known = known && getsockname(fd, (struct sockaddr *)&ss, &n) == 0 &&
	    sock_endpoint((struct sockaddr *)&ss, from);
	if (fd >= 0)
		close(fd);
	return known;
}

static bool local(struct stream *s, struct endpoint *e)
{
	static const uint8_t any[16];
	const struct conv *c = conv_of(s);
	const struct utpmux_conf *conf = &c->mux->conf;
	const struct endpoint *b = c->row.who.family == 4 ? &conf->bind4 :
	    &conf->bind6;

	*e = *b;
	if (memcmp(b->addr, any, sizeof(any)) == 0 && !route(&c->row.who, e))
		return false;
	e->port = conf->port;
	return true;
}

static void end(struct stream *s)
{
	struct conv *c = conv_of(s);

	c->orphan = true;
	if (c->u.accepted || c->started)
		utp_close(&c->u, now_us(c->mux));
	else
		c->u.state = UTP_CLOSED;
	soil(c);
}

static const struct stream_ops ops = { .transport = "utp", .start = start,
	.write = put, .read = want, .local = local, .close = end };

/* NULL with errno. */
static struct conv *make(struct utpmux *m, const struct endpoint *who,
    uint16_t id)
{
	struct conv *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->memory = mmap(NULL, blocks_n + RING, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->memory == MAP_FAILED) {
		free(c);
		return NULL;
	}
	c->stream.ops = &ops;
	c->mux = m;
	c->row.who = *who;
	c->row.id = id;
	c->row.due_us = UINT64_MAX;
	if (utptable_add(&m->table, &c->row) < 0) {
		munmap(c->memory, blocks_n + RING);
		free(c);
		errno = ENOMEM;
		return NULL;
	}
	return c;
}

struct stream *utpmux_dial(struct utpmux *m, const struct endpoint *at)
{
	struct conv *c;
	uint16_t id;

	if (!datagrams_has(m->conf.udp, at->family)) {
		errno = EAFNOSUPPORT;
		return NULL;
	}
	do {
		draw_bits(&id, sizeof(id));
	} while (utptable_find(&m->table, at, id));
	c = make(m, at, id);
	return c ? &c->stream : NULL;
}

/* --- what arrives --------------------------------------------------------------- */

/* Who is honest proves it with the next word it says. */
static bool has_room(const struct utpmux *m, uint64_t now)
{
	return m->unproven_count < UNPROVEN_MOST ||
	    now - TAILQ_FIRST(&m->unproven)->began_us >= UNPROVEN_US;
}

/* Whom this ends hears nothing of it: it may never have spoken. */
static void make_way(struct utpmux *m)
{
	struct conv *c = TAILQ_FIRST(&m->unproven);

	if (m->unproven_count < UNPROVEN_MOST)
		return;
	utp_reset(&c->u);
	soil(c);
	deliver(c, stamp_now());
	told_proven(c);		/* it is no longer counted */
}

static void accept_syn(struct utpmux *m, const struct utp_packet *p,
    const struct sock_datagram *d, uint64_t now)
{
	struct utp_conf conf = conv_conf();
	struct utp_memory memory;
	struct endpoint at = { 0 };
	struct conv *c;
	uint16_t seq;

	if (m->stopping || !has_room(m, now) || d->from.port == 0 ||
	    utptable_find(&m->table, &d->from, (uint16_t)(p->conn_id + 1)) ||
	    !m->conf.admit(m->conf.ctx, &d->from))
		return;
	make_way(m);
	c = make(m, &d->from, (uint16_t)(p->conn_id + 1));
	if (!c)
		return;
	memory = memory_of(c);
	draw_bits(&seq, sizeof(seq));
	utp_accept(&c->u, &conf, &memory, p, seq, now);
	c->began_us = now;
	TAILQ_INSERT_TAIL(&m->unproven, c, unproven);
	m->unproven_count++;
	if (!local(&c->stream, &at))
		at.family = 0;
	soil(c);
	m->conf.accepted(m->conf.ctx, &c->stream, &d->from, &at);
}

static void refuse(struct utpmux *m, const struct utp_packet *p,
    const struct endpoint *to, uint64_t now)
{
	uint8_t out[UTP_HEADER];
	uint16_t seq;
	size_t n;

	if (now - m->refused_us >= 1000000) {
		m->refused_us = now;
		m->refusals = 0;
	}
	if (m->refusals >= REFUSALS_MOST)
		return;
	m->refusals++;
	draw_bits(&seq, sizeof(seq));
	n = utp_packet_refuse(out, p, seq, now);
	if (n)
		datagrams_send(m->conf.udp, to, span_of(out, n));
}

static void on_datagram(void *ctx, const struct sock_datagram *d)
{
	struct utpmux *m = ctx;
	uint64_t now = advance(m, d->mono_ns);
	struct utptable_row *r = NULL;
	struct wire_error err;
	struct utp_packet p;
	uint16_t ids[3];
	size_t n;

	if (d->cut || !utp_packet_plausible(d->bytes, &p))
		return;
	n = utp_packet_ids(&p, ids);
	for (size_t i = 0; i < n; i++) {
		r = utptable_find(&m->table, &d->from, ids[i]);
		if (r && utp_takes(&of(r)->u, &p))
			break;
		r = NULL;
	}
	if (r) {
		struct conv *c = of(r);

		c->at = (struct stamp){ d->utc_ns, d->mono_ns };
		utp_input(&c->u, &p, now, &err);
		soil(c);
		deliver(c, c->at);
	} else if (p.type == UTP_ST_SYN) {
		accept_syn(m, &p, d, now);
	} else {
		refuse(m, &p, &d->from, now);
	}
}

/* --- the story ------------------------------------------------------------------ */

struct utpmux *utpmux_open(const struct utpmux_conf *conf)
{
	struct utpmux *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->conf = *conf;
	TAILQ_INIT(&m->dirty);
	TAILQ_INIT(&m->unproven);
	draw_bits(m->table.key, sizeof(m->table.key));
	m->armed_us = UINT64_MAX;
	uv_prepare_init(conf->loop, &m->before);
	uv_check_init(conf->loop, &m->after);
	uv_timer_init(conf->loop, &m->timer);
	m->before.data = m->after.data = m->timer.data = m;
	uv_prepare_start(&m->before, on_before);
	uv_check_start(&m->after, on_after);
	datagrams_take(conf->udp, DATAGRAM_UTP, on_datagram, m);
	return m;
}

void utpmux_stop(struct utpmux *m)
{
	m->stopping = true;
}

void utpmux_free(struct utpmux *m)
{
	struct utptable_row *r;

	if (!m)
		return;
	while ((r = utptable_first(&m->table)) != NULL)
		drop(of(r));
	utptable_fini(&m->table);
	free(m);
}
