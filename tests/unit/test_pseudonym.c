#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/pseudonym.h"
#include "tests/exact.h"

/* The key and part of the sample trace that Crypto-PAn's authors published with
 * their program. */
static const uint8_t key[32] = { 21, 34, 23, 141, 51, 164, 207, 128, 19, 10,
    91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98, 87,
    76, 45, 42, 132, 34, 2 };
static const struct {
	const char *ip, *want;
} sample[] = {
	{ "128.11.68.132", "135.242.180.132" },
	{ "129.118.74.4", "134.136.186.123" },
	{ "130.132.252.244", "133.68.164.234" },
	{ "141.223.7.43", "141.167.8.160" },
	{ "141.233.145.108", "141.129.237.235" },
	{ "152.163.225.39", "151.140.114.167" },
	{ "156.29.3.236", "147.225.12.42" },
	{ "165.247.96.84", "162.9.99.234" },
	{ "166.107.77.190", "160.132.178.185" },
	{ "192.102.249.13", "252.138.62.131" },
};

static struct endpoint at(const char *ip)
{
	struct endpoint e;

	assert_true(endpoint_parse_ip(span_str(ip), &e));
	return e;
}

static void test_sample(void **state)
{
	struct pseudonym p;
	char ip[ENDPOINT_IP_MAX];

	(void)state;
	pseudonym_init(&p, key);
	for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++) {
		struct endpoint e = at(sample[i].ip);

		e = pseudonym_of(&p, &e);
		assert_string_equal(endpoint_ip(&e, ip), sample[i].want);
	}
	pseudonym_fini(&p);
}

static int shared(const struct endpoint *a, const struct endpoint *b)
{
	int bits = a->family == 4 ? 32 : 128, i;

	for (i = 0; i < bits; i++)
		if ((a->addr[i / 8] ^ b->addr[i / 8]) & 0x80 >> i % 8)
			break;
	return i;
}

/* Neighbours at every bit: exactly as many leading bits in common, so no two
 * have one pseudonym. */
static void test_prefixes(void **state)
{
	static const char *const ips[] = { "10.77.0.12", "2001:db8::7" };
	struct pseudonym p;

	(void)state;
	pseudonym_init(&p, key);
	for (int k = 0; k < 2; k++) {
		struct endpoint e = at(ips[k]), other, a, b;
		int bits = e.family == 4 ? 32 : 128;

		a = pseudonym_of(&p, &e);
		assert_int_equal(a.family, e.family);
		for (int i = 0; i < bits; i++) {
			other = e;
			other.addr[i / 8] ^= (uint8_t)(0x80 >> i % 8);
			b = pseudonym_of(&p, &other);
			assert_int_equal(shared(&e, &other), i);
			assert_int_equal(shared(&a, &b), i);
		}
	}
	pseudonym_fini(&p);
}

static bool known(void *ctx, const char *ip)
{
	(void)ctx;
	return strcmp(ip, "128.11.68.132") == 0;
}

static const struct {
	const char *json, *want;
} details[] = {
	{ "{\"witness\":\"http://128.11.68.132:6969/a\",\"n\":1}",
	    "{\"witness\":\"http://135.242.180.132:6969/a\",\"n\":1}" },
	{ "{\"x\":\"%3A%2F%20128.11.68.132%3A1\"}",
	    "{\"x\":\"%3A%2F%20135.242.180.132%3A1\"}" },
	{ "{\"x\":[\"v128.11.68.132x\",\"\\u000a128.11.68.132\"]}",
	    "{\"x\":[\"v135.242.180.132x\",\"\\u000a135.242.180.132\"]}" },
	/* versions and names are left alone, unless they are an address */
	{ "{\"client\":\"libtorrent/2.0.8.0\",\"x\":\"1.2.3.4.5 12:00:00 "
	    "a::b_\"}", "{\"client\":\"libtorrent/2.0.8.0\",\"x\":\"1.2.3.4.5 "
	    "12:00:00 a::b_\"}" },
	{ "{\"client\":\"me 128.11.68.132\",\"x\":\"9.9.128.11.68.132.9\"}",
	    "{\"client\":\"me 135.242.180.132\",\"x\":\"9.9.135.242.180.132.9"
	    "\"}" },
	{ "{\"secret\":\"00ff\",\"a\\\"b\":\"c\\\\\",\"d\":null}",
	    "{\"secret\":null,\"a\\\"b\":\"c\\\\\",\"d\":null}" },
	{ "{\"x\":\"::ffff:128.11.68.132\"}", "{\"x\":\"135.242.180.132\"}" },
	{ "{\"x\":\"cut short", "{\"x\":\"cut short\"" },
};

static char *detail(const struct pseudonym *p, const char *json)
{
	struct pseudonym_text t = { p, known, NULL };
	struct span text = exact(json, strlen(json));
	char *made = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&made, &n);

	assert_non_null(f);
	pseudonym_detail(&t, text, f);
	assert_int_equal(fclose(f), 0);
	unexact(text);
	return made;
}

static void test_details(void **state)
{
	struct pseudonym p;

	(void)state;
	pseudonym_init(&p, key);
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		char *made = detail(&p, details[i].json);

		assert_string_equal(made, details[i].want);
		free(made);
	}
	pseudonym_fini(&p);
}

/* What client it is stays; which one becomes another, always the same. */
static void test_ids(void **state)
{
	const char *json = "{\"peer_id\":\"2d7142343339302d"
	    "000102030405060708090a0b\"}";
	struct pseudonym p;
	char *a, *b;

	(void)state;
	pseudonym_init(&p, key);
	a = detail(&p, json);
	b = detail(&p, json);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), strlen(json));
	assert_memory_equal(a, json, 28);
	assert_null(strstr(a, "000102030405060708090a0b"));
	free(a);
	free(b);
	pseudonym_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
