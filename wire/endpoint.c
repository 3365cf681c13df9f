#include "endpoint.h"

#include <stdio.h>

#include "mix.h"

/* ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

struct endpoint endpoint_of(struct span addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	if (addr.n == 16 && memcmp(addr.p, mapped, sizeof(mapped)) == 0)
		addr = span_of(addr.p + 12, 4);
	if (addr.n != 4 && addr.n != 16)
		return (struct endpoint){ 0 };
	memcpy(e.addr, addr.p, addr.n);
	e.family = addr.n == 4 ? 4 : 6;
	return e;
}

static struct endpoint take(struct cur *c, size_t n)
{
	struct span addr = cur_take(c, n);
	uint16_t port = cur_u16(c);

	return c->bad ? (struct endpoint){ 0 } : endpoint_of(addr, port);
}

struct endpoint endpoint_take4(struct cur *c)
{
	return take(c, 4);
}

struct endpoint endpoint_take6(struct cur *c)
{
	return take(c, 16);
}

/* --- text ------------------------------------------------------------------ */

static unsigned group(const struct endpoint *e, unsigned i)
{
	return (unsigned)e->addr[2 * i] << 8 | e->addr[2 * i + 1];
}

/* RFC 5952: lower case, no leading zeros, "::" for the longest run of two or
 * more zero groups, the first of equals. */
static void write6(const struct endpoint *e, char buf[ENDPOINT_IP_MAX])
{
	unsigned from = 8, run = 1, i, n;
	size_t at = 0;

	for (i = 0; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && group(e, i + n) == 0; n++)
			;
		if (n > run) {
			from = i;
			run = n;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == from) {
			buf[at++] = ':';
			if (i + run == 8)
				buf[at++] = ':';
			i += run - 1;
			continue;
		}
		at += (size_t)snprintf(buf + at, ENDPOINT_IP_MAX - at, "%s%x",
		    i ? ":" : "", group(e, i));
	}
	buf[at] = '\0';
}

/* Every record's who, for which printf takes ten times as long. */
static char *put_number(char *p, unsigned v)
{
	unsigned unit = 1;

	while (unit <= v / 10)
		unit *= 10;
	for (; unit; unit /= 10)
		*p++ = (char)('0' + v / unit % 10);
	return p;
}

static char *write4(const uint8_t addr[4], char *p)
{
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = put_number(p, addr[i]);
	}
	*p = '\0';
	return p;
}

const char *endpoint_ip(const struct endpoint *e, char buf[ENDPOINT_IP_MAX])
{
	if (e->family == 4)
		write4(e->addr, buf);
	else if (e->family == 6)
		write6(e, buf);
	else
		buf[0] = '\0';
	return buf;
}

const char *endpoint_text(const struct endpoint *e,
    char buf[ENDPOINT_TEXT_MAX])
{
	char *p = buf;

	if (e->family == 6) {
		*p++ = '[';
		endpoint_ip(e, p);
		p += strlen(p);
		*p++ = ']';
	} else if (e->family == 4) {
		p = write4(e->addr, p);
	}
	if (e->family) {
		*p++ = ':';
		p = put_number(p, e->port);
	}
	*p = '\0';
	return buf;
}

/* A decimal without leading zeros, at most max; takes its digits. */
static bool decimal(struct cur *c, unsigned max, unsigned *out)
{
	unsigned v = 0;
	size_t n = 0;

	for (; cur_left(c) && *c->p >= '0' && *c->p <= '9'; c->p++, n++) {
		if (n && v == 0)
			return false;
		v = v * 10 + (unsigned)(*c->p - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return n != 0;
}

static bool quad(struct cur *c, uint8_t addr[4])
{
	unsigned v;

	for (int i = 0; i < 4; i++) {
		if (i && cur_u8(c) != '.')
			return false;
		if (!decimal(c, 255, &v))
			return false;
		addr[i] = (uint8_t)v;
	}
	return true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The parts before and after "::" (RFC 4291 section 2.2), up to room bytes:
 * groups joined by ':', the last two perhaps as a dotted quad. How many bytes
 * were written, or -1. Stops before "::". */
static int groups(struct cur *c, uint8_t *out, int room)
{
	int n = 0;

	while (cur_left(c) && *c->p != ':') {
		struct cur at = *c;
		unsigned v = 0;
		int digits = 0, d;

		while (cur_left(c) && (d = hex_digit(*c->p)) >= 0) {
			if (++digits > 4)
				return -1;
			v = v << 4 | (unsigned)d;
			c->p++;
		}
		if (cur_left(c) && *c->p == '.') {
			if (n + 4 > room || !quad(&at, out + n) || cur_left(&at))
				return -1;
			*c = at;
			return n + 4;
		}
		if (digits == 0 || n + 2 > room)
			return -1;
		put_u16(out + n, (uint16_t)v);
		n += 2;
		if (cur_left(c) >= 2 && c->p[0] == ':' && c->p[1] != ':')
			c->p++;
		else
			break;
	}
	return n;
}

static bool parse6(struct cur c, uint8_t addr[16])
{
	uint8_t tail[16];
	int head, rest;

	memset(addr, 0, 16);
	head = groups(&c, addr, 16);
	if (head == 16)
		return cur_left(&c) == 0;
	if (head < 0 || cur_u8(&c) != ':' || cur_u8(&c) != ':' || c.bad)
		return false;
	rest = groups(&c, tail, 14 - head);
	if (rest < 0 || cur_left(&c))
		return false;
	memcpy(addr + 16 - rest, tail, (size_t)rest);
	return true;
}

bool endpoint_parse_ip(struct span text, struct endpoint *e)
{
	uint8_t addr[16];
	struct cur c = cur_of(text);

	if (quad(&c, addr) && cur_left(&c) == 0)
		*e = endpoint_of(span_of(addr, 4), 0);
	else if (parse6(cur_of(text), addr))
		*e = endpoint_of(span_of(addr, 16), 0);
	else
		return false;
	return true;
}

bool endpoint_parse(struct span text, struct endpoint *e)
{
	struct endpoint got;
	struct cur c = cur_of(text);
	struct span ip;
	size_t n = text.n;
	unsigned port;
	bool bracket = n && text.p[0] == '[';

	while (n && text.p[n - 1] != ':')
		n--;
	if (n == 0)
		return false;
	ip = cur_take(&c, n - 1);
	cur_u8(&c);
	if (!decimal(&c, 65535, &port) || cur_left(&c))
		return false;
	if (bracket) {
		if (ip.n < 2 || ip.p[ip.n - 1] != ']')
			return false;
		ip = span_of(ip.p + 1, ip.n - 2);
	}
	/* "::1:80" is an address, not an address and a port. */
	if (bracket != (ip.n && memchr(ip.p, ':', ip.n) != NULL))
		return false;
	if (!endpoint_parse_ip(ip, &got))
		return false;
	got.port = (uint16_t)port;
	*e = got;
	return true;
}

/* --- order ----------------------------------------------------------------- */

static int cmp_ip(const struct endpoint *a, const struct endpoint *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return a->family == 0 ? 0 :
	    memcmp(a->addr, b->addr, a->family == 4 ? 4 : 16);
}

int endpoint_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int c = cmp_ip(a, b);

	return c ? c : (a->port > b->port) - (a->port < b->port);
}

uint64_t endpoint_mix(const uint64_t key[ENDPOINT_KEYS],
    const struct endpoint *e)
{
	return mix_bytes(key, e->addr, sizeof(e->addr)) + e->port * key[4];
}

bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b)
{
	return cmp_ip(a, b) == 0;
}

/* --- special-purpose addresses --------------------------------------------- */

struct block {
	uint8_t bits;		/* of prefix that count */
	uint8_t prefix[14];
	const char *what;
};

/* IANA IPv4 and IPv6 Special-Purpose Address Registries; the first match
 * decides, so the narrower stands before the wider. */
static const struct block special4[] = {
	{ 32, { 255, 255, 255, 255 }, "broadcast" },
	{ 8, { 0 }, "reserved" },
	{ 8, { 10 }, "private" },
	{ 10, { 100, 64 }, "shared by a carrier" },
	{ 8, { 127 }, "loopback" },
	{ 16, { 169, 254 }, "link-local" },
	{ 12, { 172, 16 }, "private" },
	{ 24, { 192, 0, 0 }, "reserved" },
	{ 24, { 192, 0, 2 }, "documentation" },
	{ 24, { 192, 31, 196 }, "reserved" },
	{ 24, { 192, 52, 193 }, "reserved" },
	{ 24, { 192, 88, 99 }, "reserved" },
	{ 16, { 192, 168 }, "private" },
	{ 24, { 192, 175, 48 }, "reserved" },
	{ 15, { 198, 18 }, "benchmarking" },
	{ 24, { 198, 51, 100 }, "documentation" },
	{ 24, { 203, 0, 113 }, "documentation" },
	{ 4, { 224 }, "multicast" },
	{ 4, { 240 }, "reserved" },
};

#define EMBEDS "embeds an IPv4 address"

static const struct block special6[] = {
	{ 96, { 0, 0x64, 0xff, 0x9b }, EMBEDS },		/* RFC 6052 */
	{ 48, { 0, 0x64, 0xff, 0x9b, 0, 1 }, EMBEDS },		/* RFC 8215 */
	{ 64, { 1 }, "discard-only" },				/* RFC 6666 */
	{ 32, { 0x20, 0x01 }, EMBEDS },				/* RFC 4380 */
	{ 23, { 0x20, 0x01 }, "reserved" },			/* RFC 2928 */
	{ 32, { 0x20, 0x01, 0x0d, 0xb8 }, "documentation" },
	{ 16, { 0x20, 0x02 }, EMBEDS },				/* RFC 3056 */
	{ 48, { 0x26, 0x20, 0, 0x4f, 0x80 }, "reserved" },	/* RFC 7534 */
	{ 20, { 0x3f, 0xff }, "documentation" },		/* RFC 9637 */
	{ 7, { 0xfc }, "private" },
	{ 10, { 0xfe, 0x80 }, "link-local" },
	{ 8, { 0xff }, "multicast" },
};

static bool within(const uint8_t *addr, const struct block *b)
{
	size_t whole = b->bits / 8u;
	unsigned rest = b->bits % 8u;

	if (memcmp(addr, b->prefix, whole) != 0)
		return false;
	return rest == 0 ||
	    ((addr[whole] ^ b->prefix[whole]) >> (8 - rest)) == 0;
}

static const char *lookup(const uint8_t *addr, const struct block *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (within(addr, &t[i]))
			return t[i].what;
	return NULL;
}

const char *endpoint_special(const struct endpoint *e)
{
	static const uint8_t zero[15];
	const char *what;

	if (e->family == 4)
		return lookup(e->addr, special4,
		    sizeof(special4) / sizeof(special4[0]));
	if (e->family != 6)
		return "no address";
	if (memcmp(e->addr, zero, 15) == 0 && e->addr[15] <= 1)
		return e->addr[15] ? "loopback" : "unspecified";
	if (memcmp(e->addr, zero, 12) == 0)
		return EMBEDS;		/* IPv4-compatible, RFC 4291 */
	what = lookup(e->addr, special6,
	    sizeof(special6) / sizeof(special6[0]));
	if (what == NULL && (e->addr[0] & 0xe0) != 0x20)
		return "reserved";	/* outside 2000::/3 */
	return what;
}

const char *endpoint_forbidden(const struct endpoint *e, bool allow_local)
{
	static const char *const never[] = { "multicast", "unspecified",
		"broadcast" };
	const char *special = endpoint_special(e);

	if (e->port == 0 || e->family == 0)
		return "no port or no address";
	if (e->family == 4 && e->addr[0] == 0)
		return "unspecified";
	for (size_t i = 0; special && i < sizeof(never) / sizeof(never[0]); i++)
		if (strcmp(special, never[i]) == 0)
			return special;
	return allow_local ? NULL : special;
}
