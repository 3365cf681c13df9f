#include "wire/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/talk_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STEPS_MAX 12

#define HS "\x13" "BitTorrent protocol" "\0\0\0\0\0\20\0\5" \
	"01234567890123456789" "-TR3000-abcdefghijkl"
#define HS_HEX "13426974546f7272656e742070726f746f636f6c" \
	"0000000000100005" "3031323334353637383930313233343536373839" \
	"2d5452333030302d6162636465666768696a6b6c"
#define THEIRS "<0 handshake Transmission 3.00 =" HS_HEX "\n"
#define OURS ">0 handshake Transmission 3.00 =" HS_HEX "\n"

#define PEER(s) { SIDE_PEER, s, sizeof(s) - 1 }
#define US(s) { SIDE_US, s, sizeof(s) - 1 }

struct step {
	enum side by;
	const char *in;
	size_t n;
};

static const struct {
	const char *name;
	uint32_t pieces;
	struct step steps[STEPS_MAX];
	const char *want;
} cases[] = {
	{ "greeting", 0, { PEER(HS), US(HS) }, THEIRS OURS },
	{ "messages", 9, { PEER(HS "\0\0\0\0\0\0\0\1\16\0\0\0\5\4\0\0\0\10") },
	    THEIRS "<68 keepalive =00000000\n"
	    "<72 have_all =000000010e\n"
	    "<77 have 8 =000000050400000008\n" },
	{ "bitfield, then another", 9,
	    { PEER(HS "\0\0\0\3\5\377\200\0\0\0\3\5\0\0") },
	    THEIRS "<68 bitfield +2 =0000000305ff80\n"
	    "<75 bitfield +2 =00000003050000\n" },
	{ "bitfield too short", 9, { PEER(HS "\0\0\0\2\5\377\0\0\0\1\1") },
	    THEIRS "<68 bad at 0: bitfield of the wrong size +1 =00000002"
	    "05ff\n<74 unchoke =0000000101\n" },
	{ "bitfield too long", 8, { PEER(HS "\0\0\0\3\5\377\0") },
	    THEIRS "<68 bad at 0: bitfield of the wrong size +2 =00000003"
	    "05ff00\n" },
	{ "bitfield with spare bits", 9, { PEER(HS "\0\0\0\3\5\377\300") },
	    THEIRS "<68 bad at 6: bitfield with spare bits set +2 =00000003"
	    "05ffc0\n" },
	{ "bitfield before metadata", 0, { PEER(HS "\0\0\0\3\5\377\300") },
	    THEIRS "<68 bitfield +2 =0000000305ffc0\n" },
	{ "have beyond the end", 9,
	    { PEER(HS "\0\0\0\5\4\0\0\0\11\0\0\0\1\0") },
	    THEIRS "<68 bad at 5: the torrent has no such piece"
	    " =000000050400000009\n<77 choke =0000000100\n" },
	{ "request beyond the end", 9, { PEER(HS
	    "\0\0\0\15\6\0\0\0\11\0\0\0\0\0\0\0\1") },
	    THEIRS "<68 bad at 5: the torrent has no such piece"
	    " =0000000d06000000090000000000000001\n" },
	{ "have of the wrong length", 9, { PEER(HS "\0\0\0\2\4\0\0\0\0\1\0") },
	    THEIRS "<68 bad at 0: length does not fit the message"
	    " =000000020400\n<74 choke =0000000100\n" },
	{ "unknown message", 9, { PEER(HS "\0\0\0\3\143hi") },
	    THEIRS "<68 unknown +2 =00000003636869\n" },
	{ "block", 9, { PEER(HS
	    "\0\0\0\14\7\0\0\0\1\0\0\0\2abc\0\0\0\1\0") },
	    THEIRS "<81 block 1 2 3 616263\n<84 choke =0000000100\n" },
	{ "block of nothing", 9, { PEER(HS
	    "\0\0\0\11\7\0\0\0\1\0\0\0\2\0\0\0\1\0") },
	    THEIRS "<81 block 1 2 0 \n<81 choke =0000000100\n" },
	{ "block beyond the end", 9, { PEER(HS
	    "\0\0\0\14\7\0\0\0\11\0\0\0\2abc\0\0\0\1\0") },
	    THEIRS "<68 bad at 5: the torrent has no such piece"
	    " =0000000c070000000900000002\n<84 choke =0000000100\n" },
	{ "block of nothing beyond the end", 9, { PEER(HS
	    "\0\0\0\11\7\0\0\0\11\0\0\0\2\0\0\0\1\0") },
	    THEIRS "<68 bad at 5: the torrent has no such piece"
	    " =00000009070000000900000002\n<81 choke =0000000100\n" },
	{ "block too long", 9, { PEER(HS
	    "\0\2\0\12\7\0\0\0\1\0\0\0\2abc\0\0\0\1\0") },
	    THEIRS "<68 fatal at 0: frame longer than its bound"
	    " =0002000a\n" },
	{ "absurd length", 9, { PEER(HS "\377\377\377\377\0\0\0\1\0") },
	    THEIRS "<68 fatal at 0: frame longer than its bound"
	    " =ffffffff\n" },
	{ "one side's fault", 9, { PEER("x\0\0\0\1\0"), US(HS "\0\0\0\1\2") },
	    "<0 fatal at 0: not a BitTorrent handshake =78\n" OURS
	    ">68 interested =0000000102\n" },
	{ "message before the handshake", 9, { PEER("\0\0\0\1\0" HS) },
	    "<0 fatal at 0: not a BitTorrent handshake =00\n" },
	{ "almost a handshake", 9, { PEER("\x13" "BitTorrent Protocol") },
	    "<0 fatal at 12: not a BitTorrent handshake"
	    " =13426974546f7272656e742050\n" },
	{ "ids are the receiver's", 9, { PEER(HS
	    "\0\0\0\32\24\0d1:md6:ut_pexi7e1:xi2eee"), US(HS
	    "\0\0\0\32\24\0d1:md11:lt_donthavei7eee"
	    "\0\0\0\4\24\7de\0\0\0\4\24\2de"),
	    PEER("\0\0\0\6\24\7\0\0\0\10") },
	    THEIRS "<68 ext handshake m17 p-1 +24 =0000001a1400"
	    "64313a6d64363a75745f706578693765313a786932656565\n" OURS
	    ">68 ext handshake m17 p-1 +24 =0000001a1400"
	    "64313a6d6431313a6c745f646f6e74686176656937656565\n"
	    ">98 ext ut_pex +2 =0000000414076465\n"
	    ">106 ext unknown +2 =0000000414026465\n"
	    "<98 ext lt_donthave 8 +4 =00000006140700000008\n" },
	{ "announced later, and taken back", 9, { US(HS), PEER(HS
	    "\0\0\0\3\24\1x"), US("\0\0\0\24\24\0d1:md6:ut_pexi1eee"),
	    PEER("\0\0\0\4\24\1de"), US("\0\0\0\24\24\0d1:md6:ut_pexi0eee"),
	    PEER("\0\0\0\3\24\1x") },
	    OURS THEIRS "<68 ext unknown +1 =00000003140178\n"
	    ">68 ext handshake m11 p-1 +18 =000000141400"
	    "64313a6d64363a75745f7065786931656565\n"
	    "<75 ext ut_pex +2 =0000000414016465\n"
	    ">92 ext handshake m11 p-1 +18 =000000141400"
	    "64313a6d64363a75745f7065786930656565\n"
	    "<83 ext unknown +1 =00000003140178\n" },
	{ "metadata and PEX that are none", 9, { US(HS "\0\0\0\45\24\0"
	    "d1:md11:ut_metadatai1e6:ut_pexi2eee"),
	    PEER(HS "\0\0\0\3\24\1x\0\0\0\4\24\1de\0\0\0\4\24\2li"
	    "\0\0\0\4\24\2le\0\0\0\1\0"),
	    PEER("\0\0\0\33\24\1d8:msg_typei0e5:piecei0ee") }, NULL },
	{ "an id that changes hands", 9, { US(HS
	    "\0\0\0\32\24\0d1:md11:ut_metadatai1eee"
	    "\0\0\0\24\24\0d1:md6:ut_pexi1eee"),
	    PEER(HS "\0\0\0\4\24\1de") }, NULL },
	{ "extended handshake cut short", 9, { PEER(HS
	    "\0\0\0\3\24\0d\0\0\0\1\0") },
	    THEIRS "<68 bad at 7: extended handshake ends too early +1"
	    " =00000003140064\n<75 choke =0000000100\n" },
	{ "extension ids out of range", 9, { PEER(HS
	    "\0\0\0\26\24\0d1:md6:ut_pexi256eee") },
	    THEIRS "<68 ext handshake m13 p-1 odd +20 =000000161400"
	    "64313a6d64363a75745f70657869323536656565\n" },
	{ "donthave of the wrong length", 9, { US(HS
	    "\0\0\0\32\24\0d1:md11:lt_donthavei1eee"),
	    PEER(HS "\0\0\0\3\24\1x\0\0\0\7\24\1\0\0\0\0\0") }, NULL },
	{ "donthave beyond the end", 9, { US(HS
	    "\0\0\0\32\24\0d1:md11:lt_donthavei1eee"),
	    PEER(HS "\0\0\0\6\24\1\0\0\0\11") }, NULL },
	{ "extended without payload", 9, { PEER(HS "\0\0\0\2\24\5") },
	    THEIRS "<68 ext unknown =000000021405\n" }
};

struct text {
	char p[8192];
	size_t n;
};

static void put(void *arg, const char *s, size_t n)
{
	struct text *t = arg;

	assert_true(n < sizeof(t->p) - t->n);
	memcpy(t->p + t->n, s, n);
	t->n += n;
	t->p[t->n] = '\0';
}

/* Runs case i with every step fed in pieces of size, but step k at cut. */
static void run(size_t i, size_t size, size_t k, size_t cut, struct text *t)
{
	struct talk_feeder f = { .put = put, .arg = t };

	t->n = 0;
	t->p[0] = '\0';
	talk_init(&f.talk, cases[i].pieces);
	for (size_t s = 0; s < STEPS_MAX; s++) {
		const struct step *st = &cases[i].steps[s];

		for (size_t at = 0, n; at < st->n; at += n) {
			n = size;
			if (s == k && at == 0 && cut > 0)
				n = cut;
			if (n > st->n - at)
				n = st->n - at;
			talk_feed(&f, st->by, (const uint8_t *)st->in + at, n);
		}
	}
	talk_feeder_fini(&f);
}

static void conversations_at_every_cut(void **state)
{
	struct text whole, cut;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		run(i, SIZE_MAX, STEPS_MAX, 0, &whole);
		if (cases[i].want && strcmp(whole.p, cases[i].want) != 0)
			fail_msg("%s:\n%s", cases[i].name, whole.p);
		for (size_t size = 1; size < 4; size++) {
			run(i, size, STEPS_MAX, 0, &cut);
			if (strcmp(whole.p, cut.p) != 0)
				fail_msg("%s by %zu:\n%s", cases[i].name, size,
				    cut.p);
		}
		for (size_t k = 0; k < STEPS_MAX; k++)
			for (size_t at = 1; at < cases[i].steps[k].n; at++) {
				run(i, SIZE_MAX, k, at, &cut);
				if (strcmp(whole.p, cut.p) != 0)
					fail_msg("%s cut %zu:\n%s",
					    cases[i].name, at, cut.p);
			}
	}
}

/* The last event of a case, found by name, holds these words. */
static void ends_with(const char *name, const char *words)
{
	struct text t;

	for (size_t i = 0; i < COUNT(cases); i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		run(i, SIZE_MAX, STEPS_MAX, 0, &t);
		t.p[t.n - 1] = '\0';
		const char *line = strrchr(t.p, '\n');
		assert_non_null(line);
		if (!strstr(line, words))
			fail_msg("%s: %s", name, line);
		return;
	}
	fail_msg("no case %s", name);
}

static void extension_ends(void **state)
{
	(void)state;
	ends_with("an id that changes hands", "<68 ext ut_pex +2");
	ends_with("metadata and PEX that are none",
	    "<104 ext ut_metadata +25");
	ends_with("donthave of the wrong length",
	    "bad at 6: lt_donthave is not one index");
	ends_with("donthave beyond the end",
	    "bad at 6: the torrent has no such piece");
}

/* A conversation standing inside a block of 10 bytes, 4 of them read. */
static void stand_in_block(struct talk *t)
{
	static const char in[] = HS "\0\0\0\23\7\0\0\0\1\0\0\0\0abcd";
	struct cur c = cur_of(span_of(in, sizeof(in) - 1));
	struct event ev;

	talk_init(t, 9);
	assert_int_equal(talk_next(t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(talk_next(t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(ev.kind, EV_BLOCK);
	assert_false(ev.last);
	assert_int_equal(talk_next(t, SIDE_PEER, &c, &ev), WIRE_MORE);
}

static void gaps(void **state)
{
	static const char more[] = "efghij\0\0\0\1\0";
	struct event ev;
	struct talk t;
	struct cur c;

	(void)state;
	/* inside the block: framing holds */
	stand_in_block(&t);
	talk_gap(&t, SIDE_PEER, 2, &ev);
	assert_int_equal(ev.kind, EV_GAP);
	assert_int_equal(ev.at, 2);
	assert_int_equal(ev.offset, 68 + 13 + 4);
	assert_false(ev.fatal);
	c = cur_of(span_of(more + 2, sizeof(more) - 3));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(ev.at, 6);
	assert_int_equal(ev.part.n, 4);
	assert_true(ev.last);
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(ev.msg.id, PW_CHOKE);
	assert_int_equal(ev.offset, 68 + 13 + 10);

	/* up to its end */
	stand_in_block(&t);
	talk_gap(&t, SIDE_PEER, 6, &ev);
	assert_false(ev.fatal);
	c = cur_of(span_of(more + 6, sizeof(more) - 7));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(ev.msg.id, PW_CHOKE);

	/* one more: nothing after it can be trusted */
	stand_in_block(&t);
	talk_gap(&t, SIDE_PEER, 7, &ev);
	assert_true(ev.fatal);
	c = cur_of(span_of(more + 6, sizeof(more) - 7));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_MORE);
	assert_int_equal(cur_left(&c), 0);

	/* nobody knows how many: it need not end within the block */
	stand_in_block(&t);
	talk_gap(&t, SIDE_PEER, 0, &ev);
	assert_true(ev.fatal);
	c = cur_of(span_of("\x7f\xff\xff\xff\5efghij", 11));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_MORE);
	assert_int_equal(cur_left(&c), 0);

	/* between messages, and before the handshake; the other side goes on */
	talk_init(&t, 9);
	talk_gap(&t, SIDE_PEER, 1, &ev);
	assert_true(ev.fatal);
	c = cur_of(span_of(HS, 68));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_MORE);
	c = cur_of(span_of(HS, 68));
	assert_int_equal(talk_next(&t, SIDE_US, &c, &ev), WIRE_OK);
	talk_gap(&t, SIDE_US, UINT64_MAX, &ev);
	assert_true(ev.fatal);
}

/* Known pieces bound a frame; while unknown, a big one is waited for. */
static void frame_bound(void **state)
{
	static const char in[] = HS "\0\3\0\1\5";
	struct event ev;
	struct talk t;
	struct cur c = cur_of(span_of(in, sizeof(in) - 1));

	(void)state;
	talk_init(&t, 0);
	assert_int_equal(talk_keep_max(&t), TALK_FRAME_UNKNOWN);
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_MORE);
	talk_pieces(&t, 0x30000 * 8);
	assert_int_equal(talk_keep_max(&t), 0x30005);
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_MORE);
	talk_pieces(&t, 0x30000 * 8 - 8);
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, &ev), WIRE_OK);
	assert_true(ev.kind == EV_MALFORMED && ev.fatal);
	talk_pieces(&t, 1);
	assert_int_equal(talk_keep_max(&t), TALK_FRAME_MIN);
	talk_pieces(&t, UINT32_MAX);
	assert_int_equal(talk_keep_max(&t), 5 + 0x20000000u);
}

static void bitfield_faults(void **state)
{
	static const struct {
		const char *bits;
		size_t n;
		uint32_t pieces;
		bool good;
	} all[] = {
		{ "\x80", 1, 1, true }, { "\0", 1, 1, true },
		{ "\xc0", 1, 1, false }, { "\x01", 1, 7, false },
		{ "\xfe", 1, 7, true }, { "\xff", 1, 8, true },
		{ "\xff", 1, 9, false }, { "\xff\x80", 2, 9, true },
		{ "\xff\x40", 2, 9, false }, { "\xff\0", 2, 8, false },
		{ "", 0, 1, false }
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(talk_bitfield_fault(span_of(all[i].bits,
		    all[i].n), all[i].pieces) == NULL, all[i].good);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(talk_ext_name(EXT_HANDSHAKE), "handshake");
	assert_string_equal(talk_ext_name(EXT_UT_METADATA), "ut_metadata");
	assert_string_equal(talk_ext_name(EXT_UT_HOLEPUNCH), "ut_holepunch");
	assert_string_equal(talk_ext_name(EXT_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations_at_every_cut),
		cmocka_unit_test(extension_ends),
		cmocka_unit_test(gaps),
		cmocka_unit_test(frame_bound),
		cmocka_unit_test(bitfield_faults),
		cmocka_unit_test(names)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
