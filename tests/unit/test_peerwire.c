#include "wire/peerwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define B(s) s, sizeof(s) - 1
#define ROOT "0123456789abcdef0123456789abcdef"

/* What one frame says, as a line. */
static void say(char *buf, size_t n, enum wire_status st,
    const struct pw_msg *m, const struct wire_error *err)
{
	if (st == WIRE_MORE) {
		snprintf(buf, n, "more");
		return;
	}
	if (st == WIRE_BAD) {
		snprintf(buf, n, "%s at %zu: %s", m->lost ? "lost" : "bad",
		    err->offset, err->reason);
		return;
	}
	int at = snprintf(buf, n, "%s", pw_name(m->id));
	switch (m->id) {
	case PW_UNKNOWN:
		at += snprintf(buf + at, n - (size_t)at, " %u", m->wire_id);
		break;
	case PW_PORT:
		at += snprintf(buf + at, n - (size_t)at, " %u", m->port);
		break;
	case PW_EXTENDED:
		at += snprintf(buf + at, n - (size_t)at, " %u", m->ext_id);
		break;
	case PW_HAVE:
	case PW_SUGGEST:
	case PW_ALLOWED_FAST:
		at += snprintf(buf + at, n - (size_t)at, " %u", m->index);
		break;
	case PW_REQUEST:
	case PW_CANCEL:
	case PW_REJECT:
	case PW_PIECE:
		at += snprintf(buf + at, n - (size_t)at, " %u %u %u", m->index,
		    m->begin, m->bytes);
		break;
	case PW_HASH_REQUEST:
	case PW_HASHES:
	case PW_HASH_REJECT:
		at += snprintf(buf + at, n - (size_t)at, " %.*s %u %u %u %u",
		    (int)m->root.n, (const char *)m->root.p, m->base, m->at,
		    m->count, m->proofs);
		break;
	default:
		break;
	}
	if (m->payload.n)
		snprintf(buf + at, n - (size_t)at, " +%zu", m->payload.n);
}

static const struct {
	const char *name;
	const char *in;
	size_t n;
	size_t decides;		/* bytes from which it is known */
	size_t takes;
	const char *want;
} frames[] = {
	{ "keepalive", B("\0\0\0\0"), 4, 4, "keepalive" },
	{ "choke", B("\0\0\0\1\0"), 5, 5, "choke" },
	{ "unchoke", B("\0\0\0\1\1"), 5, 5, "unchoke" },
	{ "interested", B("\0\0\0\1\2"), 5, 5, "interested" },
	{ "not interested", B("\0\0\0\1\3"), 5, 5, "not_interested" },
	{ "have", B("\0\0\0\5\4\0\1\2\3"), 9, 9, "have 66051" },
	{ "then more", B("\0\0\0\5\4\0\0\0\7\0\0"), 9, 9, "have 7" },
	{ "have too short", B("\0\0\0\4\4\0\0\0"), 8, 8,
	    "bad at 0: length does not fit the message" },
	{ "have too long", B("\0\0\0\6\4\0\0\0\0\0\0\0\1\0"), 10, 10,
	    "bad at 0: length does not fit the message" },
	{ "choke too long", B("\0\0\0\2\0\0"), 6, 6,
	    "bad at 0: length does not fit the message" },
	{ "bitfield", B("\0\0\0\3\5\xff\x80"), 7, 7, "bitfield +2" },
	{ "bitfield of nothing", B("\0\0\0\1\5"), 5, 5, "bitfield" },
	{ "request", B("\0\0\0\15\6\0\0\0\1\0\0\100\0\0\0\100\0"), 17, 17,
	    "request 1 16384 16384" },
	{ "piece head", B("\0\0\0\14\7\0\0\0\1\0\0\0\2abc"), 13, 13,
	    "piece 1 2 3" },
	{ "piece of nothing", B("\0\0\0\11\7\0\0\0\1\0\0\0\2"), 13, 13,
	    "piece 1 2 0" },
	{ "piece too short", B("\0\0\0\10\7\0\0\0\1\0\0\0"), 12, 12,
	    "bad at 0: length does not fit the message" },
	{ "piece of the most", B("\0\2\0\11\7\0\0\0\1\0\0\0\2"), 13, 13,
	    "piece 1 2 131072" },
	{ "piece of one more", B("\0\2\0\12\7\0\0\0\1\0\0\0\2"), 4, 4,
	    "lost at 0: frame longer than its bound" },
	{ "cancel", B("\0\0\0\15\10\0\0\0\1\0\0\0\2\0\0\0\3"), 17, 17,
	    "cancel 1 2 3" },
	{ "port", B("\0\0\0\3\11\x1a\xe1"), 7, 7, "port 6881" },
	{ "suggest", B("\0\0\0\5\15\0\0\0\1"), 9, 9, "suggest 1" },
	{ "have all", B("\0\0\0\1\16"), 5, 5, "have_all" },
	{ "have none", B("\0\0\0\1\17"), 5, 5, "have_none" },
	{ "reject", B("\0\0\0\15\20\0\0\0\1\0\0\0\2\0\0\0\3"), 17, 17,
	    "reject 1 2 3" },
	{ "allowed fast", B("\0\0\0\5\21\xff\xff\xff\xff"), 9, 9,
	    "allowed_fast 4294967295" },
	{ "extended", B("\0\0\0\4\24\3de"), 8, 8, "extended 3 +2" },
	{ "extended, empty", B("\0\0\0\2\24\3"), 6, 6, "extended 3" },
	{ "extended without id", B("\0\0\0\1\24"), 5, 5,
	    "bad at 0: length does not fit the message" },
	{ "hash request", B("\0\0\0\61\25" ROOT
	    "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"), 53, 53,
	    "hash_request " ROOT " 1 2 3 4" },
	{ "hashes", B("\0\0\0\121\26" ROOT
	    "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4" ROOT), 85, 85,
	    "hashes " ROOT " 1 2 3 4 +32" },
	{ "hashes in part", B("\0\0\0\63\26" ROOT
	    "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4xy"), 55, 55,
	    "bad at 53: hashes are not whole" },
	{ "hash reject", B("\0\0\0\61\27" ROOT
	    "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"), 53, 53,
	    "hash_reject " ROOT " 1 2 3 4" },
	{ "a number nobody uses", B("\0\0\0\3\12xy"), 7, 7, "unknown 10 +2" },
	{ "another", B("\0\0\0\1\377"), 5, 5, "unknown 255" },
	{ "absurd length", B("\xff\xff\xff\xff\7"), 4, 4,
	    "lost at 0: frame longer than its bound" },
	/* within what a piece may be: the id must be seen first */
	{ "bitfield of 64 KiB", B("\0\1\0\0\5\0\0\0"), 5, 5,
	    "lost at 0: frame longer than its bound" },
	{ "unknown of 64 KiB", B("\0\1\0\0\63\0\0\0"), 5, 5,
	    "lost at 0: frame longer than its bound" },
	{ "one beyond the bound", B("\0\0\177\375\5"), 5, 5,
	    "lost at 0: frame longer than its bound" }
};

static void frames_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		for (size_t cut = 0; cut <= frames[i].n; cut++) {
			uint8_t *in = malloc(cut ? cut : 1);
			struct wire_error err = { NULL, 0 };
			struct pw_msg m;
			char got[128];

			assert_non_null(in);
			memcpy(in, frames[i].in, cut);
			struct cur c = cur_of(span_of(in, cut));
			say(got, sizeof(got), pw_next(&c, 32768, &m, &err),
			    &m, &err);
			const char *want = cut < frames[i].decides ? "more" :
			    frames[i].want;
			if (strcmp(got, want) != 0)
				fail_msg("%s at %zu: %s", frames[i].name, cut,
				    got);
			assert_int_equal(c.p - in, cut < frames[i].decides ?
			    0 : frames[i].takes);
			free(in);
		}
	}
}

/* The bound counts the length prefix, and waits for what is within it. */
static void frame_bound(void **state)
{
	uint8_t in[9] = { 0, 0, 0, 5, PW_BITFIELD, 1, 2, 3, 4 };
	struct wire_error err;
	struct pw_msg m;
	struct cur c = cur_of(span_of(in, 9));

	(void)state;
	assert_int_equal(pw_next(&c, 9, &m, &err), WIRE_OK);
	c = cur_of(span_of(in, 9));
	assert_int_equal(pw_next(&c, 8, &m, &err), WIRE_BAD);
	assert_true(m.lost);
	in[2] = 0x7f;
	in[3] = 0xfc;	/* 32768 with its prefix */
	c = cur_of(span_of(in, 9));
	assert_int_equal(pw_next(&c, 32768, &m, &err), WIRE_MORE);
	/* a piece longer than a block may be, where others could be */
	put_u32(in, 9 + PW_BLOCK_MAX + 1);
	in[4] = PW_PIECE;
	c = cur_of(span_of(in, 9));
	assert_int_equal(pw_next(&c, 1 << 20, &m, &err), WIRE_BAD);
	assert_true(m.lost);
}

/* Every kind of the table, at its least and one below, and one above most. */
static void table_limits(void **state)
{
	static const struct {
		const char *text;
		uint8_t id;
		uint32_t least, most;
	} all[] = {
#define X(name, text, id, least, most) { text, id, least, most },
		PW_MESSAGES(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint8_t in[64] = { 0 };
		struct wire_error err;
		struct pw_msg m;
		struct cur c;

		assert_string_equal(pw_name((enum pw_id)all[i].id),
		    all[i].text);
		in[4] = all[i].id;
		in[3] = (uint8_t)(all[i].least + 1);
		c = cur_of(span_of(in, 5 + all[i].least));
		assert_int_equal(pw_next(&c, 32768, &m, &err), WIRE_OK);
		assert_int_equal(m.id, all[i].id);
		assert_int_equal(cur_left(&c), 0);
		if (all[i].least > 0) {
			in[3] = (uint8_t)all[i].least;
			c = cur_of(span_of(in, 4 + all[i].least));
			assert_int_equal(pw_next(&c, 32768, &m, &err),
			    WIRE_BAD);
			assert_false(m.lost);
			assert_int_equal(cur_left(&c), 0);
		}
		if (all[i].most < 50) {
			in[3] = (uint8_t)(all[i].most + 2);
			c = cur_of(span_of(in, 6 + all[i].most));
			assert_int_equal(pw_next(&c, 32768, &m, &err),
			    WIRE_BAD);
			assert_false(m.lost);
		}
	}
	assert_string_equal(pw_name(PW_KEEPALIVE), "keepalive");
	assert_string_equal(pw_name(PW_UNKNOWN), "unknown");
	assert_string_equal(pw_name((enum pw_id)10), "unknown");
	assert_string_equal(pw_name((enum pw_id)24), "unknown");
}

static void writers_read_back(void **state)
{
	static const uint8_t pay[3] = "abc";
	uint8_t out[PW_SMALL_MAX];
	struct wire_error err;
	struct pw_msg m;
	struct cur c;
	char got[64];

	(void)state;
#define BACK(put, want) do { \
	c = cur_of(span_of(out, (put))); \
	assert_int_equal(pw_next(&c, 32768, &m, &err), WIRE_OK); \
	assert_int_equal(cur_left(&c), 0); \
	say(got, sizeof(got), WIRE_OK, &m, &err); \
	assert_string_equal(got, want); \
} while (0)
	BACK(pw_put_keepalive(out), "keepalive");
	BACK(pw_put_empty(out, PW_CHOKE), "choke");
	BACK(pw_put_empty(out, PW_UNCHOKE), "unchoke");
	BACK(pw_put_empty(out, PW_INTERESTED), "interested");
	BACK(pw_put_empty(out, PW_NOT_INTERESTED), "not_interested");
	BACK(pw_put_empty(out, PW_HAVE_NONE), "have_none");
	BACK(pw_put_request(out, 1, 2, 3), "request 1 2 3");
	BACK(pw_put_cancel(out, 1, 2, 3), "cancel 1 2 3");
	BACK(pw_put_reject(out, 1, 2, 3), "reject 1 2 3");
	BACK(pw_put_extended(out, sizeof(out), 9, span_of(pay, 3)),
	    "extended 9 +3");
	assert_memory_equal(m.payload.p, pay, 3);
	assert_int_equal(pw_put_extended(out, 8, 9, span_of(pay, 3)), 0);
	assert_int_equal(pw_put_extended(out, 9, 9, span_of(pay, 3)), 9);
	assert_int_equal(pw_put_extended(out, 5, 9, span_of(NULL, 0)), 0);
	/* an observer gives nothing */
	for (int id = 0; id <= PW_UNKNOWN; id++)
		if (id > PW_NOT_INTERESTED && id != PW_HAVE_NONE)
			assert_int_equal(pw_put_empty(out, (enum pw_id)id), 0);
}

static void handshakes(void **state)
{
	struct pw_handshake h = { .reserved = { 0, 0, 0, 0, 0, 16, 0, 5 },
		.infohash = "01234567890123456789",
		.peer_id = "-SW0100-abcdefghijkl" }, back;
	uint8_t wire[PW_HANDSHAKE];
	struct wire_error err;

	(void)state;
	pw_handshake_put(wire, &h);
	for (size_t cut = 0; cut <= PW_HANDSHAKE; cut++) {
		uint8_t *in = malloc(cut ? cut : 1);

		assert_non_null(in);
		memcpy(in, wire, cut);
		struct cur c = cur_of(span_of(in, cut));
		assert_int_equal(pw_handshake_next(&c, &back, &err),
		    cut < PW_HANDSHAKE ? WIRE_MORE : WIRE_OK);
		assert_int_equal(c.p - in, cut < PW_HANDSHAKE ? 0 : cut);
		free(in);
	}
	assert_memory_equal(&back, &h, sizeof(h));
	assert_true(PW_HAS_EXT(back.reserved) && PW_HAS_FAST(back.reserved));
	assert_true(PW_HAS_DHT(back.reserved) && !PW_HAS_V2(back.reserved));

	/* the first wrong byte decides, as soon as it is there */
	for (size_t wrong = 0; wrong < 20; wrong++) {
		wire[wrong] ^= 0x20;
		for (size_t cut = 0; cut <= PW_HANDSHAKE; cut++) {
			struct cur c = cur_of(span_of(wire, cut));
			enum wire_status st = pw_handshake_next(&c, &back,
			    &err);

			assert_int_equal(st, cut <= wrong ? WIRE_MORE :
			    WIRE_BAD);
			if (st == WIRE_BAD)
				assert_int_equal(err.offset, wrong);
		}
		wire[wrong] ^= 0x20;
	}
}

static const struct {
	const char *in;
	const char *want;	/* NULL: refused */
	size_t at;		/* refused: where */
} dicts[] = {
	{ "de", "m0 v y0 -1 -1 -1 -1 -1", 0 },
	{ "d1:ei1e1:md6:ut_pexi1ee13:metadata_sizei99e1:pi6881e4:reqqi500e"
	  "11:upload_onlyi1e1:v5:cl 1x6:yourip4:abcde",
	  "m11 v=cl 1x y4 6881 500 1 1 99", 0 },
	{ "d6:yourip16:0123456789abcdefe", "m0 v y16 -1 -1 -1 -1 -1", 0 },
	{ "d6:yourip3:abce", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "d1:pi-1ee", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "d1:p4:6881e", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "d1:pi1e1:pi2ee", "m0 v y0 1 -1 -1 -1 -1 odd", 0 },
	{ "d1:mlee", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "d1:v1:a1:mdee", "m0 v=a y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "dexyz", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "d5:otherle4:morei1ee", "m0 v y0 -1 -1 -1 -1 -1 odd", 0 },
	{ "", NULL, 0 },
	{ "d", NULL, 1 },
	{ "d1:md", NULL, 5 },
	{ "i1e", NULL, 0 },
	{ "le", NULL, 0 },
	{ "d1:mxe", NULL, 4 }
};

static void extended_dicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dicts) / sizeof(dicts[0]); i++) {
		size_t n = strlen(dicts[i].in);
		uint8_t *in = malloc(n ? n : 1);
		struct wire_error err = { NULL, 99 };
		struct pw_extended x;
		enum wire_status st;
		char got[128];

		assert_non_null(in);
		memcpy(in, dicts[i].in, n);
		st = pw_extended_read(span_of(in, n), &x, &err);
		if (!dicts[i].want) {
			assert_int_equal(st, WIRE_BAD);
			assert_non_null(err.reason);
			assert_int_equal(err.offset, dicts[i].at);
			free(in);
			continue;
		}
		assert_int_equal(st, WIRE_OK);
		snprintf(got, sizeof(got),
		    "m%zu v%s%.*s y%zu %lld %lld %lld %lld %lld%s", x.m.n,
		    x.v.p ? "=" : "", (int)x.v.n, x.v.p ?
		    (const char *)x.v.p : "", x.yourip.n, (long long)x.p,
		    (long long)x.reqq, (long long)x.upload_only,
		    (long long)x.e, (long long)x.metadata_size,
		    x.odd ? " odd" : "");
		assert_string_equal(got, dicts[i].want);
		free(in);
	}
}

/* Cut anywhere, an extended handshake is refused and nothing is read past. */
static void extended_dict_cuts(void **state)
{
	const char *whole = dicts[1].in;

	(void)state;
	for (size_t cut = 0; cut < strlen(whole); cut++) {
		uint8_t *in = malloc(cut ? cut : 1);
		struct wire_error err;
		struct pw_extended x;

		assert_non_null(in);
		memcpy(in, whole, cut);
		assert_int_equal(pw_extended_read(span_of(in, cut), &x, &err),
		    WIRE_BAD);
		free(in);
	}
}

static const struct {
	const char *id;		/* shorter ones are filled with 0x01 */
	const char *want;
} clients[] = {
	{ "-qB4520-xxxxxxxxxxxx", "qBittorrent 4.5.2" },
	{ "-qB43A0-xxxxxxxxxxxx", "qBittorrent 4.3.10" },
	{ "-qB4633-xxxxxxxxxxxx", "qBittorrent 4.6.3.3" },
	{ "-TR3000-xxxxxxxxxxxx", "Transmission 3.00" },
	{ "-TR294Z-xxxxxxxxxxxx", "Transmission 2.94+" },
	{ "-TR0072-xxxxxxxxxxxx", "Transmission 0.72" },
	{ "-TR4050-xxxxxxxxxxxx", "Transmission 4.0.5" },
	{ "-TR410X-xxxxxxxxxxxx", "Transmission 4.1.0+" },
	{ "-LT2080-xxxxxxxxxxxx", "libtorrent 2.0.8" },
	{ "-LT20B0-xxxxxxxxxxxx", "libtorrent 2.0.11" },
	{ "-lt0D80-xxxxxxxxxxxx", "libtorrent (rTorrent) 0.13.8" },
	{ "A2-1-36-0-xxxxxxxxxx", "aria2 1.36.0" },
	{ "A2-1-36-x-xxxxxxxxxx", "A2-1-36-x-xxxxxxxxxx" },
	{ "-DE211s-xxxxxxxxxxxx", "Deluge 2.1.1" },
	{ "-DE13F0-xxxxxxxxxxxx", "Deluge 1.3.15" },
	{ "-UT355W-xxxxxxxxxxxx", "uTorrent 3.5.5" },
	{ "-BT7a5S-xxxxxxxxxxxx", "BitTorrent 7.10.5" },
	{ "-AZ5750-xxxxxxxxxxxx", "Vuze 5.7.5.0" },
	{ "-BI3500-xxxxxxxxxxxx", "BiglyBT 3.5.0.0" },
	{ "-KT5220-xxxxxxxxxxxx", "KTorrent 5.2.2" },
	{ "-XL0012-xxxxxxxxxxxx", "Xunlei 0.0.1.2" },
	{ "-BC0201-xxxxxxxxxxxx", "BitComet 2.01" },
	{ "-WW0107-xxxxxxxxxxxx", "WebTorrent 1.7" },
	{ "-SW0100-xxxxxxxxxxxx", "swarmwitness 0.1.0" },
	{ "TIX0258-xxxxxxxxxxxx", "Tixati 2.58" },
	{ "M7-9-2--xxxxxxxxxxxx", "Mainline 7.9.2" },
	{ "M4-20-8-xxxxxxxxxxxx", "Mainline 4.20.8" },
	{ "T03I-----xxxxxxxxxxx", "BitTornado 0.3.18" },
	{ "S58B-----xxxxxxxxxxx", "Shadow 5.8.11" },
	{ "-ZZ1234-xxxxxxxxxxxx", "-ZZ1234-" },
	{ "-qB45 0-xxxxxxxxxxxx", "-qB45 0-" },
	{ "-qB4520", "-qB4520" },
	{ "hello", "hello" },
	{ "", "unknown" },
	{ "\xc3\xa9", "unknown" },
	{ "01234567890123456789", "01234567890123456789" },
	{ "M999-9999-9-xxxxxxxx", "M999-9999-9-xxxxxxxx" }
};

static void client_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		uint8_t *id = malloc(20);
		char buf[PW_CLIENT_MAX];

		assert_non_null(id);
		memset(id, 1, 20);
		memcpy(id, clients[i].id, strlen(clients[i].id));
		assert_string_equal(pw_client(id, buf), clients[i].want);
		free(id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_at_every_cut),
		cmocka_unit_test(frame_bound),
		cmocka_unit_test(table_limits),
		cmocka_unit_test(writers_read_back),
		cmocka_unit_test(handshakes),
		cmocka_unit_test(extended_dicts),
		cmocka_unit_test(extended_dict_cuts),
		cmocka_unit_test(client_names)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
