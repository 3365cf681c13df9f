/*
 * One end of a uTP conversation, told each datagram by hand: proofs of address,
 * acknowledgements, timers, resets, FINs, and numbers that are absurd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/utp.h"

#define S 1000000u

struct lone {
	struct utp u;
	struct utp_memory m;
	uint8_t out[1400];
	struct utp_packet said;	/* what it sent last */
};

static void lone_memory(struct lone *l)
{
	*l = (struct lone){ 0 };
	l->m.nblocks = UTP_BLOCKS(65536);
	l->m.blocks = calloc(l->m.nblocks, sizeof(*l->m.blocks));
	l->m.ring_n = 4096;
	l->m.ring = malloc(l->m.ring_n);
	assert_non_null(l->m.blocks);
	assert_non_null(l->m.ring);
}

static void lone_free(struct lone *l)
{
	free(l->m.blocks);
	free(l->m.ring);
}

static size_t lone_out(struct lone *l, uint64_t now)
{
	struct wire_error err;
	size_t n = utp_output(&l->u, l->out, sizeof(l->out), now);

	if (n)
		assert_int_equal(utp_packet_read(span_of(l->out, n), &l->said,
		    &err), WIRE_OK);
	return n;
}

static void lone_accept(struct lone *l)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	struct utp_packet syn = { .type = UTP_ST_SYN, .conn_id = 700,
	    .seq = 65535, .window = 100000, .stamp_us = 5 };

	lone_memory(l);
	utp_accept(&l->u, &c, &l->m, &syn, 4000, 1000);
	assert_int_equal(l->u.state, UTP_CONNECTING);
	assert_int_equal(l->u.recv_id, 701);
	assert_int_equal(lone_out(l, 1000), 20);
	assert_int_equal(l->said.type, UTP_ST_STATE);
	assert_int_equal(l->said.conn_id, 700);
	assert_int_equal(l->said.seq, 4000);
	assert_int_equal(l->said.ack, 65535);
	assert_int_equal(l->said.diff_us, 995);
	assert_int_equal(lone_out(l, 1000), 0);
}

static enum utp_result lone_in(struct lone *l, enum utp_type type,
    uint16_t seq, uint16_t ack, const char *payload)
{
	struct wire_error err;
	struct utp_packet p = { .type = type, .conn_id = 701, .seq = seq,
	    .ack = ack, .window = 50000, .stamp_us = 9, .close_reason = -1,
	    .payload = span_str(payload) };

	assert_true(utp_takes(&l->u, &p));
	return utp_input(&l->u, &p, 2000, &err);
}

static void unproven(void **state)
{
	struct utp_packet syn = { .type = UTP_ST_SYN, .conn_id = 700,
	    .seq = 65535 };
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	/* Nothing goes to an address that may be forged, but one answer for
	 * each SYN. */
	assert_int_equal(utp_write(&l.u, span_str("hello")), 5);
	assert_int_equal(lone_out(&l, 1100), 0);
	assert_true(utp_takes(&l.u, &syn));
	assert_int_equal(utp_input(&l.u, &syn, 1200, &err), UTP_IGNORED);
	assert_int_equal(lone_out(&l, 1200), 20);
	assert_int_equal(lone_out(&l, 1200), 0);
	syn.seq = 1;
	assert_false(utp_takes(&l.u, &syn));
	/* Guesses. */
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 3998, "x"),
	    UTP_MALFORMED);
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 4000, "x"),
	    UTP_MALFORMED);
	assert_false(utp_proven(&l.u));
	assert_int_equal(utp_read(&l.u).n, 0);
	assert_int_equal(lone_out(&l, 1300), 0);
	/* It knows our number: now we talk. */
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 3999, "abc"), UTP_TAKEN);
	assert_true(utp_proven(&l.u));
	assert_int_equal(l.u.state, UTP_CONNECTED);
	assert_true(span_is(utp_read(&l.u), "abc"));
	assert_int_equal(lone_out(&l, 2000), 25);
	assert_int_equal(l.said.type, UTP_ST_DATA);
	assert_int_equal(l.said.seq, 4000);
	assert_int_equal(l.said.ack, 0);
	/* The third guess ends it. */
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 1, 4001, ""),
	    UTP_MALFORMED);
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	assert_int_equal(lone_out(&l, 2000), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	assert_int_equal(lone_out(&l, 2000), 0);
	assert_true(utp_deadline(&l.u) == UINT64_MAX);
	lone_free(&l);

	/* Without a proof it ends by itself, silently. */
	lone_accept(&l);
	assert_true(utp_deadline(&l.u) == 1000 + 10 * S);
	utp_timeout(&l.u, 1000 + 10 * S);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_int_equal(lone_out(&l, 11 * S), 0);
	lone_free(&l);

	lone_accept(&l);
	for (unsigned i = 0; i < 3; i++)
		lone_in(&l, UTP_ST_DATA, 0, (uint16_t)(5000 + i), "x");
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	assert_int_equal(lone_out(&l, 3000), 0);
	lone_free(&l);
}

static void acknowledgements(void **state)
{
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	for (int i = 0; i < 5; i++) {
		utp_write(&l.u, span_str("12345"));
		assert_int_equal(lone_out(&l, 2000 + (uint64_t)i), 25);
	}
	/* late, fine, beyond, in a selective ack beyond */
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4001, ""), UTP_TAKEN);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4000, ""), UTP_IGNORED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 3999, ""), UTP_IGNORED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4005, ""),
	    UTP_MALFORMED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 3998, ""),
	    UTP_MALFORMED);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 4001, .window = 50000, .close_reason = -1,
	    .sack = span_of("\1\0\0\0", 4) };
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_TAKEN);
	assert_int_equal(l.u.out.under_way, 10);
	p.sack = span_of("\2\0\0\0", 4);	/* 4004: the last sent */
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_TAKEN);
	assert_int_equal(l.u.out.under_way, 5);
	p.sack = span_of("\4\0\0\0", 4);
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_MALFORMED);
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	lone_free(&l);
}

/* Three repeated acks, or packets past the gap, send it again at once. */
static void fast_retransmit(void **state)
{
	static const uint8_t past[3][4] = { { 1 }, { 3 }, { 7 } };
	struct wire_error err;
	struct lone l;

	(void)state;
	for (int selective = 0; selective < 2; selective++) {
		lone_accept(&l);
		lone_in(&l, UTP_ST_STATE, 0, 3999, "");
		for (int i = 0; i < 5; i++) {
			utp_write(&l.u, span_str("12345"));
			assert_int_equal(lone_out(&l, 2000), 25);
		}
		struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
		    .ack = 3999, .window = 50000, .close_reason = -1 };
		for (int i = 0; i < 3; i++) {
			assert_int_equal(lone_out(&l, 2100), 0);
			if (selective)
				p.sack = span_of(past[i], 4);
			assert_int_equal(utp_input(&l.u, &p, 2100, &err),
			    UTP_TAKEN);
		}
		assert_int_equal(lone_out(&l, 2200), 25);
		assert_int_equal(l.said.seq, 4000);
		assert_true(span_is(l.said.payload, "12345"));
		assert_int_equal(lone_out(&l, 2200), 0);
		assert_int_equal(l.u.count.resent, 1);
		lone_free(&l);
	}
}

static void timeouts(void **state)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	uint64_t now = 5 * S, waits[3] = { S, 2 * S, 4 * S };
	struct lone l;

	(void)state;
	/* Nobody answers the SYN. */
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 65535, 65535, now);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lone_out(&l, now), 20);
		assert_int_equal(l.said.type, UTP_ST_SYN);
		assert_int_equal(l.said.conn_id, 65535);
		assert_int_equal(l.said.seq, 65535);
		assert_int_equal(l.said.ack, 0);
		assert_true(utp_packet_plausible(span_of(l.out, 20),
		    &l.said));
		assert_int_equal(lone_out(&l, now), 0);
		assert_true(utp_deadline(&l.u) == now + waits[i]);
		utp_timeout(&l.u, now + waits[i] - 1);
		assert_int_equal(lone_out(&l, now), 0);
		now += waits[i];
		utp_timeout(&l.u, now);
	}
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_int_equal(lone_out(&l, now), 0);
	lone_free(&l);

	/* Silence later on. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2000), 25);
	unsigned sent = 1;
	while (l.u.state != UTP_CLOSED) {
		now = utp_deadline(&l.u);
		utp_timeout(&l.u, now);
		while (lone_out(&l, now))
			sent += l.said.type == UTP_ST_DATA;
	}
	assert_int_equal(sent, 5);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_true(now < 40 * S);
	lone_free(&l);
}

/* Of a packet sent twice nobody knows which copy was acknowledged (Karn). */
static void no_rtt_of_copies(void **state)
{
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2000), 25);
	utp_timeout(&l.u, 2000 + S);
	assert_int_equal(lone_out(&l, 2000 + S), 25);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 4000, .window = 50000, .close_reason = -1 };
	utp_input(&l.u, &p, 2001 + S, &err);
	assert_int_equal(l.u.out.pace.srtt_us, 0);
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2 * S), 25);
	p.ack = 4001;
	utp_input(&l.u, &p, 2 * S + 3000, &err);
	assert_int_equal(l.u.out.pace.srtt_us, 3000);
	lone_free(&l);
}

static void keepalive(void **state)
{
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	assert_true(utp_deadline(&l.u) == 1000 + 29 * S);
	utp_timeout(&l.u, 1000 + 29 * S);
	assert_int_equal(lone_out(&l, 1000 + 29 * S), 20);
	assert_int_equal(l.said.type, UTP_ST_STATE);
	assert_true(utp_deadline(&l.u) == 1000 + 58 * S);
	lone_free(&l);
}

/* A shut window is asked about for as long as somebody answers. */
static void zero_window(void **state)
{
	struct wire_error err;
	struct lone l;
	uint64_t now = 2000;

	(void)state;
	lone_accept(&l);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 3999, .window = 0, .close_reason = -1 };
	utp_input(&l.u, &p, now, &err);
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, now), 0);
	for (int i = 0; i < 20; i++) {
		now = utp_deadline(&l.u);
		assert_true(now <= S * 200);
		utp_timeout(&l.u, now);
		while (lone_out(&l, now))
			;
		utp_input(&l.u, &p, now, &err);
	}
	assert_int_equal(l.u.state, UTP_CONNECTED);
	assert_true(l.u.count.resent > 5);
	p.window = 1000;
	p.ack = 4000;
	utp_input(&l.u, &p, now, &err);
	utp_write(&l.u, span_str("again"));
	assert_int_equal(lone_out(&l, now), 25);
	assert_int_equal(l.said.seq, 4001);
	assert_true(span_is(l.said.payload, "again"));
	lone_free(&l);
}

static void resets(void **state)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	struct wire_error err;
	struct utp_packet p, q;
	uint8_t out[UTP_HEADER];
	struct lone l;

	(void)state;
	/* A SYN refused: by somebody who saw it, and by somebody who did
	 * not. */
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	lone_out(&l, 1);
	assert_int_equal(utp_packet_refuse(out, &l.said, 99, 7), 20);
	assert_int_equal(utp_packet_read(span_of(out, 20), &p, &err), WIRE_OK);
	assert_int_equal(utp_packet_refuse(out, &p, 99, 7), 0);
	q = p;
	q.ack = 400;
	assert_true(utp_takes(&l.u, &q));
	assert_int_equal(utp_input(&l.u, &q, 2, &err), UTP_MALFORMED);
	assert_int_equal(l.u.state, UTP_CONNECTING);
	assert_true(utp_takes(&l.u, &p));
	assert_int_equal(utp_input(&l.u, &p, 2, &err), UTP_TAKEN);
	assert_int_equal(l.u.end, UTP_END_REFUSED);
	assert_string_equal(utp_end_name(l.u.end), "refused");
	assert_int_equal(lone_out(&l, 2), 0);
	lone_free(&l);

	/* Theirs bears either id. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "kept");
	p = (struct utp_packet){ .type = UTP_ST_RESET, .conn_id = 700,
	    .ack = 4000, .close_reason = 77 };
	assert_true(utp_takes(&l.u, &p));
	p.conn_id = 702;
	assert_false(utp_takes(&l.u, &p));
	p.conn_id = 701;
	assert_int_equal(utp_input(&l.u, &p, 3, &err), UTP_TAKEN);
	assert_int_equal(l.u.end, UTP_END_RESET);
	assert_int_equal(l.u.close_reason, 77);
	assert_true(span_is(utp_read(&l.u), "kept"));
	assert_int_equal(utp_write(&l.u, span_str("x")), 0);
	lone_free(&l);

	/* Ours; unsaid before a SYN went out. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "x");
	utp_reset(&l.u);
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	assert_int_equal(l.said.conn_id, 700);
	assert_int_equal(l.said.ack, 0);
	assert_int_equal(lone_out(&l, 3), 0);
	lone_free(&l);
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	utp_close(&l.u, 2);
	assert_int_equal(l.u.end, UTP_END_LOCAL);
	assert_int_equal(lone_out(&l, 3), 0);
	lone_free(&l);
}

static void fins(void **state)
{
	struct lone l;

	(void)state;
	/* Theirs first, out of order. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_FIN, 2, 3999, "");
	lone_in(&l, UTP_ST_DATA, 3, 3999, "beyond");
	assert_false(utp_eof(&l.u));
	lone_in(&l, UTP_ST_DATA, 1, 3999, "b");
	lone_in(&l, UTP_ST_DATA, 0, 3999, "a");
	assert_false(utp_eof(&l.u));
	while (utp_read(&l.u).n)
		utp_consume(&l.u, 1);
	assert_true(utp_eof(&l.u));
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.ack, 2);
	utp_write(&l.u, span_str("bye"));
	utp_close(&l.u, 3);
	assert_int_equal(utp_write(&l.u, span_str("late")), 0);
	assert_int_equal(lone_out(&l, 3), 23);
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.type, UTP_ST_FIN);
	assert_int_equal(l.said.seq, 4001);
	assert_int_equal(l.u.state, UTP_CLOSING);
	lone_in(&l, UTP_ST_STATE, 3, 4001, "");
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_FIN);
	/* their FIN again: our word was lost */
	lone_in(&l, UTP_ST_FIN, 2, 4001, "");
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.ack, 2);
	lone_free(&l);

	/* Ours first, and nothing comes back but data. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "a");
	utp_close(&l.u, 1000);
	assert_int_equal(lone_out(&l, 1000), 20);
	assert_int_equal(l.said.type, UTP_ST_FIN);
	lone_in(&l, UTP_ST_DATA, 1, 4000, "dropped");
	assert_int_equal(lone_out(&l, 2000), 20);
	assert_int_equal(l.said.ack, 1);
	assert_true(span_is(utp_read(&l.u), "a"));
	assert_true(utp_deadline(&l.u) == 2000 + 5 * S);
	utp_timeout(&l.u, 2000 + 5 * S);
	assert_int_equal(l.u.end, UTP_END_LOCAL);
	assert_int_equal(lone_out(&l, 6 * S), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	lone_free(&l);
}

/* Absurd numbers are bounded by what was lent. */
static void absurd(void **state)
{
	struct utp_conf c = { .window = UINT32_MAX, .mtu = 0 };
	struct wire_error err;
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 10, .ack = 20,
	    .window = UINT32_MAX, .stamp_us = UINT32_MAX,
	    .diff_us = UINT32_MAX, .close_reason = -1 };
	struct lone l;

	(void)state;
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	assert_true(l.u.conf.window <= l.m.nblocks * UTP_BLOCK);
	assert_int_equal(l.u.conf.mtu, UTP_MTU_MIN);
	lone_out(&l, 1);
	utp_input(&l.u, &p, 2, &err);
	assert_int_equal(l.u.state, UTP_CONNECTED);
	static uint8_t zeros[8192];
	assert_int_equal(utp_write(&l.u, span_of(zeros, 8192)), 4096);
	size_t sent = 0, n;
	while ((n = lone_out(&l, 3)) != 0) {
		assert_true(n <= UTP_MTU_MIN);
		sent += n;
	}
	assert_true(sent <= 4 * UTP_MTU_MIN);
	for (uint32_t i = 0; i < 200; i++) {
		p.diff_us = i * 0x12345678u;
		p.ack = (uint16_t)(l.u.out.next - 1);
		utp_input(&l.u, &p, 4 + i, &err);
		utp_write(&l.u, span_of(zeros, 4096));
		while (lone_out(&l, 4 + i))
			;
		assert_true(l.u.out.pace.cwnd <= LEDBAT_CWND_MAX);
		assert_true(utpout_underway(&l.u.out) <= UTP_UNDERWAY);
	}
	assert_int_equal(utp_output(&l.u, l.out, UTP_MTU_MIN - 1, 5), 0);
	lone_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unproven),
		cmocka_unit_test(acknowledgements),
		cmocka_unit_test(fast_retransmit),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(no_rtt_of_copies),
		cmocka_unit_test(keepalive),
		cmocka_unit_test(zero_window),
		cmocka_unit_test(resets),
		cmocka_unit_test(fins),
		cmocka_unit_test(absurd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
