/*
 * Hostile datagrams into an end of a uTP conversation, in every state: raw
 * ones, and ones whose numbers are near what the end expects. Whatever comes,
 * its promises hold.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/utp.h"

#include <stdlib.h>

#define WINDOW 20000u
#define MTU 600u

struct fuzz {
	struct utp u;
	struct utp_memory m;
	uint64_t now;
	uint64_t in, out, read, unproven_out, syns;
};

static void keeps_its_word(struct fuzz *f)
{
	const struct utpin *in = &f->u.in;
	const struct utpout *o = &f->u.out;
	uint32_t way = 0, lost = 0, ahead = 0;

	demand(in->used <= in->nblocks && in->fresh <= in->nblocks);
	demand(in->kept <= WINDOW && utpin_window(in) <= WINDOW);
	demand(in->ready <= in->nblocks * UTP_BLOCK);
	for (size_t i = 0; i < UTP_REORDER; i++)
		ahead += in->slot[i] != UINT16_MAX;
	demand(ahead == in->ahead && (ahead != 0 || in->kept == 0));
	demand(utp_read(&f->u).n <= in->ready);
	demand(utp_read(&f->u).n != 0 || in->ready == 0);
	demand(f->read + in->ready + in->kept <= f->in);
	demand(utpout_underway(o) <= UTP_UNDERWAY);
	demand(o->head <= o->cut && o->cut <= o->tail);
	demand(o->tail - o->head <= o->room);
	for (uint16_t seq = o->una; seq != o->next; seq++) {
		const struct utp_sent *e = &o->sent[seq % UTP_UNDERWAY];

		demand(!(e->lost && e->sacked));
		demand(e->offset + e->n <= o->cut);
		lost += e->lost;
		way += e->lost || e->sacked ? 0 : e->n;
	}
	demand(way == o->under_way && lost == o->lost);
	demand(o->pace.cwnd >= o->pace.mss && o->pace.cwnd <= LEDBAT_CWND_MAX);
	demand((f->u.state == UTP_CLOSED) == (f->u.end != UTP_END_NONE));
	demand(f->u.state != UTP_CONNECTED || f->u.proven);
	demand(f->u.strikes < 3 || f->u.state == UTP_CLOSED);
	demand(f->u.proven || (in->ready == 0 && f->read == 0));
	if (f->u.state == UTP_CLOSED)
		demand(utp_deadline(&f->u) == UINT64_MAX);
}

static void send_all(struct fuzz *f)
{
	struct utp_packet p;
	unsigned sent = 0;
	size_t n;

	do {
		uint8_t *out = malloc(MTU);

		demand(out != NULL);
		n = utp_output(&f->u, out, MTU, f->now);
		demand(n <= MTU);
		if (n) {
			demand(utp_packet_plausible(span_of(out, n), &p));
			f->out += n;
			if (f->u.accepted && !f->u.proven)
				f->unproven_out += n;
		}
		free(out);
		demand(sent++ <= 2 * UTP_UNDERWAY + 4);
	} while (n);
	demand(f->unproven_out <= f->syns * UTP_HEADER);
}

static void give(struct fuzz *f, const uint8_t *p, size_t n)
{
	uint8_t *copy = fuzz_copy(p, n), out[UTP_HEADER];
	struct wire_error err = { NULL, 0 };
	struct utp_packet k;
	uint16_t ids[3];

	if (utp_packet_plausible(span_of(copy, n), &k)) {
		demand(utp_packet_ids(&k, ids) <= 3);
		demand(utp_packet_refuse(out, &k, 7, f->now) <= n);
		if (utp_takes(&f->u, &k)) {
			f->in += k.payload.n;
			f->syns += k.type == UTP_ST_SYN;
			if (utp_input(&f->u, &k, f->now, &err) ==
			    UTP_MALFORMED)
				demand(err.reason != NULL);
		}
	}
	free(copy);
}

/* A packet near to what the end expects, from a few bytes. */
static void give_near(struct fuzz *f, struct cur *c)
{
	uint8_t kind = cur_u8(c), ext = cur_u8(c);
	struct span sack = cur_take(c, ext < 128 ? ext % 5u : 0);
	uint8_t buf[UTP_HEADER + 64 + 1500];
	struct utp_packet p = { .type = (enum utp_type)(kind % 5),
	    .conn_id = f->u.recv_id, .stamp_us = (uint32_t)f->now - 7,
	    .diff_us = cur_u16(c) * 1000u, .window = cur_u16(c) * 16u,
	    .seq = (uint16_t)(f->u.in.ack + 1 + (int8_t)cur_u8(c) *
		(kind & 0x80 ? 17 : 1)),
	    .ack = (uint16_t)(f->u.out.next - 1 + (int8_t)cur_u8(c) / 8),
	    .sack = sack };

	if (p.type == UTP_ST_SYN) {
		p.conn_id = f->u.send_id;
		p.seq = f->u.syn;
		p.ack = 0;
		p.diff_us = 0;
		p.sack.n = 0;
	}
	size_t n = utp_packet_put(buf, sizeof(buf), &p);
	size_t payload = p.type == UTP_ST_DATA || p.type == UTP_ST_FIN ?
	    (size_t)cur_u8(c) * 6 : 0;
	memset(buf + n, 'x', payload);
	give(f, buf, n + payload);
}

static void turn(struct fuzz *f, struct cur *c)
{
	static const uint8_t zeros[2000];
	uint8_t op = cur_u8(c);
	struct span s;

	switch (op % 8) {
	case 0:
		s = cur_take(c, cur_u8(c));
		give(f, s.p, s.n);
		break;
	case 1:
	case 2:
	case 3:
		give_near(f, c);
		break;
	case 4:
		demand(utp_write(&f->u, span_of(zeros, op * 7u)) <= op * 7u);
		break;
	case 5:
		s = utp_read(&f->u);
		size_t n = s.n < op * 8u ? s.n : op * 8u;
		f->read += n;
		utp_consume(&f->u, n);
		break;
	case 6:
		if (op & 0x80 && utp_deadline(&f->u) != UINT64_MAX &&
		    f->now < utp_deadline(&f->u))
			f->now = utp_deadline(&f->u);
		f->now += op * 100u;
		utp_timeout(&f->u, f->now);
		break;
	case 7:
		if (op == 0xff)
			utp_reset(&f->u);
		else if (op >= 0xe7)
			utp_close(&f->u, f->now);
		break;
	}
	keeps_its_word(f);
	if (op & 0x40)
		send_all(f);
	keeps_its_word(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_of(span_of(data, n));
	struct utp_conf conf = UTP_CONF_DEFAULT;
	struct fuzz *f = calloc(1, sizeof(*f));
	uint8_t how = cur_u8(&c);

	demand(f != NULL);
	conf.window = WINDOW;
	conf.mtu = MTU;
	f->now = 1000;
	f->m.nblocks = (uint16_t)(4 + how / 8);
	f->m.blocks = malloc(f->m.nblocks * sizeof(*f->m.blocks));
	f->m.ring_n = 1 + how * 40u;
	f->m.ring = malloc(f->m.ring_n);
	demand(f->m.blocks && f->m.ring);
	struct utp_packet syn = { .type = UTP_ST_SYN, .seq = cur_u16(&c),
	    .conn_id = 5, .window = 100000 };
	uint16_t seq = cur_u16(&c);
	if (how & 1) {
		utp_accept(&f->u, &conf, &f->m, &syn, seq, f->now);
		f->syns = 1;
	} else {
		utp_connect(&f->u, &conf, &f->m, 9, seq, f->now);
	}
	if (how & 2)
		send_all(f);
	if (how & 4) {	/* straight to connected */
		uint8_t buf[UTP_HEADER];
		struct utp_packet p = { .type = UTP_ST_STATE,
		    .conn_id = f->u.recv_id, .seq = syn.seq,
		    .ack = (uint16_t)(f->u.out.next - 1), .window = 50000 };

		utp_packet_put(buf, sizeof(buf), &p);
		give(f, buf, sizeof(buf));
	}
	while (!c.bad && cur_left(&c))
		turn(f, &c);
	free(f->m.blocks);
	free(f->m.ring);
	free(f);
	return 0;
}
