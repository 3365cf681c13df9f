#include "capture/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "tests/flow_kit.h"

/*
 * The whole is a UDP datagram of 32 bytes, in fragments "FROM-TO", the last
 * of them that reaches 40; "!" in front: other bytes; "^": another id; "~": cut
 * by the capture; "*": says that more follow, or that none do, wrongly.
 */
#define WHOLE 40u

static void body(uint8_t out[WHOLE])
{
	struct bytes o = { .n = 0 };

	add_udp(&o, 11, 22, span_str("abcdefghijklmnopqrstuvwxyz012345"));
	memcpy(out, o.b, WHOLE);
}

static struct bytes fragment(unsigned family, unsigned id, unsigned from,
    unsigned to, bool more, bool other)
{
	struct bytes o = { .n = 0 };
	uint8_t b[WHOLE + 200];

	memset(b, 'Z', sizeof(b));
	body(b);
	if (other)
		memset(b, '#', WHOLE);
	if (family == 4) {
		add_ip(&o, 4, 1, 2, 17, to - from, id,
		    (more ? 0x2000 : 0) | from / 8);
	} else {
		add_ip(&o, 6, 1, 2, 44, to - from + 8, 0, 0);
		add16(&o, 17 << 8);
		add16(&o, from / 8 * 8 | more);
		add32(&o, id);
	}
	add(&o, b + from, to - from);
	return o;
}

#define DATAGRAM "datagram(11>22 abcdefghijklmnopqrstuvwxyz012345/0) "

static const struct {
	const char *name, *script, *want4, *want6;
} cases[] = {
	{ "in order", "0-16 16-32 32-40", DATAGRAM, NULL },
	{ "backwards", "32-40 16-32 0-16", DATAGRAM, NULL },
	{ "the middle last", "0-8 24-40 8-24", DATAGRAM, NULL },
	{ "one is missing", "0-16 32-40", "", NULL },
	{ "repeats of a part", "0-16 0-16 32-40 32-40 16-32 0-16", DATAGRAM,
	    NULL },
	{ "two at once", "0-16 ^0-16 16-40 ^16-40", DATAGRAM DATAGRAM, NULL },
	{ "alike overlap", "0-24 16-40", DATAGRAM,
	    "[IPv6 fragments overlap@2] " },
	{ "inside another", "0-32 8-16 32-40", DATAGRAM, NULL },
	{ "around others", "8-16 24-32 0-32 32-40", DATAGRAM,
	    "[IPv6 fragments overlap@3] " },
	{ "unlike overlap", "0-24 !16-40 24-40",
	    "[IP fragments overlap and differ@2] ",
	    "[IPv6 fragments overlap@2] " },
	{ "an unlike repeat", "0-24 !0-24 24-40",
	    "[IP fragments overlap and differ@2] ", NULL },
	{ "not in eights", "0-13 16-40", "[a fragment's length@1] ", NULL },
	{ "nothing in it", "0-0 0-16 16-40",
	    "[a fragment's length@1] ", NULL },
	{ "past the end", "32-40 16-48 0-16",
	    "[fragments past their packet's end@2] ", NULL },
	{ "the end before others", "8-32 *8-24 0-8",
	    "[fragments past their packet's end@2] ", NULL },
	{ "two ends", "32-40 *16-32 0-16",
	    "[fragments past their packet's end@2] ", NULL },
	{ "cut by the capture", "0-16 ~16-40 16-40",
	    "[a fragment that the capture cut@2] ", NULL },
};

static void play(struct ear *e, const char *script, unsigned family)
{
	while (*script) {
		unsigned from, to, id = 7;
		bool other = false, cut = false, lie = false;

		for (; strchr("!^~* ", *script); script++) {
			other |= *script == '!';
			id += *script == '^';
			cut |= *script == '~';
			lie |= *script == '*';
		}
		assert_int_equal(sscanf(script, "%u-%u", &from, &to), 2);
		script += strcspn(script, " ");
		struct bytes p = fragment(family, id, from, to,
		    (to < WHOLE) != lie, other);
		ear_give_cut(e, &p, p.n - cut);
	}
}

static void scripts(void **state)
{
	struct ear e;
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (unsigned family = 4; family <= 6; family += 2) {
			const char *want = family == 6 && cases[i].want6 ?
			    cases[i].want6 : cases[i].want4;

			ear_begin(&e, 0);
			play(&e, cases[i].script, family);
			if (strcmp(e.text, want) != 0) {
				print_error("%s, IPv%u: %s\n", cases[i].name,
				    family, e.text);
				wrong++;
			}
			ear_end(&e);
		}
	assert_int_equal(wrong, 0);
}

/* What waits for too long is given up; a late rest is none. */
static void time_out(void **state)
{
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	play(&e, "0-16", 4);
	e.packet.utc_ns += FRAGMENT_WAIT_NS + 1;
	play(&e, "16-40", 4);
	assert_string_equal(e.text, "");
	play(&e, "0-16", 4);
	assert_string_equal(e.text, DATAGRAM);
	assert_int_equal(flows_counts(e.flows).fragments_lost, 1);
	ear_end(&e);
}

/* First fragments of ever new packets, large ones, and many parts of one. */
static void bounds(void **state)
{
	static const uint8_t big[1400];
	struct fragments *f = fragments_new();
	const char *reason = NULL;
	unsigned refused = 0;

	(void)state;
	assert_non_null(f);
	for (unsigned i = 0; i < 100000; i++) {
		struct packet p = { .kind = PACKET_FRAGMENT, .protocol = 17,
		    .id = i / 45, .more = true,
		    .at = (uint16_t)(i % 45 * 1400 + 1400),
		    .payload = span_of(big, sizeof(big)) };

		p.from.family = p.to.family = 4;
		assert_int_equal(fragments_add(f, &p, 1, &reason),
		    FRAGMENT_WAIT);
		assert_true(fragments_memory(f) <= FRAGMENT_MEMORY +
		    65536 + FRAGMENT_PACKETS * 2048u);
	}
	for (unsigned i = 0; i < 2 * FRAGMENT_PARTS + 2; i++) {
		struct packet p = { .kind = PACKET_FRAGMENT, .protocol = 17,
		    .id = 1u << 31, .more = true,
		    .at = (uint16_t)(i * 16 + 8),
		    .payload = span_of(big, 8) };

		p.from.family = p.to.family = 4;
		refused += fragments_add(f, &p, 1, &reason) ==
		    FRAGMENT_REFUSED;
	}
	assert_int_equal(refused, 1);
	assert_string_equal(reason, "an IP packet in too many fragments");
	assert_int_equal(fragments_lost(f), 100000 / 45 + 2);
	fragments_free(f);
}

/* TCP in fragments is a flow like any. */
static void tcp(void **state)
{
	struct bytes whole = { .n = 0 }, o;
	struct ear e;

	(void)state;
	add_tcp(&whole, 11, 22, 5, 9, PACKET_ACK, span_str("hello there"));
	ear_begin(&e, 1000);
	for (unsigned from = 0; from < whole.n; from += 16) {
		unsigned n = (unsigned)whole.n - from;

		n = n > 16 ? 16 : n;
		o.n = 0;
		add_ip(&o, 4, 1, 2, 6, n, 3,
		    (from + n < whole.n ? 0x2000 : 0) | from / 8);
		add(&o, whole.b + from, n);
		ear_give(&e, &o);
	}
	flows_finish(e.flows);
	assert_string_equal(e.text, "middle(11>22 2,0) 0:hello there@2 "
	    "the capture ended by 0@2 ");
	ear_end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(time_out),
		cmocka_unit_test(bounds),
		cmocka_unit_test(tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
