#include "capture/httpmsg.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same(struct span s, const char *text)
{
	size_t n = strlen(text);

	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(s.p[i]) != lower((uint8_t)text[i]))
			return false;
	return true;
}

static struct span trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' ||
	    s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* A line without its end; false if there is no whole one. */
static bool line(struct cur *c, struct span *l)
{
	const uint8_t *nl = cur_left(c) ? memchr(c->p, '\n', cur_left(c)) :
	    NULL;

	if (!nl)
		return false;
	*l = cur_take(c, (size_t)(nl - c->p));
	cur_take(c, 1);
	if (l->n && l->p[l->n - 1] == '\r')
		l->n--;
	return true;
}

static enum wire_status head(struct cur *in, struct span *whole,
    struct span *first, struct wire_error *err)
{
	struct cur c = *in;
	struct span l;

	if (!line(&c, first))
		goto more;
	while (line(&c, &l)) {
		if (l.n)
			continue;
		*whole = span_of(in->p, (size_t)(c.p - in->p));
		if (whole->n > HTTP_HEAD_MAX)
			break;
		*in = c;
		return WIRE_OK;
	}
more:
	if (cur_left(in) < HTTP_HEAD_MAX)
		return WIRE_MORE;
	*err = (struct wire_error){ "HTTP head too long", HTTP_HEAD_MAX };
	return WIRE_BAD;
}

/* The next header of a head, behind its first line. */
static bool http_header(struct cur *lines, struct span *name, struct span *value)
{
	struct span l;
	const uint8_t *colon;

	while (line(lines, &l) && l.n) {
		colon = memchr(l.p, ':', l.n);
		if (!colon)
			continue;
		*name = span_of(l.p, (size_t)(colon - l.p));
		*value = trim(span_of(colon + 1,
		    l.n - name->n - 1));
		return true;
	}
	return false;
}

static struct span word(struct span *l)
{
	struct span w = { l->p, 0 };

	while (w.n < l->n && l->p[w.n] != ' ')
		w.n++;
	l->p += w.n;
	l->n -= w.n;
	while (l->n && l->p[0] == ' ') {
		l->p++;
		l->n--;
	}
	return w;
}

enum wire_status http_request_next(struct cur *in, struct http_request *r,
    struct wire_error *err)
{
	struct span first, name, value;
	enum wire_status st;
	struct cur lines;

	*r = (struct http_request){ 0 };
	st = head(in, &r->head, &first, err);
	if (st != WIRE_OK)
		return st;
	lines = cur_of(r->head);
	line(&lines, &first);
	r->method = word(&first);
	r->target = word(&first);
	if (first.n < 5 || memcmp(first.p, "HTTP/", 5) != 0) {
		*err = (struct wire_error){ "no HTTP request", 0 };
		return WIRE_BAD;
	}
	while (http_header(&lines, &name, &value))
		if (same(name, "host"))
			r->host = value;
	return WIRE_OK;
}

static int64_t number(struct span s)
{
	int64_t n = 0;

	if (s.n == 0 || s.n > 15)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = n * 10 + (s.p[i] - '0');
	}
	return n;
}

enum wire_status http_response_next(struct cur *in, struct http_response *r,
    struct wire_error *err)
{
	struct span first, name, value, version;
	enum wire_status st;
	struct cur lines;

	*r = (struct http_response){ .length = -1 };
	st = head(in, &r->head, &first, err);
	if (st != WIRE_OK)
		return st;
	lines = cur_of(r->head);
	line(&lines, &first);
	version = word(&first);
	r->status = (int)number(word(&first));
	if (version.n < 5 || memcmp(version.p, "HTTP/", 5) != 0 ||
	    r->status < 100 || r->status > 999) {
		*err = (struct wire_error){ "no HTTP response", 0 };
		return WIRE_BAD;
	}
	while (http_header(&lines, &name, &value)) {
		if (same(name, "content-length"))
			r->length = number(value);
		else if (same(name, "transfer-encoding"))
			r->chunked = same(value, "chunked");
		else if (same(name, "content-encoding"))
			r->coding = same(value, "gzip") ||
			    same(value, "x-gzip") ? HTTP_GZIP :
			    same(value, "deflate") ? HTTP_DEFLATE :
			    same(value, "identity") ? HTTP_IDENTITY :
			    HTTP_UNKNOWN;
	}
	return WIRE_OK;
}

/* --- the body ---------------------------------------------------------------- */

void http_body_init(struct http_body *b, const struct http_response *r)
{
	*b = (struct http_body){ .state = HTTP_BODY_DATA };
	if (r->status < 200 || r->status == 204 || r->status == 304) {
		b->state = HTTP_BODY_DONE;
	} else if (r->chunked) {
		b->chunked = true;
		b->state = HTTP_BODY_SIZE;
	} else if (r->length >= 0) {
		b->left = (uint64_t)r->length;
		if (b->left == 0)
			b->state = HTTP_BODY_DONE;
	} else {
		b->to_close = true;
	}
}

static int digit(uint8_t c)
{
	c = lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : -1;
}

/* One byte of the line that says a chunk's length. */
static void size_byte(struct http_body *b, uint8_t c)
{
	int d = digit(c);

	if (c == '\n') {
		b->state = !b->digits ? HTTP_BODY_BAD : b->left ?
		    HTTP_BODY_DATA : HTTP_BODY_TRAILER;
		b->digits = b->ext = false;
		b->line = 0;
	} else if (++b->line > 256 || (b->left >> 40 && d >= 0 && !b->ext)) {
		b->state = HTTP_BODY_BAD;
	} else if (!b->ext && d >= 0) {
		b->left = b->left << 4 | (unsigned)d;
		b->digits = true;
	} else {
		b->ext = true;	/* an extension, or the CR */
	}
}

static void line_byte(struct http_body *b, uint8_t c)
{
	if (b->state == HTTP_BODY_GAP) {
		if (c == '\n')
			b->state = HTTP_BODY_SIZE;
		else if (c != '\r')
			b->state = HTTP_BODY_BAD;
	} else if (c == '\n') {
		if (b->line == 0)
			b->state = HTTP_BODY_DONE;
		b->line = 0;
	} else if (c != '\r' && ++b->line > HTTP_HEAD_MAX) {
		b->state = HTTP_BODY_BAD;
	}
}

struct span http_body_next(struct http_body *b, struct cur *in)
{
	struct span s = { in->p, 0 };

	while (cur_left(in) && b->state < HTTP_BODY_DONE) {
		if (b->state == HTTP_BODY_SIZE) {
			size_byte(b, cur_u8(in));
			continue;
		}
		if (b->state != HTTP_BODY_DATA) {
			line_byte(b, cur_u8(in));
			continue;
		}
		if (b->to_close)
			return cur_rest(in);
		s = cur_take(in, b->left < cur_left(in) ? (size_t)b->left :
		    cur_left(in));
		b->left -= s.n;
		if (b->left == 0)
			b->state = b->chunked ? HTTP_BODY_GAP :
			    HTTP_BODY_DONE;
		return s;
	}
	return span_of(in->p, 0);
}

bool http_body_close(struct http_body *b)
{
	if (b->to_close && b->state == HTTP_BODY_DATA)
		b->state = HTTP_BODY_DONE;
	return b->state == HTTP_BODY_DONE;
}

/* --- the query --------------------------------------------------------------- */

static int decode(struct span s, uint8_t *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c == '%' && s.n - i > 2 && digit(s.p[i + 1]) >= 0 &&
		    digit(s.p[i + 2]) >= 0) {
			c = (uint8_t)(digit(s.p[i + 1]) << 4 |
			    digit(s.p[i + 2]));
			i += 2;
		}
		if (n == room)
			return -1;
		out[n++] = c;
	}
	return (int)n;
}

int http_param(struct span target, const char *name, unsigned nth,
    uint8_t *out, size_t room)
{
	const uint8_t *q = target.n ? memchr(target.p, '?', target.n) : NULL;
	struct cur c = { q ? q + 1 : NULL, q ? target.p + target.n : NULL,
		false };
	size_t len = strlen(name);

	while (cur_left(&c)) {
		const uint8_t *amp = memchr(c.p, '&', cur_left(&c));
		struct span one = cur_take(&c, amp ? (size_t)(amp - c.p) :
		    cur_left(&c));

		if (amp)
			cur_take(&c, 1);
		if (one.n <= len || one.p[len] != '=' ||
		    memcmp(one.p, name, len) != 0)
			continue;
		if (nth-- == 0)
			return decode(span_of(one.p + len + 1,
			    one.n - len - 1), out, room);
	}
	return -1;
}
