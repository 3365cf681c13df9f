/*
 * uTP datagrams (BEP 29): what each says, cut anywhere, and written again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "wire/utppacket.h"

/* 20 bytes: type and version, first extension, conn id 0x1234, stamp 1, diff
 * 2, window 0xf000, seq 0xfffe, ack 0x0102. */
#define HEAD(type_ver, ext) type_ver ext "\x12\x34\0\0\0\1\0\0\0\2\0\0\xf0\0" \
	"\xff\xfe\1\2"

static const struct {
	const char *name;
	const char *in;
	size_t n;
	const char *want;
	bool plausible;
} packets[] = {
	{ "data", B(HEAD("\x01", "\0") "abc"), "data +3", true },
	{ "fin", B(HEAD("\x11", "\0")), "fin", true },
	{ "state", B(HEAD("\x21", "\0")), "state", true },
	{ "reset", B(HEAD("\x31", "\0")), "reset", true },
	{ "state with bytes behind", B(HEAD("\x21", "\0") "x"), "state +1",
	    false },
	{ "version 2", B(HEAD("\x02", "\0")), "0 unknown uTP version", false },
	{ "type 5", B(HEAD("\x51", "\0")), "0 unknown uTP type", false },
	{ "selective ack", B(HEAD("\x21", "\1") "\0\4\1\2\3\4"),
	    "state sack 4", true },
	{ "selective ack of 8", B(HEAD("\x01", "\1") "\0\10" "abcdefgh" "z"),
	    "data sack 8 +1", true },
	{ "selective ack of nothing", B(HEAD("\x21", "\1") "\0\0"),
	    "state", true },
	{ "libtorrent's selective ack", B(HEAD("\x01", "\1") "\0\3" "abc"
	    "d"), "data sack 3 +1", true },
	{ "unknown extension", B(HEAD("\x21", "\2") "\0\10" "abcdefgh"),
	    "state unknown 1", true },
	{ "unknown, then selective ack",
	    B(HEAD("\x01", "\2") "\1\2" "ab" "\0\4" "cdef" "!"),
	    "data sack 4 unknown 1 +1", true },
	{ "unknown of nothing", B(HEAD("\x01", "\377") "\0\0" "!"),
	    "data unknown 1 +1", true },
	{ "close reason", B(HEAD("\x11", "\3") "\0\4\0\0\1\2"),
	    "fin reason 258", true },
	{ "close reason too long", B(HEAD("\x31", "\3") "\0\5\0\0\1\2\3"),
	    "reset unknown 1", true },
	{ "two selective acks: the first",
	    B(HEAD("\x21", "\1") "\1\4" "abcd" "\0\10" "efghijkl"),
	    "state sack 4", true },
	{ "chain without end", B(HEAD("\x21", "\2") "\2\0\2\0\2\0"),
	    "26 extension past the end", false },
	{ "extension longer than the packet", B(HEAD("\x21", "\2") "\0\5" "abcd"),
	    "20 extension past the end", false },
	{ "syn that answers", B(HEAD("\x41", "\0")), "syn", false },
	{ "syn", B("\x41\0\x02\x10\xee\xb2\xf0\0\0\0\0\0\0\0\0\0\xe7\xf5\0\0"),
	    "syn", true },
	{ "syn with the extension bits", B("\x41\2\x02\x10\xee\xb2\xf0\0\0\0\0\0"
	    "\0\0\0\0\xe7\xf5\0\0" "\0\10\0\0\0\0\0\0\0\0"), "syn unknown 1",
	    true },
	{ "a DNS query", B("\x41\0\1\0\0\1\0\0\0\0\0\0" "\1a\0" "\0\1\0\1"),
	    "19 shorter than a uTP header", false },
	{ "a DNS query of 20 bytes",
	    B("\x41\0\1\0\0\1\0\0\0\0\0\0" "\2aa\0" "\0\1\0\1"), "syn", false },
	{ "a DHT ping", B("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa"
	    "1:y1:qe"), "0 unknown uTP version", false },
	{ "a tracker's answer", B("\0\0\0\0\1\2\3\4\1\2\3\4\1\2\3\4\0\0\0\0"),
	    "0 unknown uTP version", false },
};

static const char *const type_names[] = {
#define X(name, text, type) [type] = (text),
	UTP_TYPES(X)
#undef X
};

static void say(char *buf, size_t n, enum wire_status st,
    const struct utp_packet *p, const struct wire_error *err)
{
	if (st != WIRE_OK) {
		snprintf(buf, n, "%zu %s", err->offset, err->reason);
		return;
	}
	int at = snprintf(buf, n, "%s", type_names[p->type]);
	if (p->sack.n)
		at += snprintf(buf + at, n - (size_t)at, " sack %zu",
		    p->sack.n);
	if (p->unknown)
		at += snprintf(buf + at, n - (size_t)at, " unknown %u",
		    p->unknown);
	if (p->close_reason >= 0)
		at += snprintf(buf + at, n - (size_t)at, " reason %d",
		    (int)p->close_reason);
	if (p->payload.n)
		snprintf(buf + at, n - (size_t)at, " +%zu", p->payload.n);
}

static void codec(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		size_t n = packets[i].n;

		for (size_t cut = 0; cut <= n; cut++) {
			struct span in = exact(packets[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct utp_packet k;
			char buf[128];
			enum wire_status st = utp_packet_read(in, &k, &err);

			say(buf, sizeof(buf), st, &k, &err);
			if (cut == n && strcmp(buf, packets[i].want) != 0)
				fail_msg("%s: %s", packets[i].name, buf);
			if (cut < UTP_HEADER)
				assert_int_equal(st, WIRE_BAD);
			if (st == WIRE_BAD)
				assert_true(err.reason && err.offset <= cut);
			bool ok = utp_packet_plausible(in, &k);
			if (cut == n && ok != packets[i].plausible)
				fail_msg("%s: plausible %d", packets[i].name,
				    ok);
			assert_true(!ok || st == WIRE_OK);
			unexact(in);
		}
	}
}

static void codec_fields(void **state)
{
	struct wire_error err;
	struct utp_packet p, q;
	uint8_t out[UTP_HEADER + 2 + 8];

	(void)state;
	assert_int_equal(utp_packet_read(span_of(HEAD("\x01", "\0"), 20), &p,
	    &err), WIRE_OK);
	assert_int_equal(p.conn_id, 0x1234);
	assert_int_equal(p.stamp_us, 1);
	assert_int_equal(p.diff_us, 2);
	assert_int_equal(p.window, 0xf000);
	assert_int_equal(p.seq, 0xfffe);
	assert_int_equal(p.ack, 0x0102);
	for (size_t n = 0; n <= 8; n += 4) {
		p.sack = span_of("abcdefgh", n);
		size_t want = 20 + (n ? 2 + n : 0);
		for (size_t room = 0; room < want; room++)
			assert_int_equal(utp_packet_put(out, room, &p), 0);
		assert_int_equal(utp_packet_put(out, want, &p), want);
		assert_int_equal(utp_packet_read(span_of(out, want), &q, &err),
		    WIRE_OK);
		assert_true(span_eq(q.sack, p.sack));
		assert_int_equal(q.seq, 0xfffe);
		assert_int_equal(q.payload.n, 0);
	}
}

static void ids(void **state)
{
	struct utp_packet p = { .type = UTP_ST_DATA, .conn_id = 0xffff };
	uint16_t id[3];

	(void)state;
	assert_int_equal(utp_packet_ids(&p, id), 1);
	assert_int_equal(id[0], 0xffff);
	p.type = UTP_ST_SYN;
	assert_int_equal(utp_packet_ids(&p, id), 1);
	assert_int_equal(id[0], 0);
	p.type = UTP_ST_RESET;
	assert_int_equal(utp_packet_ids(&p, id), 3);
	assert_int_equal(id[1], 0xfffe);
	assert_int_equal(id[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec),
		cmocka_unit_test(codec_fields),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
