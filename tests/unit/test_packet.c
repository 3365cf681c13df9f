#include "tests/packet_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/exact.h"

#define ETH "\2\2\2\2\2\2\4\4\4\4\4\4"
/* 10.0.0.1:4660 > 10.0.0.2:80, seq 1, ack 2, "hi" */
#define TCP "\x12\x34\0\x50\0\0\0\1\0\0\0\2\x50\x18\xff\xff\0\0\0\0hi"
#define IP4(len) "\x45\0\0" len "\0\7\x40\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2"
#define IP4_TCP IP4("\x2a") TCP
#define DB8(x) "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" x
#define IP6(len, next) "\x60\0\0\0\0" len next "\x40" DB8("\1") DB8("\2")
#define IP6_TCP IP6("\x16", "\6") TCP
#define UDP(len) "\x12\x34\0\x50\0" len "\0\0hi"
#define IP4_UDP(len) "\x45\0\0\x1e\0\7\0\0\x40\x11\0\0" \
	"\x0a\0\0\1\x0a\0\0\2" UDP(len)
#define V4 "tcp 10.0.0.1:4660 10.0.0.2:80 1 2 18 hi"
#define V6 "tcp [2001:db8::1]:4660 [2001:db8::2]:80 1 2 18 hi"
#define U4 "udp 10.0.0.1:4660 10.0.0.2:80 hi"

static const char *text(const struct packet *p, char *out, size_t n)
{
	char a[ENDPOINT_TEXT_MAX], b[ENDPOINT_TEXT_MAX], rest[64];

	snprintf(rest, sizeof(rest), "%.*s%s", (int)p->payload.n,
	    p->payload.n ? (const char *)p->payload.p : "", "");
	if (p->missing)
		snprintf(rest + strlen(rest), 24, "(%u missing)", p->missing);
	switch (p->kind) {
	case PACKET_TCP:
		snprintf(out, n, "tcp %s %s %u %u %x %s",
		    endpoint_text(&p->from, a), endpoint_text(&p->to, b),
		    p->seq, p->ack, p->flags, rest);
		break;
	case PACKET_UDP:
		snprintf(out, n, "udp %s %s %s", endpoint_text(&p->from, a),
		    endpoint_text(&p->to, b), rest);
		break;
	case PACKET_FRAGMENT:
		snprintf(out, n, "fragment %s %s of %u: %u at %u%s, %zu",
		    endpoint_ip(&p->from, a), endpoint_ip(&p->to, b), p->id,
		    p->protocol, p->at, p->more ? "+" : "", p->payload.n);
		break;
	case PACKET_OTHER:
		snprintf(out, n, "other%s%s", p->err.reason ? ": " : "",
		    p->err.reason ? p->err.reason : "");
		break;
	case PACKET_CUT:
		snprintf(out, n, "cut");
		break;
	case PACKET_MALFORMED:
		snprintf(out, n, "%s @%zu", p->err.reason, p->err.offset);
		break;
	}
	return out;
}

static const struct {
	const char *name;
	uint32_t link;
	const char *bytes;
	size_t n;
	const char *want;
} cases[] = {
	/* links */
	{ "ethernet", 1, B(ETH "\x08\0" IP4_TCP), V4 },
	{ "ethernet, ipv6", 1, B(ETH "\x86\xdd" IP6_TCP), V6 },
	{ "802.1q", 1, B(ETH "\x81\0\0\5\x08\0" IP4_TCP), V4 },
	{ "qinq", 1, B(ETH "\x88\xa8\0\5\x81\0\0\6\x86\xdd" IP6_TCP), V6 },
	{ "old qinq, three tags", 1, B(ETH "\x91\0\0\5\x92\0\0\6\x81\0\0\7"
	    "\x08\0" IP4_TCP), V4 },
	{ "tag cut off", 1, B(ETH "\x81\0\0\5\x08"),
	    "too short for a VLAN tag @14" },
	{ "snap", 1, B(ETH "\0\x32\xaa\xaa\3\0\0\0\x08\0" IP4_TCP), V4 },
	{ "llc, not snap", 1, B(ETH "\0\4\x42\x42\3\0"), "other" },
	{ "802.3 length lies", 1, B(ETH "\0\x40\xaa\xaa\3\0\0\0\x08\0"),
	    "802.3 length @12" },
	{ "arp", 1, B(ETH "\x08\6\0\1\x08\0\6\4\0\1"), "other" },
	{ "ethernet, too short", 1, B("\2\2\2\2"),
	    "too short for an Ethernet header @0" },
	{ "sll", 113, B("\0\4\0\1\0\6\0\0\0\0\0\0\0\0\x08\0" IP4_TCP), V4 },
	{ "sll, too short", 113, B("\0\4\0\1\0\6\0\0\0\0\0\0\0\0\x08"),
	    "too short for a cooked header @0" },
	{ "sll2", 276, B("\x86\xdd\0\0\0\0\0\2\0\1\4\6\0\0\0\0\0\0\0\0"
	    IP6_TCP), V6 },
	{ "raw", 101, B(IP4_TCP), V4 },
	{ "raw, ipv6", 101, B(IP6_TCP), V6 },
	{ "raw as DLT 12", 12, B(IP4_TCP), V4 },
	{ "raw as DLT 14", 14, B(IP6_TCP), V6 },
	{ "raw, version 5", 101, B("\x55" "abc"), "IP version @0" },
	{ "raw, empty", 101, B(""), "no IP packet @0" },
	{ "ipv4 link", 228, B(IP4_TCP), V4 },
	{ "ipv6 link", 229, B(IP6_TCP), V6 },
	{ "ipv4 link with ipv6", 228, B(IP6_TCP), "IP version @0" },
	{ "null, little-endian", 0, B("\2\0\0\0" IP4_TCP), V4 },
	{ "null, big-endian", 0, B("\0\0\0\2" IP4_TCP), V4 },
	{ "null, FreeBSD's ipv6", 0, B("\x1c\0\0\0" IP6_TCP), V6 },
	{ "null, Darwin's ipv6", 0, B("\0\0\0\x1e" IP6_TCP), V6 },
	{ "null, Linux's ipv6", 0, B("\x0a\0\0\0" IP6_TCP), V6 },
	{ "null, another family", 0, B("\7\0\0\0abcd"), "other" },
	{ "loop", 108, B("\0\0\0\x18" IP6_TCP), V6 },
	{ "ppp", 9, B("\0\x21" IP4_TCP), V4 },
	{ "ppp, hdlc, compressed", 50, B("\xff\3\x57" IP6_TCP), V6 },
	{ "ppp of pppd, received", 166, B("\0\3\0\x21" IP4_TCP), V4 },
	{ "ppp of pppd, sent", 166, B("\1\3\0\x57" IP6_TCP), V6 },
	{ "ppp of pppd, no direction", 166, B("\xff\3\0\x21" IP4_TCP), V4 },
	{ "ppp, no direction is none", 9, B("\1\3\0\x21" IP4_TCP), "other" },
	{ "ppp, lcp", 9, B("\xff\3\xc0\x21\1\1"), "other" },
	{ "pppoe", 1, B(ETH "\x88\x64\x11\0\0\1\0\x2c\0\x21" IP4_TCP
	    "padding"), V4 },
	{ "pppoe as a link", 51, B("\x11\0\0\1\0\x2c\0\x21" IP4_TCP), V4 },
	{ "pppoe length too long", 51, B("\x11\0\0\1\0\x2d\0\x21" IP4_TCP),
	    "PPPoE length @4" },
	{ "pppoe length too short", 51, B("\x11\0\0\1\0\x2b\0\x21" IP4_TCP),
	    "IPv4 packet longer than its frame @10" },
	{ "pppoe discovery", 51, B("\x11\x09\0\0\0\0"), "other" },
	{ "802.11", 105, B(IP4_TCP), "other: a link type that is not read" },
	/* IPv4 */
	{ "padding is no payload", 1, B(ETH "\x08\0" IP4_TCP "\0\0\0\0"), V4 },
	{ "options", 101, B("\x46\0\0\x2e\0\7\x40\0\x40\6\0\0"
	    "\x0a\0\0\1\x0a\0\0\2\1\1\1\0" TCP), V4 },
	{ "header of 16 bytes", 101, B("\x44" "\0\0\x2a\0\7\x40\0\x40\6\0\0"
	    "\x0a\0\0\1\x0a\0\0\2" TCP), "IPv4 header length @0" },
	{ "header longer than packet", 101, B("\x4f" "\0\0\x2a\0\7\x40\0\x40"
	    "\6\0\0\x0a\0\0\1\x0a\0\0\2" TCP), "IPv4 header length @0" },
	{ "total below header", 101, B(IP4("\x13") TCP),
	    "IPv4 header length @0" },
	{ "total a byte too long", 101, B(IP4("\x2b") TCP),
	    "IPv4 packet longer than its frame @2" },
	{ "total cuts the TCP header", 101, B(IP4("\x27") TCP),
	    "too short for a TCP header @20" },
	{ "total a byte too short", 101, B(IP4("\x29") TCP),
	    "tcp 10.0.0.1:4660 10.0.0.2:80 1 2 18 h" },
	{ "total 0: the card segments", 101, B(IP4("\0") TCP), V4 },
	{ "icmp", 101, B("\x45\0\0\x1c\0\7\0\0\x40\1\0\0\x0a\0\0\1\x0a\0\0\2"
	    "\x08\0\0\0\0\0\0\0"), "other" },
	{ "first fragment", 101, B("\x45\0\0\x1c\1\2\x20\0\x40\x11\0\0"
	    "\x0a\0\0\1\x0a\0\0\2abcdefgh"),
	    "fragment 10.0.0.1 10.0.0.2 of 258: 17 at 0+, 8" },
	{ "last fragment", 101, B("\x45\0\0\x17\1\2\x1f\xff\x40\x11\0\0"
	    "\x0a\0\0\1\x0a\0\0\2abc"),
	    "fragment 10.0.0.1 10.0.0.2 of 258: 17 at 65528, 3" },
	/* IPv6 */
	{ "extensions", 101, B(IP6("\x36", "\0")
	    "\x3c\0\1\4\0\0\0\0" "\x2b\0\1\4\0\0\0\0" "\x33\0\0\0\0\0\0\0"
	    "\6\0\0\0\0\0\0\0" TCP), V6 },
	{ "extension past the end", 101, B(IP6("\x0a", "\0")
	    "\6\1\1\4\0\0\0\0" "\0\0"), "IPv6 extension past the end @42" },
	{ "half an extension header", 101, B(IP6("\1", "\x3c") "\6"),
	    "IPv6 extension past the end @40" },
	{ "routed over another", 101, B("\x60\0\0\0\0\x2e\x2b\x40" DB8("\1")
	    DB8("\x09") "\6\2\0\1\0\0\0\0" DB8("\2") TCP), V6 },
	{ "routed over two others", 101, B("\x60\0\0\0\0\x3e\x2b\x40"
	    DB8("\1") DB8("\x09") "\6\4\0\2\0\0\0\0" DB8("\x08") DB8("\2")
	    TCP), V6 },
	{ "routed by segments", 101, B("\x60\0\0\0\0\x3e\x2b\x40" DB8("\1")
	    DB8("\x09") "\6\4\4\1\1\0\0\0" DB8("\2") DB8("\x09") TCP), V6 },
	{ "routed there", 101, B("\x60\0\0\0\0\x2e\x2b\x40" DB8("\1")
	    DB8("\2") "\6\2\0\0\0\0\0\0" DB8("\x09") TCP), V6 },
	{ "routed by what is not known", 101, B("\x60\0\0\0\0\x2e\x2b\x40"
	    DB8("\1") DB8("\2") "\6\2\x63\1\0\0\0\0" DB8("\x09") TCP),
	    V6 },
	{ "routed by a list that is none", 101, B("\x60\0\0\0\0\x1e\x2b\x40"
	    DB8("\1") DB8("\2") "\6\0\0\1\0\0\0\0" TCP), V6 },
	{ "a fragment, routed over another", 101, B("\x60\0\0\0\0\x28\x2b"
	    "\x40" DB8("\1") DB8("\x09") "\x2c\2\0\1\0\0\0\0" DB8("\2")
	    "\6\0\0\x11\0\0\1\0" "abcdefgh"),
	    "fragment 2001:db8::1 2001:db8::2 of 256: 6 at 16+, 8" },
	{ "no next header", 101, B(IP6("\2", "\x3b") "ab"), "other" },
	{ "esp", 101, B(IP6("\2", "\x32") "ab"), "other" },
	{ "payload a byte too long", 101, B(IP6("\x17", "\6") TCP),
	    "IPv6 packet longer than its frame @4" },
	{ "payload a byte too short", 101, B(IP6("\x15", "\6") TCP "\0\0"),
	    "tcp [2001:db8::1]:4660 [2001:db8::2]:80 1 2 18 h" },
	{ "payload 0: the card segments", 101, B(IP6("\0", "\6") TCP), V6 },
	{ "jumbo", 101, B(IP6("\0", "\0")
	    "\6\0\xc2\4\0\0\0\x1e" TCP), V6 },
	{ "jumbo too long", 101, B(IP6("\0", "\0")
	    "\6\0\xc2\4\xff\xff\xff\xff" TCP),
	    "IPv6 packet longer than its frame @4" },
	{ "jumbo without the option", 101, B(IP6("\0", "\0")
	    "\6\0\1\4\0\0\0\0" TCP), "IPv6 extension past the end @40" },
	{ "fragment", 101, B(IP6("\x10", "\x2c")
	    "\6\0\0\x11\0\0\1\0" "abcdefgh"),
	    "fragment 2001:db8::1 2001:db8::2 of 256: 6 at 16+, 8" },
	{ "atomic fragment", 101, B(IP6("\x1e", "\x2c")
	    "\6\0\0\0\0\0\1\0" TCP), V6 },
	{ "half a fragment header", 101, B(IP6("\4", "\x2c") "\6\0\0\0"),
	    "IPv6 fragment header past the end @40" },
	{ "mapped", 101, B("\x60\0\0\0\0\x16\6\x40"
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2" TCP), V4 },
	/* TCP and UDP */
	{ "TCP options", 101, B(IP4("\x2e")
	    "\x12\x34\0\x50\0\0\0\1\0\0\0\2\x60\x18\xff\xff\0\0\0\0"
	    "\1\1\1\0hi"), V4 },
	{ "TCP header of 16 bytes", 101, B(IP4("\x2a")
	    "\x12\x34\0\x50\0\0\0\1\0\0\0\2\x40\x18\xff\xff\0\0\0\0hi"),
	    "TCP header length @32" },
	{ "TCP header past the end", 101, B(IP4("\x2a")
	    "\x12\x34\0\x50\0\0\0\1\0\0\0\2\x60\x18\xff\xff\0\0\0\0hi"),
	    "TCP header length @32" },
	{ "without ACK, no ack", 101, B(IP4("\x2a")
	    "\x12\x34\0\x50\0\0\0\1\0\0\0\2\x50\2\xff\xff\0\0\0\0hi"),
	    "tcp 10.0.0.1:4660 10.0.0.2:80 1 0 2 hi" },
	{ "UDP", 101, B(IP4_UDP("\x0a")), U4 },
	{ "UDP shorter than IP", 101, B(IP4_UDP("\x09")),
	    "udp 10.0.0.1:4660 10.0.0.2:80 h" },
	{ "UDP without data", 101, B(IP4_UDP("\x08")),
	    "udp 10.0.0.1:4660 10.0.0.2:80 " },
	{ "UDP length 7", 101, B(IP4_UDP("\x07")), "UDP length @24" },
	{ "UDP length 0", 101, B(IP4_UDP("\0")), "UDP length @24" },
	{ "UDP longer than IP", 101, B(IP4_UDP("\x0b")), "UDP length @24" },
};

static void says(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span s = exact(cases[i].bytes, cases[i].n);
		struct packet p;

		packet_read(cases[i].link, s, (uint32_t)s.n, &p);
		text(&p, out, sizeof(out));
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].name, out);
		unexact(s);
	}
}

static void keeps_bounds(const struct packet *p, struct span s, uint32_t length)
{
	if (p->kind != PACKET_TCP && p->kind != PACKET_UDP &&
	    p->kind != PACKET_FRAGMENT)
		return;
	assert_true(p->payload.n + p->missing <= length);
	if (p->payload.n)
		assert_true(p->payload.p >= s.p &&
		    p->payload.p + p->payload.n <= s.p + s.n);
}

/* A capture that cut the packet anywhere: what is missing is known wherever
 * the headers are there, and nothing else changes. */
static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t n = (uint32_t)cases[i].n;
		struct packet whole, p;

		packet_read(cases[i].link, span_of(cases[i].bytes, n), n,
		    &whole);
		for (uint32_t cut = 0; cut < n; cut++) {
			struct span s = exact(cases[i].bytes, cut);

			packet_read(cases[i].link, s, n, &p);
			keeps_bounds(&p, s, n);
			if (p.kind == PACKET_TCP || p.kind == PACKET_UDP) {
				assert_int_equal(p.kind, whole.kind);
				assert_int_equal(p.payload.n + p.missing,
				    whole.payload.n);
			}
			unexact(s);
		}
	}
}

/* Each byte takes each value: no length is believed. */
static void each_byte_lies(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t at = 0; at < cases[i].n; at++) {
			struct span s = exact(cases[i].bytes, cases[i].n);
			uint8_t *b = (uint8_t *)(uintptr_t)s.p;

			for (unsigned v = 0; v < 256; v++) {
				b[at] = (uint8_t)v;
				packet_read(cases[i].link, s, (uint32_t)s.n,
				    &p);
				keeps_bounds(&p, s, (uint32_t)s.n);
			}
			unexact(s);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(each_byte_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
