#include "monitor/ntp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/sock.h"
#include "schema/draw.h"
#include "schema/now.h"

#define TRIES 2
#define LEAST_NS (15 * NS_PER_S)	/* RFC 4330 section 10 */
#define DATAGRAM_MAX 512u

/* Handles outlive a question by a turn of the loop. */
struct watch {
	struct ntp *n;
	uv_poll_t poll;
	int fd;
};

struct lookup {
	uv_getaddrinfo_t req;
	struct ntp *n;
	struct server *s;	/* NULL: nobody waits any more */
};

struct server {
	struct ntp *n;
	size_t id;
	char *text, *host;
	uint16_t port;
	bool asking, barred;
	unsigned rate;		/* RATE kisses */
	unsigned skip;		/* rounds yet to be left out */
	int64_t asked_ns;	/* monotonic; 0: never */
	int tries;
	unsigned ignored;	/* datagrams that do not bear our token */
	uv_timer_t timer;
	struct lookup *lookup;
	struct watch *watch;
	struct endpoint at;
	struct stamp sent;
	uint8_t token[SNTP_TOKEN];
};

struct ntp {
	struct ntp_conf conf;
	struct server *servers;
	unsigned open;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

static void let_go(struct ntp *n)
{
	if (--n->open > 0)
		return;
	for (size_t i = 0; i < n->conf.n; i++) {
		free(n->servers[i].text);
		free(n->servers[i].host);
	}
	free(n->servers);
	if (n->closed != NULL)
		n->closed(n->closed_ctx);
	free(n);
}

static void watch_closed(uv_handle_t *h)
{
	struct watch *w = h->data;
	struct ntp *n = w->n;

	close(w->fd);
	free(w);
	let_go(n);
}

static void hang_up(struct server *s)
{
	uv_timer_stop(&s->timer);
	if (s->lookup != NULL)
		s->lookup->s = NULL;
	s->lookup = NULL;
	if (s->watch != NULL)
		uv_close((uv_handle_t *)&s->watch->poll, watch_closed);
	s->watch = NULL;
	s->asking = false;
}

static void say(struct server *s, struct ntp_said *said)
{
	said->server = s->text;
	said->who = s->at;
	said->sent = s->sent;
	if (said->at.utc_ns == 0)
		said->at = stamp_now();
	hang_up(s);
	s->n->conf.said(s->n->conf.ctx, s->id, said);
}

static void say_error(struct server *s, const char *outcome, const char *error)
{
	say(s, &(struct ntp_said){ .outcome = outcome, .error = error });
}

/* --- answers ------------------------------------------------------------- */

static void obey(struct server *s, const char *kiss)
{
	if (strcmp(kiss, "DENY") == 0 || strcmp(kiss, "RSTR") == 0)
		s->barred = true;
	if (strcmp(kiss, "RATE") == 0 && s->rate < 8)
		s->skip = 1u << s->rate++;
}

static void judge(struct server *s, const struct sock_datagram *d)
{
	struct sntp_reply r;
	struct sntp_offset o;
	struct wire_error err;
	struct ntp_said said = { .at = { d->utc_ns, d->mono_ns },
	    .body = d->bytes, .outcome = "malformed" };

	if (sntp_read(d->bytes, s->token, d->utc_ns, &r, &err) != WIRE_OK) {
		said.error = err.reason;
		say(s, &said);
		return;
	}
	said.reply = &r;
	said.error = sntp_unusable(&r);
	if (r.stratum == 0) {
		obey(s, r.kiss);
		said.outcome = "kiss";
		said.error = r.kiss;
	} else if (said.error != NULL) {
		said.outcome = "unsynchronised";
	} else if (!sntp_offset(&r, s->sent.utc_ns, d->utc_ns, &o)) {
		said.error = "its times contradict each other or ours";
	} else {
		said.outcome = "ok";
		said.offset = &o;
	}
	say(s, &said);
}

/* From whom we asked and with our token. Anybody can send the rest, and a late
 * answer to the first try has a token that is no longer good. */
static bool is_answer(const struct server *s, const struct sock_datagram *d)
{
	return endpoint_cmp(&d->from, &s->at) == 0 &&
	    d->bytes.n >= SNTP_BYTES &&
	    memcmp(d->bytes.p + 24, s->token, SNTP_TOKEN) == 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	uint8_t buf[DATAGRAM_MAX];
	struct sock_datagram d;

	(void)status;
	(void)events;
	for (size_t i = 0; i < w->n->conf.n; i++) {
		struct server *s = &w->n->servers[i];

		if (s->watch != w)
			continue;
		while (s->watch == w && sock_recv(w->fd, buf, sizeof(buf), &d))
			if (is_answer(s, &d))
				judge(s, &d);
			else
				s->ignored++;
		return;
	}
}

/* --- questions ----------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void send_question(struct server *s)
{
	uint8_t out[SNTP_BYTES];

	draw_bits(s->token, sizeof(s->token));
	sntp_ask(out, s->token);
	s->sent = stamp_now();
	if (!sock_send(s->watch->fd, &s->at, span_of(out, sizeof(out)))) {
		say_error(s, "error", strerror(errno));
		return;
	}
	uv_timer_start(&s->timer, on_timer, NTP_WAIT_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct server *s = timer->data;

	if (s->watch == NULL)
		say_error(s, "timeout", "no answer from the name service");
	else if (++s->tries < TRIES)
		send_question(s);
	else
		say_error(s, "timeout", s->ignored ?
		    "what came did not bear our token" : NULL);
}

static bool open_watch(struct server *s)
{
	struct ntp *n = s->n;
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return false;
	*w = (struct watch){ .n = n, .fd = sock_open(s->at.family, SOCK_DGRAM,
	    NULL, n->conf.ports_from, n->conf.ports_to) };
	if (w->fd < 0) {
		free(w);
		return false;
	}
	sock_want_stamps(w->fd);
	uv_poll_init(n->conf.loop, &w->poll, w->fd);
	w->poll.data = w;
	n->open++;
	uv_poll_start(&w->poll, UV_READABLE, on_readable);
	s->watch = w;
	return true;
}

static void resolved(struct server *s, int status, const struct addrinfo *list)
{
	for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
		if (!sock_endpoint(i->ai_addr, &s->at))
			continue;
		s->at.port = s->port;
		if (open_watch(s))
			send_question(s);
		else
			say_error(s, "error", strerror(errno));
		return;
	}
	say_error(s, "error", status ? uv_strerror(status) : "no address");
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct lookup *l = req->data;
	struct ntp *n = l->n;

	if (l->s != NULL) {
		l->s->lookup = NULL;
		resolved(l->s, status, list);
	}
	uv_freeaddrinfo(list);
	free(l);
	let_go(n);
}

static void ask(struct server *s, int64_t now)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
	    .ai_flags = AI_ADDRCONFIG };
	struct lookup *l = calloc(1, sizeof(*l));
	struct endpoint literal;

	s->asked_ns = now;
	s->tries = 0;
	s->ignored = 0;
	s->asking = true;
	s->at = (struct endpoint){ 0 };
	s->sent = stamp_now();
	/* AI_ADDRCONFIG hides loopback-only families from literals too. */
	if (endpoint_parse_ip(span_str(s->host), &literal))
		hints.ai_flags = AI_NUMERICHOST;
	if (l == NULL) {
		say_error(s, "error", "out of memory");
		return;
	}
	*l = (struct lookup){ .n = s->n, .s = s };
	l->req.data = l;
	if (uv_getaddrinfo(s->n->conf.loop, &l->req, on_lookup, s->host, NULL,
	    &hints) != 0) {
		free(l);
		say_error(s, "error", "no such name");
		return;
	}
	s->n->open++;
	s->lookup = l;
	uv_timer_start(&s->timer, on_timer, 2 * NTP_WAIT_MS, 0);
}

void ntp_round(struct ntp *n)
{
	int64_t now = stamp_now().mono_ns;

	for (size_t i = 0; i < n->conf.n; i++) {
		struct server *s = &n->servers[i];

		if (s->asking || s->barred ||
		    (s->asked_ns != 0 && now - s->asked_ns < LEAST_NS))
			continue;
		if (s->skip > 0)
			s->skip--;
		else
			ask(s, now);
	}
}

bool ntp_busy(const struct ntp *n)
{
	for (size_t i = 0; i < n->conf.n; i++)
		if (n->servers[i].asking)
			return true;
	return false;
}

void ntp_give_up(struct ntp *n, const char *why)
{
	for (size_t i = 0; i < n->conf.n; i++)
		if (n->servers[i].asking)
			say_error(&n->servers[i], "timeout", why);
}

/* --- beginning and end --------------------------------------------------- */

/* HOST, HOST:PORT, ADDRESS, [ADDRESS]:PORT. */
static bool read_server(struct server *s, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct endpoint at;
	char ip[ENDPOINT_IP_MAX];

	s->text = strdup(text);
	s->port = 123;
	if (endpoint_parse_ip(span_str(text), &at)) {
		s->host = strdup(text);
	} else if (endpoint_parse(span_str(text), &at)) {
		s->host = strdup(endpoint_ip(&at, ip));
		s->port = at.port;
	} else if (colon != NULL) {
		s->host = strndup(text, (size_t)(colon - text));
		s->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	} else {
		s->host = strdup(text);
	}
	return s->text != NULL && s->host != NULL;
}

struct ntp *ntp_new(const struct ntp_conf *conf)
{
	struct ntp *n = calloc(1, sizeof(*n));
	bool ok = true;

	if (n == NULL)
		return NULL;
	n->conf = *conf;
	n->conf.servers = NULL;
	n->servers = calloc(conf->n + 1, sizeof(*n->servers));
	if (n->servers == NULL) {
		free(n);
		return NULL;
	}
	/* One timer more than servers: so that there is always one handle. */
	for (size_t i = 0; i <= conf->n; i++) {
		struct server *s = &n->servers[i];

		*s = (struct server){ .n = n, .id = i };
		uv_timer_init(conf->loop, &s->timer);
		s->timer.data = s;
		n->open++;
		if (i < conf->n)
			ok = read_server(s, conf->servers[i]) && ok;
	}
	if (ok)
		return n;
	ntp_close(n, NULL, NULL);
	return NULL;
}

static void timer_closed(uv_handle_t *h)
{
	struct server *s = h->data;

	let_go(s->n);
}

void ntp_close(struct ntp *n, void (*closed)(void *ctx), void *ctx)
{
	n->closed = closed;
	n->closed_ctx = ctx;
	for (size_t i = 0; i <= n->conf.n; i++) {
		hang_up(&n->servers[i]);
		uv_close((uv_handle_t *)&n->servers[i].timer, timer_closed);
	}
}
