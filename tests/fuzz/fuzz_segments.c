/*
 * Hostile segments and uTP packets near what a conversation expects. Every
 * byte of TCP's says its sequence number, every payload of uTP's its seq_nr:
 * what is told must be in order, and every gap of the size it is said to be.
 */
#include "capture/flow.h"

#include "tests/fuzz/fuzz.h"
#include "tests/packet_kit.h"
#include "wire/utppacket.h"

#define FLOWS 256u

struct told {
	bool live, begun[2];
	enum flow_transport transport;
	uint8_t next[2];	/* the byte that is due */
};

struct fuzz {
	struct told flow[FLOWS];
	unsigned flows;
	uint32_t near[2];	/* numbers to be near to */
};

static void *on_open(void *ctx, const struct flow_open *o)
{
	struct fuzz *f = ctx;
	struct told *t = &f->flow[f->flows % FLOWS];

	if (f->flows++ >= FLOWS)
		return FLOW_UNWANTED;
	*t = (struct told){ .live = true, .transport = o->transport };
	return t;
}

static bool on_bytes(void *ctx, void *flow, unsigned side, struct span s,
    struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	demand(t->live && s.n != 0);
	if (!t->begun[side])
		t->next[side] = s.p[0];
	t->begun[side] = true;
	for (size_t i = 0; i < s.n; i++)
		demand(s.p[i] == (uint8_t)(t->next[side] +
		    (t->transport == FLOW_TCP ? i : 0)));
	t->next[side] += (uint8_t)(t->transport == FLOW_TCP ? s.n : 1);
	return true;
}

static void on_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	demand(t->live && (n != 0 || packets != 0));
	t->next[side] += (uint8_t)(t->transport == FLOW_TCP ? n : packets);
}

static void on_differs(void *ctx, void *flow, unsigned side, uint64_t offset,
    uint64_t n, struct flow_at at)
{
	(void)ctx;
	(void)flow;
	(void)side;
	(void)offset;
	(void)n;
	(void)at;
	abort();
}

static void on_closed(void *ctx, void *flow, enum flow_end end, unsigned by,
    struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	demand(t->live && by < 2 && flow_end_text(end) != NULL);
	t->live = false;
}

static void on_datagram(void *ctx, const struct endpoint *from,
    const struct endpoint *to, struct span s, uint32_t missing,
    struct flow_at at)
{
	(void)ctx;
	(void)from;
	(void)to;
	(void)s;
	(void)missing;
	(void)at;
	abort();	/* all we make is TCP or of uTP's shape */
}

static struct bytes tcp_near(struct fuzz *f, uint8_t op, struct cur *c)
{
	static const unsigned flags[8] = { PACKET_ACK, PACKET_ACK, PACKET_ACK,
	    PACKET_SYN, PACKET_SYN | PACKET_ACK, PACKET_FIN | PACKET_ACK,
	    PACKET_RST, PACKET_ACK };
	unsigned side = op & 1, fl = flags[op >> 1 & 7];
	uint8_t data[256];
	int8_t ahead = (int8_t)cur_u8(c), acks = (int8_t)cur_u8(c);
	size_t n = cur_u8(c) % 64;
	uint32_t seq = f->near[side] + (uint32_t)(ahead / 8 *
	    (op & 0x40 ? 97 : 1));

	if (fl & (PACKET_SYN | PACKET_RST))
		n = 0;
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(seq + i);
	if (op & 0x80)
		f->near[side] = seq + (uint32_t)n + (fl & PACKET_SYN ? 1 : 0);
	return tcp_packet(4, 1 + side, 11 + side, 2 - side, 12 - side, seq,
	    f->near[!side] + (uint32_t)(acks / 4), fl, span_of(data, n));
}

static struct bytes utp_near(struct fuzz *f, uint8_t op, struct cur *c)
{
	static const enum utp_type types[8] = { UTP_ST_DATA, UTP_ST_DATA,
	    UTP_ST_DATA, UTP_ST_STATE, UTP_ST_STATE, UTP_ST_SYN, UTP_ST_FIN,
	    UTP_ST_RESET };
	unsigned side = op & 1;
	int8_t ahead = (int8_t)cur_u8(c), acks = (int8_t)cur_u8(c);
	uint8_t d[256], id = cur_u8(c);
	struct utp_packet p = { .type = types[op >> 1 & 7], .diff_us = 1,
	    .conn_id = (uint16_t)(7 + (side == (id >> 1 & 1)) + (id >> 6)),
	    .seq = (uint16_t)(f->near[side] + (uint32_t)(ahead / 16)),
	    .ack = (uint16_t)(f->near[!side] - 1 + (uint32_t)(acks / 16)) };
	size_t n;

	if (p.type == UTP_ST_SYN) {
		p.ack = 0;
		p.diff_us = 0;
		p.conn_id = (uint16_t)(7 + (id >> 6));
	}
	n = utp_packet_put(d, sizeof(d), &p);
	if (p.type == UTP_ST_DATA)
		for (size_t i = 0; i < 1 + id % 32u; i++)
			d[n++] = (uint8_t)p.seq;
	if (op & 0x80)
		f->near[side] = p.seq + (p.type != UTP_ST_STATE ? 1u : 0);
	return udp_packet(6, 1 + side, 11 + side, 2 - side, 12 - side,
	    span_of(d, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct flow_sink sink = { f, on_open, on_bytes, on_gap, on_differs,
	    on_closed, on_datagram, NULL, NULL, false };
	struct flows *flows = flows_new(&sink);
	struct source_packet s = { .link = LINK_RAW, .stamped = true,
	    .utc_ns = 1 };
	struct cur c = cur_of(span_of(data, n));

	demand(f != NULL && flows != NULL);
	f->near[0] = cur_u8(&c) * 0x01fffff7u;
	f->near[1] = cur_u8(&c) * 0x01fffff7u;
	while (cur_left(&c) >= 4) {
		uint8_t op = cur_u8(&c);
		struct bytes b = op & 0x20 ? utp_near(f, op, &c) :
		    tcp_near(f, op, &c);
		uint8_t *copy = malloc(b.n);

		demand(copy != NULL);
		memcpy(copy, b.b, b.n);
		s.bytes = span_of(copy, b.n);
		s.length = (uint32_t)b.n;
		s.frame++;
		s.utc_ns += op & 0x10 ? 4000000 : 1000;
		flows_packet(flows, &s);
		free(copy);
		demand(flows_memory(flows) <= FLOW_MEMORY);
	}
	flows_finish(flows);
	for (unsigned i = 0; i < FLOWS; i++)
		demand(!f->flow[i].live);
	flows_free(flows);
	free(f);
	return 0;
}
