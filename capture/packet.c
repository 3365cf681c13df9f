#include "capture/packet.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_PPPOE = 0x8864,
	TYPE_QINQ = 0x88a8,
	TYPE_QINQ_OLD = 0x9100,
	TYPE_QINQ_OLDER = 0x9200,
	TYPE_LEAST = 0x0600,	/* below: an 802.3 length */
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057
};

enum {
	IP_HOP_BY_HOP = 0,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_AUTHENTICATION = 51,
	IP_OPTIONS = 60,
	IP_MOBILITY = 135,
	IP_HIP = 139,
	IP_SHIM6 = 140
};

/* A frame being read. left: bytes on the wire from c on, captured or not,
 * within what the headers so far allow. */
struct frame {
	struct cur c;
	const uint8_t *start;
	uint32_t left;
	struct packet *p;
};

static size_t at(const struct frame *f)
{
	return (size_t)(f->c.p - f->start);
}

static void malformed(struct frame *f, const char *reason, size_t offset)
{
	f->p->kind = PACKET_MALFORMED;
	f->p->err = (struct wire_error){ reason, offset };
}

/* n bytes of header. False: they are not there, *p says why. */
static bool header(struct frame *f, uint32_t n, struct cur *h,
    const char *reason)
{
	struct span s;

	if (n > f->left) {
		malformed(f, reason, at(f));
		return false;
	}
	s = cur_take(&f->c, n);
	if (f->c.bad) {
		f->p->kind = PACKET_CUT;
		return false;
	}
	f->left -= n;
	*h = cur_of(s);
	return true;
}

/* What follows is n bytes and no more: the rest is padding. */
static void limit(struct frame *f, uint32_t n)
{
	f->left = n;
	if (cur_left(&f->c) > n)
		f->c.end = f->c.p + n;
}

static void payload(struct frame *f)
{
	f->p->payload = cur_rest(&f->c);
	f->p->missing = f->left - (uint32_t)f->p->payload.n;
}

static void read_tcp(struct frame *f)
{
	struct packet *p = f->p;
	size_t start = at(f);
	struct cur h;
	uint32_t n;

	if (!header(f, 20, &h, "too short for a TCP header"))
		return;
	p->from.port = cur_u16(&h);
	p->to.port = cur_u16(&h);
	p->seq = cur_u32(&h);
	p->ack = cur_u32(&h);
	n = (uint32_t)(cur_u8(&h) >> 4) * 4;
	p->flags = cur_u8(&h);
	if (n < 20 || n - 20 > f->left) {
		malformed(f, "TCP header length", start + 12);
		return;
	}
	if (!(p->flags & PACKET_ACK))
		p->ack = 0;
	n -= 20;
	f->left -= n;
	if (n > cur_left(&f->c))
		n = (uint32_t)cur_left(&f->c);	/* cut within options */
	cur_take(&f->c, n);
	p->kind = PACKET_TCP;
	payload(f);
}

static void read_udp(struct frame *f)
{
	struct packet *p = f->p;
	size_t start = at(f);
	struct cur h;
	uint32_t n;

	if (!header(f, 8, &h, "too short for a UDP header"))
		return;
	p->from.port = cur_u16(&h);
	p->to.port = cur_u16(&h);
	n = cur_u16(&h);
	if (n < 8 || n - 8 > f->left) {
		malformed(f, "UDP length", start + 4);
		return;
	}
	limit(f, n - 8);
	p->kind = PACKET_UDP;
	payload(f);
}

/* Part of an IP packet; the flags and offset field is in both families'
 * units of 8 bytes. */
static void read_part(struct frame *f, uint16_t offset, bool more, uint32_t id)
{
	struct packet *p = f->p;

	p->kind = PACKET_FRAGMENT;
	p->at = offset;
	p->more = more;
	p->id = id;
	payload(f);
}

/* The bytes of an IPv6 extension header; false for what is none. */
static bool extension_bytes(uint8_t protocol, uint8_t field, uint32_t *n)
{
	switch (protocol) {
	case IP_HOP_BY_HOP:
	case IP_ROUTING:
	case IP_OPTIONS:
	case IP_MOBILITY:
	case IP_HIP:
	case IP_SHIM6:
		*n = (uint32_t)field * 8 + 8;
		return true;
	case IP_AUTHENTICATION:
		*n = (uint32_t)field * 4 + 8;
		return true;
	}
	return false;
}

static bool read_fragment(struct frame *f)
{
	struct cur h;
	uint16_t offset;
	uint32_t id;

	if (!header(f, 8, &h, "IPv6 fragment header past the end"))
		return true;
	f->p->protocol = cur_u8(&h);
	cur_take(&h, 1);
	offset = cur_u16(&h);
	id = cur_u32(&h);
	if (offset < 8 && !(offset & 1))
		return false;	/* an atomic fragment (RFC 6946) */
	read_part(f, offset & 0xfff8, offset & 1, id);
	return true;
}

/*
 * On its way through the nodes of a routing header an IPv6 packet bears the
 * next of them as its destination; whom it is for is in the list: at its front
 * in a segment routing header (RFC 8754), else (RFC 2460, 6275) at its end.
 */
static void read_routing(struct packet *p, struct span s)
{
	struct cur c = cur_of(s);
	uint8_t type = cur_u8(&c), left = cur_u8(&c);
	struct span list;

	cur_take(&c, 4);
	list = cur_rest(&c);
	if (c.bad || left == 0 || list.n < 16)
		return;
	if (type == 4)
		p->to = endpoint_of(span_of(list.p, 16), 0);
	else if ((type == 0 || type == 2) && list.n % 16 == 0)
		p->to = endpoint_of(span_of(list.p + list.n - 16, 16), 0);
}

/* From p->protocol on, through IPv6 extension headers. */
static void read_above(struct frame *f)
{
	struct packet *p = f->p;

	for (;;) {
		struct cur h;
		uint32_t n = 0;
		uint8_t next, field;

		if (p->protocol == IP_TCP) {
			read_tcp(f);
			return;
		}
		if (p->protocol == IP_UDP) {
			read_udp(f);
			return;
		}
		if (p->from.family != 6)
			return;
		if (p->protocol == IP_FRAGMENT) {
			if (read_fragment(f))
				return;
			continue;
		}
		if (!extension_bytes(p->protocol, 0, &n))
			return;
		if (!header(f, 2, &h, "IPv6 extension past the end"))
			return;
		next = cur_u8(&h);
		field = cur_u8(&h);
		extension_bytes(p->protocol, field, &n);
		if (!header(f, n - 2, &h, "IPv6 extension past the end"))
			return;
		if (p->protocol == IP_ROUTING)
			read_routing(p, cur_rest(&h));
		p->protocol = next;
	}
}

static void read_ipv4(struct frame *f)
{
	struct packet *p = f->p;
	size_t start = at(f);
	uint32_t whole = f->left, n, total;
	uint16_t part;
	struct cur h;

	p->ip = start;
	if (!header(f, 20, &h, "too short for an IPv4 header"))
		return;
	n = cur_u8(&h);
	if (n >> 4 != 4) {
		malformed(f, "IP version", start);
		return;
	}
	n = (n & 15) * 4;
	cur_take(&h, 1);
	total = cur_u16(&h);
	if (total == 0)		/* segmented by the card, later */
		total = whole;
	if (n < 20 || n > total) {
		malformed(f, "IPv4 header length", start);
		return;
	}
	if (total > whole) {
		malformed(f, "IPv4 packet longer than its frame", start + 2);
		return;
	}
	p->id = cur_u16(&h);
	part = cur_u16(&h);
	cur_take(&h, 1);
	p->protocol = cur_u8(&h);
	cur_take(&h, 2);
	p->from = endpoint_of(cur_take(&h, 4), 0);
	p->to = endpoint_of(cur_take(&h, 4), 0);
	limit(f, total - 20);
	if (!header(f, n - 20, &h, "IPv4 header length"))
		return;
	if (part & 0x3fff)
		read_part(f, (uint16_t)((part & 0x1fff) * 8), part & 0x2000,
		    p->id);
	else
		read_above(f);
}

/* The length in a hop-by-hop jumbo option (RFC 2675) at c, 0 if none. */
static uint32_t jumbo(struct cur c)
{
	uint8_t next = cur_u8(&c);
	struct cur o = cur_of(cur_take(&c, (size_t)cur_u8(&c) * 8 + 6));

	(void)next;
	while (!o.bad && cur_left(&o)) {
		uint8_t type = cur_u8(&o);

		if (type == 0)
			continue;
		uint8_t n = cur_u8(&o);
		if (type == 0xc2 && n == 4)
			return cur_u32(&o);
		cur_take(&o, n);
	}
	return 0;
}

static void read_ipv6(struct frame *f)
{
	struct packet *p = f->p;
	size_t start = at(f);
	struct endpoint from, to;
	struct cur h;
	uint32_t n;

	p->ip = start;
	if (!header(f, 40, &h, "too short for an IPv6 header"))
		return;
	n = cur_u32(&h);
	if (n >> 28 != 6) {
		malformed(f, "IP version", start);
		return;
	}
	n = cur_u16(&h);
	p->protocol = cur_u8(&h);
	cur_take(&h, 1);
	from = endpoint_of(cur_take(&h, 16), 0);
	to = endpoint_of(cur_take(&h, 16), 0);
	if (n == 0 && p->protocol == IP_HOP_BY_HOP)
		n = jumbo(f->c);
	else if (n == 0 && p->protocol == IP_TCP)
		n = f->left;	/* segmented by the card, later */
	if (n > f->left) {
		malformed(f, "IPv6 packet longer than its frame", start + 4);
		return;
	}
	limit(f, n);
	/* Extension headers are IPv6's, whatever the addresses embed. */
	p->from.family = 6;
	read_above(f);
	from.port = p->from.port;
	p->from = from;
	if (p->to.family == 0) {
		to.port = p->to.port;
		p->to = to;
	}
}

static void read_ip(struct frame *f)
{
	if (f->left == 0) {
		malformed(f, "no IP packet", at(f));
		return;
	}
	if (cur_left(&f->c) == 0) {
		f->p->kind = PACKET_CUT;
		return;
	}
	switch (f->c.p[0] >> 4) {
	case 4:
		read_ipv4(f);
		return;
	case 6:
		read_ipv6(f);
		return;
	}
	malformed(f, "IP version", at(f));
}

/* HDLC's address and control may be left out, and the first byte of the
 * protocol if it is 0 (RFC 1661). pppd writes the direction, 0 or 1, in the
 * address's place. */
static void read_ppp(struct frame *f, bool directed)
{
	const char *reason = "too short for a PPP header";
	struct cur h;
	unsigned protocol;

	if (cur_left(&f->c) >= 2 && f->c.p[1] == 0x03 &&
	    (f->c.p[0] == 0xff || (directed && f->c.p[0] <= 1)) &&
	    !header(f, 2, &h, reason))
		return;
	if (!header(f, 1, &h, reason))
		return;
	protocol = cur_u8(&h);
	if (!(protocol & 1)) {
		if (!header(f, 1, &h, reason))
			return;
		protocol = protocol << 8 | cur_u8(&h);
	}
	if (protocol == PPP_IPV4)
		read_ipv4(f);
	else if (protocol == PPP_IPV6)
		read_ipv6(f);
}

static void read_pppoe(struct frame *f)
{
	size_t start = at(f);
	struct cur h;
	uint32_t n;

	if (!header(f, 6, &h, "too short for a PPPoE header"))
		return;
	if (cur_u16(&h) != 0x1100)
		return;		/* another version, or no session data */
	cur_take(&h, 2);
	n = cur_u16(&h);
	if (n > f->left) {
		malformed(f, "PPPoE length", start + 4);
		return;
	}
	limit(f, n);
	read_ppp(f, false);
}

static void read_type(struct frame *f, uint16_t type)
{
	struct cur h;

	while (type == TYPE_VLAN || type == TYPE_QINQ ||
	    type == TYPE_QINQ_OLD || type == TYPE_QINQ_OLDER) {
		if (!header(f, 4, &h, "too short for a VLAN tag"))
			return;
		cur_take(&h, 2);
		type = cur_u16(&h);
	}
	if (type == TYPE_IPV4)
		read_ipv4(f);
	else if (type == TYPE_IPV6)
		read_ipv6(f);
	else if (type == TYPE_PPPOE)
		read_pppoe(f);
}

static void read_ethernet(struct frame *f)
{
	static const uint8_t snap[6] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
	struct cur h;
	uint16_t type;

	if (!header(f, 14, &h, "too short for an Ethernet header"))
		return;
	cur_take(&h, 12);
	type = cur_u16(&h);
	if (type < TYPE_LEAST) {
		if (type > f->left) {
			malformed(f, "802.3 length", at(f) - 2);
			return;
		}
		limit(f, type);
		if (cur_left(&f->c) < 8 || memcmp(f->c.p, snap, 6) != 0 ||
		    !header(f, 8, &h, "too short for a SNAP header"))
			return;
		cur_take(&h, 6);
		type = cur_u16(&h);
	}
	read_type(f, type);
}

/* Cooked Linux captures: the protocol's place differs. */
static void read_cooked(struct frame *f, uint32_t n, size_t where)
{
	struct cur h;

	if (!header(f, n, &h, "too short for a cooked header"))
		return;
	cur_take(&h, where);
	read_type(f, cur_u16(&h));
}

/* The family in the capturing host's byte order, whichever that was; the
 * number of IPv6 is one of four. */
static void read_null(struct frame *f)
{
	struct cur h;
	uint32_t family;

	if (!header(f, 4, &h, "too short for a loopback header"))
		return;
	family = cur_u32(&h);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	if (family == 2)
		read_ipv4(f);
	else if (family == 10 || family == 24 || family == 28 || family == 30)
		read_ipv6(f);
}

void packet_read(uint32_t link, struct span bytes, uint32_t length,
    struct packet *p)
{
	struct frame f = { .c = cur_of(bytes), .start = bytes.p,
	    .left = length, .p = p };

	if (length < bytes.n)
		f.left = (uint32_t)bytes.n;
	*p = (struct packet){ .kind = PACKET_OTHER };
	switch (link) {
	case LINK_ETHERNET:
		read_ethernet(&f);
		break;
	case LINK_SLL:
		read_cooked(&f, 16, 14);
		break;
	case LINK_SLL2:
		read_cooked(&f, 20, 0);
		break;
	case LINK_RAW:
	case LINK_DLT_RAW:
	case LINK_DLT_RAW_OPENBSD:
		read_ip(&f);
		break;
	case LINK_IPV4:
		read_ipv4(&f);
		break;
	case LINK_IPV6:
		read_ipv6(&f);
		break;
	case LINK_NULL:
	case LINK_LOOP:
		read_null(&f);
		break;
	case LINK_PPP:
	case LINK_PPP_HDLC:
	case LINK_PPP_PPPD:
		read_ppp(&f, link == LINK_PPP_PPPD);
		break;
	case LINK_PPP_ETHER:
		read_pppoe(&f);
		break;
	default:
		p->err = (struct wire_error){ "a link type that is not read",
		    0 };
	}
}

void packet_read_transport(struct span bytes, struct packet *p)
{
	struct frame f = { .c = cur_of(bytes), .start = bytes.p,
	    .left = (uint32_t)bytes.n, .p = p };

	p->kind = PACKET_OTHER;
	p->missing = 0;
	read_above(&f);
}
