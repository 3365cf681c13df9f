#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "capture/dissect_impl.h"
#include "capture/httpmsg.h"
#include "schema/log.h"

#define BODY_MAX (1u << 20)	/* as in a live run, before and after decoding */
/* Of those of strangers, which nobody asked for: so much, and so much for each
 * byte that was sent. Addresses compress badly. */
#define GROWTH_LEAST 16384u
#define GROWTH 32u
#define URL_MAX 1024u
#define SCRAPES_MOST 74u	/* infohashes of one scrape */

struct buffer {
	uint8_t *p;
	size_t n, room;
	size_t looked;	/* so far there is no empty line */
};

/* A conversation of a client and an HTTP tracker, one question at a time. */
struct web {
	struct buffer said;	/* by the client, behind the question */
	struct buffer head;	/* of the answer, while it is not whole */
	struct buffer body;
	struct buffer question;	/* under way: its head; n 0: none */
	struct flow_at asked_at;
	const char *file;
	bool answering;		/* its head was read */
	bool too_long;
	struct http_response answer;	/* but for its spans */
	struct http_body form;
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a conversation");
	return p;
}

static void keep(struct buffer *b, struct span s)
{
	if (s.n > b->room - b->n) {
		b->room = b->n + (s.n > b->n ? s.n : b->n);
		b->p = must(realloc(b->p, b->room));
	}
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

static void eat(struct buffer *b, size_t n)
{
	b->n -= n;
	memmove(b->p, b->p + n, b->n);
	b->looked = 0;
}

/* Whether a head may be whole, or too long: a head that comes in drops is not
 * read anew for each. */
static bool head_ends(struct buffer *b)
{
	const uint8_t *p = b->p;

	for (size_t i = b->looked; i < b->n; b->looked = ++i)
		if (p[i] == '\n' && ((i >= 1 && p[i - 1] == '\n') ||
		    (i >= 2 && p[i - 1] == '\r' && p[i - 2] == '\n')))
			return true;
	return b->n >= HTTP_HEAD_MAX;
}

void webtalk_begin(struct conv *c)
{
	c->kind = TALK_WEB;
	c->web = must(calloc(1, sizeof(*c->web)));
}

/* --- the question ---------------------------------------------------------------- */

/* A number up to most; 0, and it counts as absent, if it is none. */
static uint64_t count(struct span target, const char *name, uint64_t most,
    struct asked *a, enum asked_absent what)
{
	uint8_t text[20];
	uint64_t v = 0;
	int n = http_param(target, name, 0, text, sizeof(text));

	if (n <= 0 || n == sizeof(text))
		goto absent;
	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			goto absent;
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	if (v <= most)
		return v;
absent:
	a->absent |= what;
	return 0;
}

static enum tracker_event event(struct span target)
{
	uint8_t text[16];
	int n = http_param(target, "event", 0, text, sizeof(text));
	struct span s = span_of(text, n > 0 ? (size_t)n : 0);

	return span_is(s, "started") ? TRACKER_STARTED :
	    span_is(s, "stopped") ? TRACKER_STOPPED :
	    span_is(s, "completed") ? TRACKER_COMPLETED : TRACKER_NONE;
}

/* Eight hex digits are what clients send; what else there is, raw has. */
static bool key(struct span target, uint32_t *v)
{
	uint8_t text[8], bytes[4];
	int n = http_param(target, "key", 0, text, sizeof(text));
	struct cur c = cur_of(span_of(bytes, sizeof(bytes)));

	for (int i = 0; i < n; i++)
		if (text[i] >= 'A' && text[i] <= 'F')
			text[i] = (uint8_t)(text[i] + 32);
	if (n != 8 || !hex_read(span_of(text, 8), bytes, 4))
		return false;
	*v = cur_u32(&c);
	return true;
}

static bool read_ask(struct span target, struct asked *a,
    struct tracker_ask *ask)
{
	struct asked none = { .absent = 0 };
	uint64_t want = count(target, "numwant", INT32_MAX, &none, ASKED_KEY);

	*ask = (struct tracker_ask){ .numwant = none.absent ? -1 :
	    (int32_t)want };
	a->absent = 0;
	if (http_param(target, "info_hash", 0, ask->infohash, 20) != 20)
		return false;
	if (http_param(target, "peer_id", 0, ask->peer_id, 20) != 20)
		a->absent |= ASKED_PEER_ID;
	if (!key(target, &ask->key))
		a->absent |= ASKED_KEY;
	ask->port = (uint16_t)count(target, "port", UINT16_MAX, a, ASKED_PORT);
	ask->uploaded = count(target, "uploaded", UINT64_MAX, a,
	    ASKED_UPLOADED);
	ask->downloaded = count(target, "downloaded", UINT64_MAX, a,
	    ASKED_DOWNLOADED);
	ask->left = count(target, "left", UINT64_MAX, a, ASKED_LEFT);
	ask->event = event(target);
	return true;
}

/* The URL up to what the client added, as a torrent would give it. */
static void put_url(const struct http_request *r, const struct endpoint *to,
    char *url, size_t n)
{
	static const char added[] = "info_hash=";
	char host[300], path[700], text[ENDPOINT_TEXT_MAX];
	struct span t = r->target;

	for (size_t i = 0; i + sizeof(added) - 1 <= t.n; i++)
		if (memcmp(t.p + i, added, sizeof(added) - 1) == 0) {
			t.n = i;
			break;
		}
	if (t.n && (t.p[t.n - 1] == '?' || t.p[t.n - 1] == '&'))
		t.n--;
	snprintf(url, n, "http://%s%s", r->host.p ?
	    log_safe(r->host, host, sizeof(host)) : endpoint_text(to, text),
	    log_safe(t, path, sizeof(path)));
}

/* BEP 48: the last element of the path begins with "scrape". */
static bool is_scrape(struct span target)
{
	const uint8_t *q = memchr(target.p, '?', target.n);
	size_t n = q ? (size_t)(q - target.p) : target.n, i = n;

	while (i && target.p[i - 1] != '/')
		i--;
	return n - i >= 6 && memcmp(target.p + i, "scrape", 6) == 0;
}

/* --- what it came to --------------------------------------------------------------- */

static void told(struct conv *c, enum exchange_outcome outcome,
    struct span body, const char *error, struct flow_at at)
{
	const struct web *w = c->web;
	struct dissect *d = c->d;
	const struct endpoint *client = &c->end[c->lead];
	const struct endpoint *tracker = &c->end[!c->lead];
	struct exchange x = { .outcome = outcome,
		.sent = dissect_stamp(w->asked_at), .at = dissect_stamp(at),
		.http_status = w->answering ? w->answer.status : 0,
		.who = *tracker, .client = c->us >= 0 ? NULL : client,
		.file = w->file, .asked_frame = w->asked_at.frame,
		.told_frame = at.frame,
		.request = span_of(w->question.p, w->question.n),
		.body = body };
	struct cur in = cur_of(x.request);
	struct http_request r;
	struct wire_error err;
	struct tracker_ask ask;
	char url[URL_MAX], hex[41];
	struct asked a = { .url = url, .transport = "http",
		.family = tracker->family, .ask = &ask };
	struct told t;

	if (error)
		snprintf(x.error, sizeof(x.error), "%s", error);
	/* It was read before it was kept. */
	if (http_request_next(&in, &r, &err) != WIRE_OK ||
	    !read_ask(r.target, &a, &ask))
		return;
	put_url(&r, tracker, url, sizeof(url));
	d->counts.exchanges++;
	if (!is_scrape(r.target)) {
		a.swarm = known_text(d->conf.known, ask.infohash, hex);
		trackerlog_announce(&d->tracker, &a, &x, &t);
		free(t.peers);
		return;
	}
	for (; a.nth < SCRAPES_MOST && trackerlog_scrape_fits(&a, &x) &&
	    http_param(r.target, "info_hash", a.nth, ask.infohash, 20) == 20;
	    a.nth++) {
		a.swarm = known_text(d->conf.known, ask.infohash, hex);
		trackerlog_scrape(&d->tracker, &a, &x);
	}
}

/* Inflates body into out (most bytes): its length, or -1. */
static long decode(enum http_coding coding, struct span body, uint8_t *out,
    size_t most)
{
	z_stream z = { 0 };
	long n = -1;

	/* 32: gzip or zlib, by the head; deflate is often bare. */
	if (inflateInit2(&z, coding == HTTP_GZIP ? 15 + 32 : 15) != Z_OK)
		return -1;
	z.next_in = (Bytef *)(uintptr_t)body.p;
	z.avail_in = (uInt)body.n;
	z.next_out = out;
	z.avail_out = (uInt)most;
	if (inflate(&z, Z_FINISH) == Z_STREAM_END)
		n = (long)(most - z.avail_out);
	inflateEnd(&z);
	return n;
}

static void answered(struct conv *c, struct flow_at at)
{
	struct web *w = c->web;
	struct span body = span_of(w->body.p, w->body.n);
	size_t most = GROWTH_LEAST + GROWTH * body.n;
	uint8_t *out = NULL;
	long n;

	if (w->too_long) {
		told(c, EXCHANGE_MALFORMED, body, "longer than 1 MiB", at);
	} else if (w->answer.status != 200) {
		told(c, EXCHANGE_ERROR, span_of(NULL, 0), NULL, at);
	} else if (w->answer.coding == HTTP_IDENTITY) {
		told(c, EXCHANGE_OK, body, NULL, at);
	} else {
		if (c->us >= 0 || most > BODY_MAX)
			most = BODY_MAX;
		out = must(malloc(most));
		n = w->answer.coding == HTTP_UNKNOWN ? -1 :
		    decode(w->answer.coding, body, out, most);
		if (n >= 0)
			told(c, EXCHANGE_OK, span_of(out, (size_t)n), NULL,
			    at);
		else
			told(c, EXCHANGE_MALFORMED, body,
			    "its content coding cannot be undone", at);
		free(out);
	}
	w->question.n = w->body.n = 0;
	w->answering = w->too_long = false;
}

/* --- bytes ----------------------------------------------------------------------------- */

/* The client's next question, once the one before has its answer. */
static bool ask(struct conv *c, struct flow_at at)
{
	struct web *w = c->web;
	struct cur in = cur_of(span_of(w->said.p, w->said.n));
	struct http_request r;
	struct tracker_ask what;
	struct wire_error err;
	struct asked a;

	if (w->question.n || !head_ends(&w->said))
		return true;
	switch (http_request_next(&in, &r, &err)) {
	case WIRE_MORE:
		return true;
	case WIRE_BAD:
		return false;
	case WIRE_OK:
		break;
	}
	if (!span_is(r.method, "GET") || !read_ask(r.target, &a, &what))
		return false;
	keep(&w->question, r.head);
	eat(&w->said, r.head.n);
	w->asked_at = at;
	w->file = c->d->file;
	return true;
}

static bool answer_head(struct web *w)
{
	struct cur in = cur_of(span_of(w->head.p, w->head.n));
	struct wire_error err;

	while (!w->answering && head_ends(&w->head)) {
		switch (http_response_next(&in, &w->answer, &err)) {
		case WIRE_MORE:
			return true;
		case WIRE_BAD:
			return false;
		case WIRE_OK:
			break;
		}
		eat(&w->head, w->answer.head.n);
		in = cur_of(span_of(w->head.p, w->head.n));
		w->answer.head = span_of(NULL, 0);
		w->answering = w->answer.status >= 200;
		if (w->answering)
			http_body_init(&w->form, &w->answer);
	}
	return true;
}

static bool answer(struct conv *c, struct span s, struct flow_at at)
{
	struct web *w = c->web;
	struct cur in;

	if (w->question.n == 0)
		return false;
	keep(&w->head, s);
	if (!w->answering && !answer_head(w))
		return false;
	if (!w->answering)
		return true;
	in = cur_of(span_of(w->head.p, w->head.n));
	while (cur_left(&in) && w->form.state < HTTP_BODY_DONE) {
		struct span part = http_body_next(&w->form, &in);

		if (w->body.n + part.n > BODY_MAX)
			w->too_long = true;
		else
			keep(&w->body, part);
	}
	eat(&w->head, w->head.n - cur_left(&in));
	if (w->form.state == HTTP_BODY_DONE)
		answered(c, at);
	return w->form.state != HTTP_BODY_BAD;
}

bool webtalk_bytes(struct conv *c, unsigned side, struct span s,
    struct flow_at at)
{
	struct web *w = c->web;
	bool good;

	if (side == c->lead) {
		keep(&w->said, s);
		good = w->said.n <= HTTP_HEAD_MAX + 1;
	} else {
		good = answer(c, s, at);
	}
	good = good && ask(c, at);
	if (!good)
		webtalk_close(c, at);
	return good;
}

void webtalk_close(struct conv *c, struct flow_at at)
{
	struct web *w = c->web;

	if (w->question.n == 0)
		return;
	if (w->answering && http_body_close(&w->form))
		answered(c, at);
	else
		told(c, EXCHANGE_UNSEEN, span_of(NULL, 0), NULL, at);
	w->question.n = 0;
}

void webtalk_free(struct conv *c)
{
	struct web *w = c->web;

	free(w->said.p);
	free(w->head.p);
	free(w->body.p);
	free(w->question.p);
	free(w);
	c->web = NULL;
}

size_t webtalk_memory(const struct conv *c)
{
	const struct web *w = c->web;

	return w ? sizeof(*w) + w->said.room + w->head.room + w->body.room +
	    w->question.room : 0;
}
