#include "magnet.h"

/* "urn:btmh:1220" and 64 digits is the longest we know. */
#define XT_MAX 80

static enum wire_status refuse(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static int hex_digit(uint8_t c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct span text, uint8_t *out, size_t n)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text.p[2 * i]);
		int lo = hex_digit(text.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* RFC 4648 base32, 32 digits for 20 bytes. */
static bool read_base32(struct span text, uint8_t out[20])
{
	uint64_t bits = 0;

	if (text.n != 32)
		return false;
	for (size_t i = 0; i < 32; i++) {
		uint8_t c = lower(text.p[i]);

		if (c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a');
		else if (c >= '2' && c <= '7')
			c = (uint8_t)(c - '2' + 26);
		else
			return false;
		bits = bits << 5 | c;
		if (i % 8 == 7)
			for (size_t j = 0; j < 5; j++)
				out[i / 8 * 5 + j] =
				    (uint8_t)(bits >> (32 - 8 * j));
	}
	return true;
}

/* Takes s off the front of *text, in any case of letters. */
static bool skip(struct span *text, const char *s)
{
	size_t n = strlen(s);

	if (text->n < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(text->p[i]) != (uint8_t)s[i])
			return false;
	*text = span_of(text->p + n, text->n - n);
	return true;
}

/* The next parameter; a number behind the key ("tr.1") counts for nothing.
 * Links copied out of HTML bring "&amp;". */
static bool next_param(struct cur *c, struct span *key, struct span *value)
{
	const uint8_t *amp, *eq;
	struct span s;
	size_t n;

	if (cur_left(c) == 0)
		return false;
	amp = memchr(c->p, '&', cur_left(c));
	s = cur_take(c, amp ? (size_t)(amp - c->p) : cur_left(c));
	if (amp)
		cur_u8(c);
	skip(&s, "amp;");
	eq = s.n ? memchr(s.p, '=', s.n) : NULL;
	*key = span_of(s.p, eq ? (size_t)(eq - s.p) : s.n);
	*value = eq ? span_of(eq + 1, s.n - key->n - 1) :
	    (struct span){ NULL, 0 };
	for (n = key->n; n && key->p[n - 1] >= '0' && key->p[n - 1] <= '9'; )
		n--;
	if (n && n < key->n && key->p[n - 1] == '.')
		key->n = n - 1;
	return true;
}

/* RFC 3986 escapes; a percent sign without two digits stands for itself. */
static size_t decode(struct span s, bool plus, char *buf, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int hi, lo;
		uint8_t c = s.p[i];

		if (c == '%' && s.n - i > 2 &&
		    (hi = hex_digit(s.p[i + 1])) >= 0 &&
		    (lo = hex_digit(s.p[i + 2])) >= 0) {
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (n < room)
			buf[n] = (char)c;
		n++;
	}
	return n;
}

static bool inside(const struct magnet *m, struct cur *c)
{
	struct span s = m->link;

	*c = cur_of(s);
	if (!skip(&s, "magnet:?"))
		return false;
	*c = cur_of(s);
	return true;
}

/* A hash given twice must be the same. */
static bool settle(bool *have, uint8_t *kept, const uint8_t *got, size_t n)
{
	if (*have)
		return memcmp(kept, got, n) == 0;
	memcpy(kept, got, n);
	*have = true;
	return true;
}

static const char *read_topic(struct magnet *m, struct span xt)
{
	uint8_t hash[32];

	if (skip(&xt, "urn:btih:")) {
		if (!read_hex(xt, hash, 20) && !read_base32(xt, hash))
			return "btih is neither 40 hex nor 32 base32 digits";
		if (!settle(&m->v1, m->hash_v1, hash, 20))
			return "two different v1 infohashes";
	} else if (skip(&xt, "urn:btmh:")) {
		/* multihash: 12 is SHA-256, 20 its length in hex */
		if (!skip(&xt, "1220") || !read_hex(xt, hash, 32))
			return "btmh is not 1220 and 64 hex digits";
		if (!settle(&m->v2, m->hash_v2, hash, 32))
			return "two different v2 infohashes";
	} else {
		m->unsupported = true;
	}
	return NULL;
}

enum wire_status magnet_read(struct span link, struct magnet *m,
    struct wire_error *err)
{
	struct span key, value;
	struct cur c;

	*m = (struct magnet){ .link = link };
	if (link.n > MAGNET_MAX)
		return refuse(err, "a link of more than 65536 bytes", 0);
	if (read_hex(link, m->hash_v1, 20)) {
		m->v1 = true;
		return WIRE_OK;
	}
	if (read_hex(link, m->hash_v2, 32)) {
		m->v2 = true;
		return WIRE_OK;
	}
	if (!inside(m, &c))
		return refuse(err, "neither a magnet link nor an infohash", 0);
	while (next_param(&c, &key, &value)) {
		char topic[XT_MAX];
		const char *why;
		size_t n;

		if (span_is(key, "xt")) {
			n = decode(value, false, topic, sizeof(topic));
			if (n > sizeof(topic))
				n = sizeof(topic);
			why = read_topic(m, span_of(topic, n));
			if (why)
				return refuse(err, why,
				    (size_t)(key.p - link.p));
		} else if (key.n && !span_is(key, "dn") &&
		    !span_is(key, "tr") && !span_is(key, "x.pe")) {
			m->unsupported = true;
		}
	}
	if (!m->v1 && !m->v2)
		return refuse(err, "no infohash in the link", link.n);
	return WIRE_OK;
}

long magnet_param(const struct magnet *m, const char *key, unsigned i,
    char *buf, size_t n)
{
	struct magnet_values it = { .begun = false };
	long got;

	do
		got = magnet_next(m, &it, key, buf, n);
	while (got >= 0 && i-- > 0);
	return got;
}

long magnet_next(const struct magnet *m, struct magnet_values *it,
    const char *key, char *buf, size_t n)
{
	struct span k, value;

	if (!it->begun && !inside(m, &it->c))
		return -1;
	it->begun = true;
	while (next_param(&it->c, &k, &value))
		if (span_is(k, key))
			return (long)decode(value, span_is(k, "dn"), buf, n);
	return -1;
}
