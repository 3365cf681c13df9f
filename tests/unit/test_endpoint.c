#include "wire/endpoint.h"
#include "wire/mix.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* A copy of exactly its size, so that ASan sees one byte too many. */
static struct span exact(const char *s, size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	memcpy(p, s, n);
	return span_of(p, n);
}

static void drop(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

static const struct {
	const char *in, *canonical;	/* NULL: refused */
} addresses[] = {
	{ "1.2.3.4", "1.2.3.4" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "256.1.1.1", NULL },
	{ "01.2.3.4", NULL },
	{ "1.2.3", NULL },
	{ "1.2.3.4.", NULL },
	{ "1.2.3.4 ", NULL },
	{ "1.2.3.-4", NULL },
	{ "", NULL },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "1::", "1::" },
	{ "2001:DB8::1", "2001:db8::1" },
	{ "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
	{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
	{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
	{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
	{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
	{ "::ffff:1.2.3.4", "1.2.3.4" },
	{ "::ffff:102:304", "1.2.3.4" },
	{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
	{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
	{ "1:2:3:4:5:6:7:1.2.3.4", NULL },
	{ "1.2.3.4::", NULL },
	{ "::1.2.3.4:5", NULL },
	{ "::1.2.3", NULL },
	{ ":", NULL },
	{ ":::", NULL },
	{ "1:", NULL },
	{ ":1", NULL },
	{ "1::2::3", NULL },
	{ "1::2:", NULL },
	{ "12345::", NULL },
	{ "g::", NULL },
	{ "1:2:3:4:5:6:7", NULL },
	{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "1:2:3:4:5:6:7:8:", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "1:2:3:4:5:6:7:8::", NULL },
	{ "1:2:3:4::5:6:7:8", NULL },
	{ "fe80::1%eth0", NULL },
	{ "[::1]", NULL },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
};

static void test_parse(void **state)
{
	char ip[ENDPOINT_IP_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		const char *in = addresses[i].in;
		struct endpoint e = { .family = 9 };
		struct span s = exact(in, strlen(in));
		bool ok = endpoint_parse_ip(s, &e);

		if (addresses[i].canonical == NULL) {
			if (ok || e.family != 9)
				fail_msg("accepted \"%s\"", in);
		} else {
			if (!ok)
				fail_msg("refused \"%s\"", in);
			assert_string_equal(endpoint_ip(&e, ip),
			    addresses[i].canonical);
		}
		drop(s);
	}
}

/* The C library is the second opinion: every prefix of every address, and
 * addresses with each byte changed. */
static void agree(const char *text)
{
	uint8_t bin[16];
	char ours[ENDPOINT_IP_MAX], theirs[INET6_ADDRSTRLEN] = "";
	struct endpoint e = { 0 };
	struct span s = exact(text, strlen(text));
	bool got = endpoint_parse_ip(s, &e), v4 = inet_pton(AF_INET, text, bin);

	drop(s);
	if (got != (v4 || inet_pton(AF_INET6, text, bin)))
		fail_msg("disagree on \"%s\": %d", text, got);
	if (!got || e.family == 4)
		return;
	inet_ntop(AF_INET6, bin, theirs, sizeof(theirs));
	/* inet_ntop writes ::1.2.3.4 for IPv4-compatible addresses */
	if (strchr(theirs, '.') == NULL)
		assert_string_equal(endpoint_ip(&e, ours), theirs);
}

static void test_second_opinion(void **state)
{
	static const char letters[] = "0:.f1g";
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		size_t n = strlen(addresses[i].in);

		for (size_t cut = 0; cut <= n; cut++) {
			memcpy(text, addresses[i].in, cut);
			text[cut] = '\0';
			agree(text);
			for (const char *l = letters; cut < n && *l; l++) {
				memcpy(text, addresses[i].in, n + 1);
				text[cut] = *l;
				agree(text);
			}
		}
	}
}

static void test_random_round_trip(void **state)
{
	char ip[ENDPOINT_IP_MAX], libc[INET6_ADDRSTRLEN];
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t addr[16];
		struct endpoint e, back;

		for (int j = 0; j < 16; j++) {
			seed = seed * 1103515245 + 12345;
			/* many zeros, so that runs of them occur */
			addr[j] = seed >> 30 ? 0 : (uint8_t)(seed >> 16);
		}
		addr[0] |= 0x20;
		e = endpoint_of(span_of(addr, 16), 0);
		endpoint_ip(&e, ip);
		assert_string_equal(ip, inet_ntop(AF_INET6, addr, libc,
		    sizeof(libc)));
		assert_true(endpoint_parse_ip(span_str(ip), &back));
		assert_int_equal(endpoint_cmp(&e, &back), 0);
	}
}

static const struct {
	const char *in, *out;
} pairs[] = {
	{ "1.2.3.4:6881", "1.2.3.4:6881" },
	{ "[2001:db8::1]:6881", "[2001:db8::1]:6881" },
	{ "[::ffff:1.2.3.4]:80", "1.2.3.4:80" },
	{ "1.2.3.4:65535", "1.2.3.4:65535" },
	{ "1.2.3.4:0", "1.2.3.4:0" },
	{ "1.2.3.4:65536", NULL },
	{ "1.2.3.4:", NULL },
	{ "1.2.3.4", NULL },
	{ ":80", NULL },
	{ "", NULL },
	{ "[", NULL },
	{ "[]:1", NULL },
	{ "[:1", NULL },
	{ "[::1]", NULL },
	{ "[::1]80", NULL },
	{ "[1.2.3.4]:80", NULL },
	{ "::1:80", NULL },
	{ "host:80", NULL },
	{ "1.2.3.4:80x", NULL },
};

static void test_parse_port(void **state)
{
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct endpoint e = { 0 };
		struct span s = exact(pairs[i].in, strlen(pairs[i].in));
		bool ok = endpoint_parse(s, &e);

		drop(s);
		if (ok != (pairs[i].out != NULL))
			fail_msg("\"%s\": %d", pairs[i].in, ok);
		if (ok)
			assert_string_equal(endpoint_text(&e, text),
			    pairs[i].out);
	}
}

static void test_compact(void **state)
{
	static const char six[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	    "\x1a\xe1";
	static const char map[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"
	    "\x1a\xe1";
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	for (size_t cut = 0; cut <= 18; cut++) {
		struct span s = exact(six, cut), m = exact(map, cut);
		struct cur c = cur_of(s), d = cur_of(m), f = cur_of(m);
		struct endpoint a = endpoint_take6(&c), b = endpoint_take6(&d);
		struct endpoint v4 = endpoint_take4(&f);

		assert_int_equal(a.family, cut == 18 ? 6 : 0);
		assert_int_equal(b.family, cut == 18 ? 4 : 0);
		assert_int_equal(c.bad, cut < 18);
		assert_int_equal(v4.family, cut < 6 ? 0 : 4);
		if (cut == 18) {
			assert_string_equal(endpoint_text(&a, text),
			    "[2001:db8::1]:6881");
			assert_string_equal(endpoint_text(&b, text),
			    "1.2.3.4:6881");
		}
		drop(s);
		drop(m);
	}
	for (size_t n = 0; n <= 32; n++)
		assert_int_equal(endpoint_of(span_of(
		    "\x20\1\2\3\4\5\6\7\x8\x9\1\1\1\1\1\1"
		    "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", n), 1).family,
		    n == 4 ? 4 : n == 16 ? 6 : 0);
}

static const struct {
	const char *ip, *why;
} special[] = {
	{ "8.8.8.8", NULL }, { "1.1.1.1", NULL }, { "223.255.255.255", NULL },
	{ "0.1.2.3", "reserved" }, { "10.255.0.1", "private" },
	{ "9.255.255.255", NULL }, { "11.0.0.0", NULL },
	{ "100.63.255.255", NULL }, { "100.64.0.0", "shared by a carrier" },
	{ "100.127.255.255", "shared by a carrier" }, { "100.128.0.0", NULL },
	{ "127.0.0.1", "loopback" }, { "127.255.255.255", "loopback" },
	{ "169.254.1.1", "link-local" }, { "172.15.255.255", NULL },
	{ "172.16.0.0", "private" }, { "172.31.255.255", "private" },
	{ "172.32.0.0", NULL }, { "192.0.2.1", "documentation" },
	{ "192.0.0.1", "reserved" }, { "192.0.1.1", NULL },
	{ "192.88.99.1", "reserved" }, { "192.168.0.1", "private" },
	{ "198.17.255.255", NULL }, { "198.18.0.1", "benchmarking" },
	{ "198.19.255.255", "benchmarking" }, { "198.20.0.0", NULL },
	{ "203.0.113.9", "documentation" }, { "224.0.0.1", "multicast" },
	{ "239.255.255.255", "multicast" }, { "240.0.0.1", "reserved" },
	{ "255.255.255.255", "broadcast" },
	{ "2606:4700::1", NULL }, { "2a00::1", NULL }, { "2003::1", NULL },
	{ "2001:200::1", NULL }, { "2001:1ff::1", "reserved" },
	{ "::", "unspecified" }, { "::1", "loopback" },
	{ "::ffff:127.0.0.1", "loopback" }, { "::ffff:8.8.8.8", NULL },
	{ "::8.8.8.8", "embeds an IPv4 address" },
	{ "::ffff:0:8.8.8.8", "reserved" },
	{ "64:ff9b::8.8.8.8", "embeds an IPv4 address" },
	{ "64:ff9b:1::1", "embeds an IPv4 address" },
	{ "2002:808:808::1", "embeds an IPv4 address" },
	{ "2001::1", "embeds an IPv4 address" },
	{ "2001:db8::1", "documentation" }, { "3fff:fff::1", "documentation" },
	{ "3fff:1000::1", NULL },
	{ "fc00::1", "private" }, { "fdff::1", "private" },
	{ "fe80::1", "link-local" }, { "febf::1", "link-local" },
	{ "fec0::1", "reserved" }, { "ff0e::1", "multicast" },
	{ "100::1", "discard-only" }, { "4000::1", "reserved" },
	{ "5f00::1", "reserved" }, { "1fff::1", "reserved" },
};

static void test_special(void **state)
{
	struct endpoint none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++) {
		struct endpoint e;
		const char *got;

		assert_true(endpoint_parse_ip(span_str(special[i].ip), &e));
		got = endpoint_special(&e);
		if ((got == NULL) != (special[i].why == NULL) ||
		    (got && strcmp(got, special[i].why)))
			fail_msg("%s: %s, expected %s", special[i].ip,
			    got ? got : "global",
			    special[i].why ? special[i].why : "global");
	}
	assert_non_null(endpoint_special(&none));
}

static void test_order(void **state)
{
	static const char *const sorted[] = { "1.2.3.4:80", "1.2.3.4:81",
	    "1.2.4.0:1", "200.0.0.0:1", "[::1]:1", "[::1]:2", "[2001::]:1" };
	struct endpoint a, b, none = { 0 };

	(void)state;
	for (size_t i = 0; i < 7; i++)
		for (size_t j = 0; j < 7; j++) {
			int c;

			assert_true(endpoint_parse(span_str(sorted[i]), &a));
			assert_true(endpoint_parse(span_str(sorted[j]), &b));
			c = endpoint_cmp(&a, &b);
			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
			assert_int_equal(endpoint_same_ip(&a, &b), i == j ||
			    (i < 2 && j < 2) || (i / 2 == 2 && j / 2 == 2));
		}
	assert_true(endpoint_cmp(&none, &a) < 0);
}

/* Of 4096 addresses a step apart, how many fall into the bucket of the first,
 * of 1024, with some key. */
static unsigned with_first(uint64_t seed, uint32_t step)
{
	uint64_t key[ENDPOINT_KEYS], first = 0;
	unsigned with = 0;

	for (unsigned i = 0; i < ENDPOINT_KEYS; i++)
		key[i] = seed = seed * 6364136223846793005u + 1;
	for (uint32_t i = 0; i < 4096; i++) {
		uint32_t v = htonl(0x0a000000 + i * step);
		struct endpoint e = endpoint_of(span_of(&v, 4), 6881);
		uint64_t b = endpoint_mix(key, &e) >> 54;

		if (i == 0)
			first = b;
		with += b == first;
	}
	return with;
}

static void test_mix(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 64; seed++) {
		assert_in_range(with_first(seed, 1), 1, 64);
		assert_in_range(with_first(seed, 4096), 1, 64);
	}
}

/* Of 4096 strings of bytes, alike but for two, how many fall into the bucket
 * of the first, of 1024, with some key. */
static unsigned bytes_with_first(uint64_t seed, size_t n, size_t from)
{
	uint64_t key[MIX_KEYS(96)], first = 0;
	uint8_t bytes[96] = { 0 };
	unsigned with = 0;

	for (size_t i = 0; i < MIX_KEYS(96); i++)
		key[i] = seed = seed * 6364136223846793005u + 1;
	for (uint16_t i = 0; i < 4096; i++) {
		uint64_t b;

		put_u16(bytes + from, i);
		b = mix_bytes(key, bytes, n) >> 54;
		if (i == 0)
			first = b;
		with += b == first;
	}
	return with;
}

static void test_mix_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 64; seed++) {
		assert_in_range(bytes_with_first(seed, 20, 0), 1, 64);
		assert_in_range(bytes_with_first(seed, 20, 18), 1, 64);
		assert_in_range(bytes_with_first(seed, 96, 50), 1, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_second_opinion),
		cmocka_unit_test(test_random_round_trip),
		cmocka_unit_test(test_parse_port),
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_mix),
		cmocka_unit_test(test_mix_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
