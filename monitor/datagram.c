#include "monitor/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/log.h"
#include "schema/now.h"

#define EACH 65536u		/* no datagram is longer */
#define PER_TURN 8		/* batches, before others have their turn */
#define LOOK_MS 50		/* is the ledger still full? */
#define TELL_MS 1000		/* drops are told at most so often */
#define KERNEL_ROOM (4 << 20)

#define UTP_HEAD 20u
#define UTP_VERSION 1u
#define UTP_TYPES 5u

struct side {
	struct datagrams *u;
	uv_poll_t poll;
	int fd;			/* -1: none */
	uint32_t seen, told;	/* the kernel's count of drops */
	int64_t seen_utc_ns;	/* when it was last read */
	int64_t told_utc_ns;
};

struct datagrams {
	struct datagrams_conf conf;
	struct side side[2];	/* IPv4, IPv6 */
	struct taker {
		datagram_fn *fn;
		void *ctx;
	} taker[DATAGRAM_OTHER + 1];
	struct datagrams_state state;
	uv_timer_t look, tell;
	struct stamp paused;
	bool is_paused, closing;
	int handles;
	uint8_t in[SOCK_MANY * EACH];
};

enum datagram_kind datagram_kind(struct span b)
{
	if (b.n >= 2 && b.p[0] == 'd')
		return DATAGRAM_DHT;
	if (b.n >= UTP_HEAD && (b.p[0] & 15) == UTP_VERSION &&
	    b.p[0] >> 4 < UTP_TYPES)
		return DATAGRAM_UTP;
	return DATAGRAM_OTHER;
}

/* --- what was dropped ----------------------------------------------------- */

static bool tell_drops(struct datagrams *u)
{
	bool any = false;

	for (int i = 0; i < 2; i++) {
		struct side *s = &u->side[i];
		uint32_t n = s->seen - s->told;

		if (s->fd < 0 || n == 0)
			continue;
		any = true;
		u->conf.stalled(u->conf.ctx, "udp", s->told_utc_ns,
		    s->seen_utc_ns, 0, n);
		s->told = s->seen;
		s->told_utc_ns = s->seen_utc_ns;
	}
	return any;
}

static void on_tell(uv_timer_t *timer)
{
	struct datagrams *u = timer->data;

	if (tell_drops(u))
		uv_timer_start(&u->tell, on_tell, TELL_MS, 0);
}

static void count_drops(struct side *s, const struct sock_datagram *d)
{
	struct datagrams *u = s->u;
	uint32_t more = d->dropped - s->seen;

	/* The count is 0 where the kernel says none; it wraps at 2^32. */
	if (d->dropped == 0 || more == 0 || more > UINT32_MAX / 2) {
		if (s->seen == s->told)
			s->told_utc_ns = d->utc_ns;
		s->seen_utc_ns = d->utc_ns;
		return;
	}
	s->seen = d->dropped;
	s->seen_utc_ns = d->utc_ns;
	u->state.dropped += more;
	if (!uv_is_active((uv_handle_t *)&u->tell) && tell_drops(u))
		uv_timer_start(&u->tell, on_tell, TELL_MS, 0);
}

/* --- receiving ------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void set_polls(struct datagrams *u, bool on)
{
	for (int i = 0; i < 2; i++) {
		if (u->side[i].fd < 0)
			continue;
		if (on)
			uv_poll_start(&u->side[i].poll, UV_READABLE,
			    on_readable);
		else
			uv_poll_stop(&u->side[i].poll);
	}
}

static void on_look(uv_timer_t *timer)
{
	struct datagrams *u = timer->data;
	struct stamp at = stamp_now();

	if (u->conf.full(u->conf.ctx))
		return;
	uv_timer_stop(&u->look);
	u->is_paused = false;
	u->conf.stalled(u->conf.ctx, "queue", u->paused.utc_ns, at.utc_ns,
	    at.mono_ns - u->paused.mono_ns, 0);
	set_polls(u, true);
}

static bool pause_if_full(struct datagrams *u)
{
	if (!u->conf.full(u->conf.ctx))
		return false;
	u->is_paused = true;
	u->paused = stamp_now();
	set_polls(u, false);
	uv_timer_start(&u->look, on_look, LOOK_MS, LOOK_MS);
	return true;
}

static void take(struct datagrams *u, const struct sock_datagram *d)
{
	const struct taker *t = &u->taker[datagram_kind(d->bytes)];

	u->state.received++;
	if (u->conf.blocked && u->conf.blocked(u->conf.ctx, &d->from))
		return;
	if (t->fn == NULL)
		u->state.untaken++;
	else
		t->fn(t->ctx, d);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct side *s = poll->data;
	struct datagrams *u = s->u;
	struct sock_datagram d[SOCK_MANY];
	size_t n = SOCK_MANY;

	(void)status;
	(void)events;
	for (int i = 0; i < PER_TURN && n == SOCK_MANY; i++) {
		if (u->closing || u->is_paused || pause_if_full(u))
			return;
		n = sock_recv_many(s->fd, u->in, EACH, d);
		for (size_t k = 0; k < n && !u->closing; k++) {
			count_drops(s, &d[k]);
			take(u, &d[k]);
		}
	}
}

/* --- what others call ------------------------------------------------------ */

void datagrams_take(struct datagrams *u, enum datagram_kind kind,
    datagram_fn *fn, void *ctx)
{
	u->taker[kind] = (struct taker){ fn, ctx };
}

bool datagrams_has(const struct datagrams *u, int family)
{
	return u->side[family == 6].fd >= 0;
}

bool datagrams_send(struct datagrams *u, const struct endpoint *to,
    struct span bytes)
{
	int fd = u->side[to->family == 6].fd;

	if (fd < 0)
		errno = EAFNOSUPPORT;
	else if (u->conf.blocked && u->conf.blocked(u->conf.ctx, to))
		errno = EACCES;
	else if (sock_send(fd, to, bytes)) {
		u->state.sent++;
		return true;
	}
	u->state.unsent++;
	return false;
}

void datagrams_state(const struct datagrams *u, struct datagrams_state *s)
{
	*s = u->state;
}

static void on_closed(uv_handle_t *handle)
{
	struct datagrams *u = handle->data;

	if (--u->handles > 0)
		return;
	free(u);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct side *s = handle->data;

	handle->data = s->u;
	on_closed(handle);
}

void datagrams_close(struct datagrams *u)
{
	if (u == NULL || u->closing)
		return;
	u->closing = true;
	tell_drops(u);
	uv_close((uv_handle_t *)&u->look, on_closed);
	uv_close((uv_handle_t *)&u->tell, on_closed);
	for (int i = 0; i < 2; i++) {
		if (u->side[i].fd < 0)
			continue;
		uv_close((uv_handle_t *)&u->side[i].poll, on_poll_closed);
		close(u->side[i].fd);
	}
}

static int open_side(struct datagrams *u, int side)
{
	const struct datagrams_conf *c = &u->conf;
	const struct endpoint *at = side == 0 ? &c->bind4 : &c->bind6;
	char text[ENDPOINT_TEXT_MAX];
	struct endpoint to = *at;
	struct side *s = &u->side[side];
	int room = KERNEL_ROOM;

	if (at->family == 0)
		return 0;
	s->fd = sock_open(at->family, SOCK_DGRAM, at, c->port, c->port);
	if (s->fd < 0 || uv_poll_init(c->loop, &s->poll, s->fd) < 0) {
		to.port = c->port;
		log_warn("cannot use UDP at %s: %s", endpoint_text(&to, text),
		    strerror(errno));
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		return -1;
	}
	/* As much as the host allows. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	sock_want_stamps(s->fd);
	sock_want_drops(s->fd);
	s->told_utc_ns = s->seen_utc_ns = stamp_now().utc_ns;
	s->poll.data = s;
	u->handles++;
	return 0;
}

struct datagrams *datagrams_open(const struct datagrams_conf *conf)
{
	struct datagrams *u = malloc(sizeof(*u));

	if (u == NULL) {
		log_warn("out of memory");
		return NULL;
	}
	memset(u, 0, offsetof(struct datagrams, in));
	u->conf = *conf;
	u->side[0].u = u->side[1].u = u;
	u->side[0].fd = u->side[1].fd = -1;
	u->handles = 2;
	uv_timer_init(conf->loop, &u->look);
	uv_timer_init(conf->loop, &u->tell);
	u->look.data = u->tell.data = u;
	if (open_side(u, 0) < 0 || open_side(u, 1) < 0) {
		datagrams_close(u);
		return NULL;
	}
	set_polls(u, true);
	return u;
}
