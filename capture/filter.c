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

struct locals {
	const struct endpoint *at;
	size_t n;
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

static size_t count(const struct locals *l, int family)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += family == 0 || l->at[i].family == family;
	return n;
}

/* That end is one of our addresses of this family (0: of any). */
static void put_hosts(struct text *t, const char *dir, const struct locals *l,
    int family)
{
	char ip[ENDPOINT_IP_MAX];
	const char *before = "(";

	for (size_t i = 0; i < l->n; i++) {
		if (family && l->at[i].family != family)
			continue;
		put(t, "%s%s host %s", before, dir,
		    endpoint_ip(&l->at[i], ip));
		before = " or ";
	}
	if (l->n)
		put(t, ") and ");
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
static void put_errors(struct text *t, const struct locals *l,
    const struct ports *p)
{
	if (l->n == 0 || count(l, 4)) {
		put(t, " or (");
		put_hosts(t, "dst", l, 4);
		put(t, "icmp and (icmp[0] = 3 or icmp[0] = 4 or icmp[0] = 5 or "
		    "icmp[0] = 11 or icmp[0] = 12) and (icmp[17] = 6 or "
		    "icmp[17] = 17)");
		put_quoted(t, "icmp[8 + ((icmp[8] & 0xf) << 2) : 2]", p);
		put(t, ")");
	}
	if (l->n == 0 || count(l, 6)) {
		put(t, " or (");
		put_hosts(t, "dst", l, 6);
		put(t, "icmp6 and icmp6[0] >= 1 and icmp6[0] <= 4 and "
		    "(icmp6[14] = 6 or icmp6[14] = 17)");
		put_quoted(t, "icmp6[48:2]", p);
		put(t, ")");
	}
}

int capture_filter(char *buf, size_t n, const struct endpoint *local,
    size_t locals, uint16_t from, uint16_t to, uint16_t listen)
{
	struct text t = { buf, n, 0, n == 0 };
	struct locals l = { local, locals };
	struct ports p = { from <= to ? from : to, from <= to ? to : from,
	    listen };

	if (p.from == 0)
		p.to = 0;
	put(&t, "(");
	put_hosts(&t, "src", &l, 0);
	put_ports(&t, "src", &p);
	put(&t, ") or (");
	put_hosts(&t, "dst", &l, 0);
	put_ports(&t, "dst", &p);
	put(&t, ")");
	put_errors(&t, &l, &p);
	return t.full ? -1 : (int)t.n;
}
