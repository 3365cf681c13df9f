#include "lsd.h"

#include "sink.h"

#define SEARCH "BT-SEARCH * HTTP/1.1"

/* The next line without its end; false if nothing is left. *whole: CR and LF
 * ended it. */
static bool next_line(struct cur *c, struct span *line, bool *whole)
{
	const uint8_t *lf;
	size_t n = cur_left(c);

	*whole = false;
	if (n == 0)
		return false;
	lf = memchr(c->p, '\n', n);
	if (lf == NULL) {
		*line = cur_take(c, n);
		return true;
	}
	*line = cur_take(c, (size_t)(lf - c->p));
	cur_u8(c);
	if (line->n && line->p[line->n - 1] == '\r') {
		line->n--;
		*whole = true;
	}
	return true;
}

static struct span trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* name: in lower case. */
static bool named(struct span s, const char *name)
{
	if (s.n != strlen(name))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (lower(s.p[i]) != (uint8_t)name[i])
			return false;
	return true;
}

static bool split(struct span line, struct span *key, struct span *value)
{
	const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

	if (colon == NULL)
		return false;
	*key = trim(span_of(line.p, (size_t)(colon - line.p)));
	*value = trim(span_of(colon + 1, line.n - (size_t)(colon - line.p) -
	    1));
	return true;
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(struct span text, uint8_t hash[20])
{
	uint8_t got[20];

	if (text.n != 40)
		return false;
	for (size_t i = 0; i < 20; i++) {
		int high = hex(text.p[2 * i]), low = hex(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		got[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(hash, got, 20);
	return true;
}

/* 1 to 65535; 0 for anything else. */
static uint16_t read_port(struct span text)
{
	unsigned v = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return 0;
		v = v * 10 + (unsigned)(text.p[i] - '0');
		if (v > UINT16_MAX)
			return 0;
	}
	return (uint16_t)v;
}

static void once(struct span value, struct span *into, struct lsd_msg *m)
{
	if (into->p)
		m->odd |= LSD_ODD_REPEATED;
	else
		*into = value;
}

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

enum wire_status lsd_read(struct span datagram, struct lsd_msg *m,
    struct wire_error *err)
{
	struct cur c = cur_of(datagram);
	struct span line, key, value, port = { NULL, 0 };
	uint8_t hash[20];
	bool whole, ended = false;
	size_t port_at = datagram.n;

	*m = (struct lsd_msg){ 0 };
	if (!next_line(&c, &line, &whole) || !span_is(line, SEARCH))
		return fault(err, "not a BT-SEARCH", 0);
	if (!whole)
		m->odd |= LSD_ODD_LINES;
	m->lines = span_of(c.p, cur_left(&c));
	while (!ended && next_line(&c, &line, &whole)) {
		if (!whole)
			m->odd |= LSD_ODD_LINES;
		ended = line.n == 0;
		if (ended)
			break;
		if (!split(line, &key, &value)) {
			m->odd |= LSD_ODD_LINES;
		} else if (named(key, "port")) {
			if (!port.p)
				port_at = (size_t)(value.p - datagram.p);
			once(value, &port, m);
		} else if (named(key, "host")) {
			once(value, &m->host, m);
		} else if (named(key, "cookie")) {
			once(value, &m->cookie, m);
		} else if (named(key, "infohash")) {
			if (read_hash(value, hash))
				m->hashes++;
			else
				m->odd |= LSD_ODD_HASH;
		}
	}
	if (!ended)
		m->odd |= LSD_ODD_LINES;
	m->port = read_port(port);
	if (m->port == 0)
		return fault(err, "no port from 1 to 65535", port_at);
	if (m->hashes == 0)
		return fault(err, "no infohash", datagram.n);
	return WIRE_OK;
}

bool lsd_hash(struct cur *lines, uint8_t hash[20])
{
	struct span line, key, value;
	bool whole;

	while (next_line(lines, &line, &whole) && line.n)
		if (split(line, &key, &value) && named(key, "infohash") &&
		    read_hash(value, hash))
			return true;
	return false;
}

static void put_hash(struct sink *s, const uint8_t hash[20])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t text[40];

	for (size_t i = 0; i < 20; i++) {
		text[2 * i] = (uint8_t)digits[hash[i] >> 4];
		text[2 * i + 1] = (uint8_t)digits[hash[i] & 15];
	}
	sink_str(s, "Infohash: ");
	sink_span(s, span_of(text, sizeof(text)));
	sink_str(s, "\r\n");
}

size_t lsd_put(uint8_t *out, size_t room, int family, uint16_t port,
    struct span cookie, const uint8_t (*hash)[20], size_t n)
{
	struct sink s = sink_of(out, room);
	char head[128];

	snprintf(head, sizeof(head), SEARCH "\r\nHost: %s:%u\r\nPort: %u\r\n",
	    family == 6 ? "[" LSD_GROUP6 "]" : LSD_GROUP4, LSD_PORT, port);
	sink_str(&s, head);
	for (size_t i = 0; i < n; i++)
		put_hash(&s, hash[i]);
	if (cookie.n) {
		sink_str(&s, "cookie: ");
		sink_span(&s, cookie);
		sink_str(&s, "\r\n");
	}
	sink_str(&s, "\r\n\r\n");
	return n ? sink_end(&s) : 0;
}
