#include "monitor/udptrack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/sock.h"
#include "schema/draw.h"
#include "schema/now.h"

#define IDS 64		/* connection ids remembered */
#define ID_NS (60 * NS_PER_S)
#define ADDRS 8		/* of one name, tried in turn */
#define DATAGRAM_MAX 65536u
#define PER_TURN 64	/* datagrams read before others have theirs */

struct connection {
	struct endpoint at;
	uint64_t id;
	int64_t got_ns;
};

struct udptrack {
	struct udptrack_conf conf;
	int fd[2];		/* of family 4 and 6; -1: none */
	int why[2];		/* errno of that */
	uv_poll_t poll[2];
	uv_timer_t timer;
	struct udp_ask *first;
	struct connection ids[IDS];
	unsigned next_id;
	unsigned open;		/* handles and lookups not yet let go */
	void (*closed)(void *ctx);
	void *closed_ctx;
	uint8_t in[DATAGRAM_MAX];
};

/* A name being looked up; outlives the question if that is given up. */
struct lookup {
	uv_getaddrinfo_t req;
	struct udptrack *u;
	struct udp_ask *ask;
};

struct udp_ask {
	struct udptrack *u;
	struct udp_ask *next, **link;
	exchange_fn *done;
	void *ctx;
	struct lookup *lookup;
	int family;
	bool announce;
	struct tracker_ask ask;
	uint8_t infohash[20];
	char *path;
	uint16_t port;
	struct endpoint addrs[ADDRS];
	size_t addr_count;
	enum udp_action want;	/* the answer waited for */
	uint32_t transaction;
	unsigned tries;
	int64_t deadline_ns;
	uint8_t out[UDP_ANNOUNCE_MAX > UDP_SCRAPE_MAX ? UDP_ANNOUNCE_MAX :
	    UDP_SCRAPE_MAX];
	size_t out_bytes;
	struct exchange x;
};

/* --- ends ---------------------------------------------------------------- */

static void ask_free(struct udp_ask *a)
{
	if (a->lookup != NULL)
		a->lookup->ask = NULL;
	*a->link = a->next;
	if (a->next != NULL)
		a->next->link = a->link;
	free(a->path);
	free(a);
}

static void finish(struct udp_ask *a, enum exchange_outcome outcome,
    const char *error)
{
	a->x.outcome = outcome;
	snprintf(a->x.error, sizeof(a->x.error), "%s", error);
	a->x.request = span_of(a->out, a->out_bytes);
	if (outcome != EXCHANGE_OK)
		a->x.at = stamp_now();
	a->done(a->ctx, &a->x);
	ask_free(a);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct udptrack *u)
{
	int64_t due = INT64_MAX, now = stamp_now().mono_ns;

	if (uv_is_closing((uv_handle_t *)&u->timer))
		return;
	for (struct udp_ask *a = u->first; a != NULL; a = a->next)
		if (a->deadline_ns < due)
			due = a->deadline_ns;
	if (due == INT64_MAX)
		uv_timer_stop(&u->timer);
	else
		uv_timer_start(&u->timer, on_timer, due <= now ? 0 :
		    (uint64_t)((due - now) / NS_PER_MS + 1), 0);
}

/* --- asking -------------------------------------------------------------- */

static const struct connection *find_id(const struct udptrack *u,
    const struct endpoint *at, int64_t now_ns)
{
	for (size_t i = 0; i < IDS; i++)
		if (u->ids[i].got_ns != 0 && endpoint_cmp(&u->ids[i].at, at)
		    == 0 && now_ns - u->ids[i].got_ns < ID_NS)
			return &u->ids[i];
	return NULL;
}

static void keep_id(struct udptrack *u, const struct endpoint *at, uint64_t id,
    int64_t now_ns)
{
	struct connection *c = NULL;

	for (size_t i = 0; i < IDS; i++)
		if (endpoint_cmp(&u->ids[i].at, at) == 0)
			c = &u->ids[i];
	if (c == NULL)
		c = &u->ids[u->next_id++ % IDS];
	*c = (struct connection){ *at, id, now_ns };
}

/* Sends what this question needs next. A repetition bears the transaction id
 * of the first, so that a late answer still counts. */
static void send_now(struct udp_ask *a)
{
	struct udptrack *u = a->u;
	struct stamp now = stamp_now();
	int side = a->family == 4 ? 0 : 1;
	const struct connection *c;
	enum udp_action want;
	char error[128];

	if (u->fd[side] < 0) {
		snprintf(error, sizeof(error), "no socket: %s",
		    strerror(u->why[side]));
		finish(a, EXCHANGE_ERROR, error);
		return;
	}
	a->x.who = a->addrs[a->tries % a->addr_count];
	c = find_id(u, &a->x.who, now.mono_ns);
	want = c == NULL ? UDP_ACT_CONNECT : a->announce ? UDP_ACT_ANNOUNCE :
	    UDP_ACT_SCRAPE;
	if (want != a->want || a->out_bytes == 0 || a->addr_count > 1)
		draw_bits(&a->transaction, sizeof(a->transaction));
	if (want != a->want || a->out_bytes == 0)
		a->x.sent = now;
	a->want = want;
	if (c == NULL)
		a->out_bytes = tracker_udp_connect(a->out, a->transaction);
	else if (a->announce)
		a->out_bytes = tracker_udp_announce(a->out, c->id,
		    a->transaction, &a->ask, span_str(a->path));
	else
		a->out_bytes = tracker_udp_scrape(a->out, c->id,
		    a->transaction, (const uint8_t (*)[20])a->infohash, 1);
	a->deadline_ns = now.mono_ns +
	    ((int64_t)UDPTRACK_WAIT_S << a->tries) * NS_PER_S;
	if (!sock_send(u->fd[side], &a->x.who, span_of(a->out, a->out_bytes)) &&
	    errno != EAGAIN && errno != ENOBUFS) {
		snprintf(error, sizeof(error), "not sent: %s",
		    strerror(errno));
		finish(a, EXCHANGE_ERROR, error);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct udptrack *u = timer->data;
	int64_t now = stamp_now().mono_ns;
	struct udp_ask *next;

	for (struct udp_ask *a = u->first; a != NULL; a = next) {
		next = a->next;
		if (a->deadline_ns > now)
			continue;
		if (a->addr_count == 0) {
			finish(a, EXCHANGE_TIMEOUT, "no answer from the name "
			    "service");
			continue;
		}
		a->tries++;
		if (a->tries < UDPTRACK_TRIES)
			send_now(a);
		else
			finish(a, EXCHANGE_TIMEOUT, a->want ==
			    UDP_ACT_CONNECT ? "no answer to connect" :
			    "no answer");
	}
	set_timer(u);
}

/* --- answers ------------------------------------------------------------- */

static void answered(struct udp_ask *a, const struct sock_datagram *d)
{
	struct udp_reply r;
	struct wire_error err;

	a->x.at = (struct stamp){ d->utc_ns, d->mono_ns };
	if (tracker_udp_read(d->bytes, a->family, &r, &err) == WIRE_OK &&
	    r.action == UDP_ACT_CONNECT && a->want == UDP_ACT_CONNECT) {
		keep_id(a->u, &d->from, r.connection, d->mono_ns);
		send_now(a);
		return;
	}
	a->x.body = d->bytes;
	finish(a, EXCHANGE_OK, "");
}

static void take(struct udptrack *u, const struct sock_datagram *d)
{
	struct cur c = cur_of(d->bytes);
	uint32_t transaction;
	struct udp_ask *a;

	cur_u32(&c);
	transaction = cur_u32(&c);
	for (a = u->first; a != NULL; a = a->next) {
		if (a->out_bytes == 0 ||
		    endpoint_cmp(&a->x.who, &d->from) != 0)
			continue;
		if (!c.bad && transaction == a->transaction)
			break;
	}
	if (a != NULL) {
		answered(a, d);
		return;
	}
	for (a = u->first; a != NULL; a = a->next)
		if (a->out_bytes && endpoint_cmp(&a->x.who, &d->from) == 0)
			a->x.ignored++;
}

/* Is this error about what the question sent last? Of a short quotation the
 * address must do. */
static bool is_about(const struct udp_ask *a, const struct sock_icmp *e)
{
	size_t n = e->quoted.n < a->out_bytes ? e->quoted.n : a->out_bytes;

	return a->out_bytes && endpoint_cmp(&a->x.who, &e->to) == 0 &&
	    memcmp(e->quoted.p, a->out, n) == 0;
}

/* It did not arrive there: at the next address of that name, or nowhere. */
static void refused(struct udp_ask *a, const struct sock_icmp *e)
{
	char error[sizeof(a->x.error)], from[ENDPOINT_IP_MAX] = "?";

	if (e->from.family)
		endpoint_ip(&e->from, from);
	a->tries++;
	if (a->tries < a->addr_count && a->tries < UDPTRACK_TRIES) {
		send_now(a);
		return;
	}
	snprintf(error, sizeof(error), "%s (ICMP of %s)", strerror(e->why),
	    from);
	finish(a, EXCHANGE_ERROR, error);
}

static void take_errors(struct udptrack *u, int side)
{
	struct sock_icmp e;
	struct udp_ask *a;

	for (int i = 0; i < PER_TURN &&
	    sock_icmp(u->fd[side], u->in, sizeof(u->in), &e); i++) {
		for (a = u->first; a != NULL && !is_about(a, &e); a = a->next)
			;
		if (a != NULL)
			refused(a, &e);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct udptrack *u = poll->data;
	int side = poll == &u->poll[0] ? 0 : 1;
	struct sock_datagram d;

	(void)events;
	take_errors(u, side);
	/* For an error libuv stops the poll. */
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_readable);
	for (int i = 0; i < PER_TURN; i++) {
		if (!sock_recv(u->fd[side], u->in, sizeof(u->in), &d))
			break;
		take(u, &d);
	}
	set_timer(u);
}

/* --- names --------------------------------------------------------------- */

static void let_go(struct udptrack *u)
{
	if (--u->open > 0)
		return;
	for (int side = 0; side < 2; side++)
		if (u->fd[side] >= 0)
			close(u->fd[side]);
	if (u->closed != NULL)
		u->closed(u->closed_ctx);
	free(u);
}

static void resolved(struct udp_ask *a, int status, const struct addrinfo *list)
{
	const char *special = NULL;
	char error[128];

	for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
		struct endpoint at;

		if (!sock_endpoint(i->ai_addr, &at) || at.family != a->family ||
		    a->addr_count == ADDRS)
			continue;
		at.port = a->port;
		a->x.who = at;
		if (!a->u->conf.allow_local &&
		    endpoint_special(&at) != NULL) {
			special = endpoint_special(&at);
			continue;
		}
		a->addrs[a->addr_count++] = at;
	}
	if (a->addr_count > 0) {
		send_now(a);
	} else if (special != NULL) {
		snprintf(error, sizeof(error), "%s address", special);
		finish(a, EXCHANGE_REFUSED, error);
	} else {
		snprintf(error, sizeof(error), "no IPv%d address: %s",
		    a->family, status ? uv_strerror(status) : "none given");
		finish(a, EXCHANGE_ERROR, error);
	}
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct lookup *l = req->data;
	struct udptrack *u = l->u;

	if (l->ask != NULL) {
		l->ask->lookup = NULL;
		resolved(l->ask, status, list);
		set_timer(u);
	}
	uv_freeaddrinfo(list);
	free(l);
	let_go(u);
}

static bool look_up(struct udp_ask *a, const char *host)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
	    .ai_family = a->family == 4 ? AF_INET : AF_INET6 };
	struct lookup *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return false;
	*l = (struct lookup){ .u = a->u, .ask = a };
	l->req.data = l;
	if (uv_getaddrinfo(a->u->conf.loop, &l->req, on_lookup, host, NULL,
	    &hints) != 0) {
		free(l);
		return false;
	}
	a->u->open++;
	a->lookup = l;
	return true;
}

/* --- what others call ---------------------------------------------------- */

static void open_side(struct udptrack *u, int side)
{
	const struct udptrack_conf *c = &u->conf;

	u->fd[side] = sock_open(side == 0 ? 4 : 6, SOCK_DGRAM,
	    side == 0 ? &c->bind4 : &c->bind6, c->ports_from, c->ports_to);
	u->why[side] = errno;
	if (u->fd[side] < 0)
		return;
	sock_want_stamps(u->fd[side]);
	sock_want_icmp(u->fd[side], side == 0 ? 4 : 6);
	uv_poll_init(c->loop, &u->poll[side], u->fd[side]);
	u->poll[side].data = u;
	uv_poll_start(&u->poll[side], UV_READABLE, on_readable);
	u->open++;
}

struct udptrack *udptrack_new(const struct udptrack_conf *conf)
{
	struct udptrack *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->conf = *conf;
	uv_timer_init(conf->loop, &u->timer);
	u->timer.data = u;
	u->open = 1;
	open_side(u, 0);
	open_side(u, 1);
	return u;
}

struct udp_ask *udptrack_ask(struct udptrack *u, const char *host,
    uint16_t port, int family, const struct tracker_ask *ask, struct span path,
    const uint8_t infohash[20], exchange_fn *done, void *ctx)
{
	struct udp_ask *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->u = u;
	a->done = done;
	a->ctx = ctx;
	a->family = family;
	a->port = port;
	a->x.sent = stamp_now();
	if (ask != NULL) {
		a->announce = true;
		a->ask = *ask;
		a->ask.trackerid = span_of(NULL, 0);
		a->path = path.n ? strndup((const char *)path.p, path.n) :
		    strdup("");
	} else {
		memcpy(a->infohash, infohash, sizeof(a->infohash));
	}
	if ((ask != NULL && a->path == NULL) || !look_up(a, host)) {
		free(a->path);
		free(a);
		return NULL;
	}
	a->deadline_ns = a->x.sent.mono_ns + 2 * UDPTRACK_WAIT_S * NS_PER_S;
	a->next = u->first;
	a->link = &u->first;
	if (a->next != NULL)
		a->next->link = &a->next;
	u->first = a;
	set_timer(u);
	return a;
}

void udptrack_give_up(struct udp_ask *a, const char *why)
{
	finish(a, EXCHANGE_TIMEOUT, why);
}

static void handle_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

void udptrack_close(struct udptrack *u, void (*closed)(void *ctx), void *ctx)
{
	u->closed = closed;
	u->closed_ctx = ctx;
	while (u->first != NULL)
		ask_free(u->first);
	for (int side = 0; side < 2; side++)
		if (u->fd[side] >= 0)
			uv_close((uv_handle_t *)&u->poll[side], handle_closed);
	uv_close((uv_handle_t *)&u->timer, handle_closed);
}
