#include "capture/filter.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
	char *p;
	size_t room, n;
	bool full;
};

static void put(struct text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->p + t->n, t->room - t->n, fmt, ap);
	va_end(ap);
	t->full = n < 0 || (size_t)n >= t->room - t->n;
	if (!t->full)
		t->n += (size_t)n;
}

struct ports {
	uint16_t from, to, listen;
};

/* dir "src" or "dst": that end has one of our ports. */
static void put_ports(struct text *t, const char *dir, const struct ports *p)
{
	if (p->from == 0 && p->listen == 0)
		put(t, "(tcp or udp)");
	else if (p->from == 0)
		put(t, "%s port %u", dir, p->listen);
	else if (p->listen == 0)
		put(t, "%s portrange %u-%u", dir, p->from, p->to);
	else
		put(t, "(%s portrange %u-%u or %s port %u)", dir, p->from,
		    p->to, dir, p->listen);
}

static void put_host(struct text *t, const char *dir, const struct endpoint *e)
{
	char ip[ENDPOINT_IP_MAX];

	if (e != NULL)
		put(t, "%s host %s and ", dir, endpoint_ip(e, ip));
}

/* quoted: an expression for the 16 bits where the quoted packet, which we had
 * sent, has its source port. */
static void put_quoted(struct text *t, const char *quoted,
    const struct ports *p)
{
	if (p->from != 0)
		put(t, " and ((%s >= %u and %s <= %u)", quoted, p->from,
		    quoted, p->to);
	if (p->listen != 0)
		put(t, "%s%s = %u", p->from ? " or " : " and (", quoted,
		    p->listen);
	if (p->from != 0 || p->listen != 0)
		put(t, ")");
}

/* RFC 792: the quoted IPv4 header, whose length says where its ports are. RFC
 * 4443: the quoted IPv6 header is 40 bytes (6: TCP, 17: UDP next). */
static void put_errors(struct text *t, const struct endpoint *e,
    const struct ports *p)
{
	if (e == NULL || e->family == 4) {
		put(t, " or (");
		put_host(t, "dst", e);
		put(t, "icmp and (icmp[0] = 3 or icmp[0] = 4 or icmp[0] = 5 or "
		    "icmp[0] = 11 or icmp[0] = 12) and (icmp[17] = 6 or "
		    "icmp[17] = 17)");
		put_quoted(t, "icmp[8 + ((icmp[8] & 0xf) << 2) : 2]", p);
		put(t, ")");
	}
	if (e == NULL || e->family == 6) {
		put(t, " or (");
		put_host(t, "dst", e);
		put(t, "icmp6 and icmp6[0] >= 1 and icmp6[0] <= 4 and "
		    "(icmp6[14] = 6 or icmp6[14] = 17)");
		put_quoted(t, "icmp6[48:2]", p);
		put(t, ")");
	}
}

static void put_end(struct text *t, const struct endpoint *e,
    const struct ports *p)
{
	put(t, "(");
	put_host(t, "src", e);
	put_ports(t, "src", p);
	put(t, ") or (");
	put_host(t, "dst", e);
	put_ports(t, "dst", p);
	put(t, ")");
	put_errors(t, e, p);
}

int capture_filter(char *buf, size_t n, const struct endpoint *local,
    size_t locals, uint16_t from, uint16_t to, uint16_t listen)
{
	struct text t = { buf, n, 0, n == 0 };
	struct ports p = { from <= to ? from : to, from <= to ? to : from,
	    listen };

	if (p.from == 0)
		p.to = 0;
	if (locals == 0)
		put_end(&t, NULL, &p);
	for (size_t i = 0; i < locals; i++) {
		put(&t, "%s", i ? " or " : "");
		put_end(&t, &local[i], &p);
	}
	return t.full ? -1 : (int)t.n;
}
