#include "wire/nodeid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/exact.h"

static struct endpoint at(const char *ip)
{
	struct endpoint e = { 0 };

	assert_true(endpoint_parse_ip(span_str(ip), &e));
	return e;
}

/* The table of BEP 42: of the first three bytes 21 bits count. */
static const struct {
	const char *ip;
	uint8_t r, head[3];
} vectors[] = {
	{ "124.31.75.21", 1, { 0x5f, 0xbf, 0xbf } },
	{ "21.75.31.124", 86, { 0x5a, 0x3c, 0xe9 } },
	{ "65.23.51.170", 22, { 0xa5, 0xd4, 0x32 } },
	{ "84.124.73.14", 65, { 0x1b, 0x03, 0x21 } },
	{ "43.213.53.83", 90, { 0xe5, 0x6f, 0x6c } }
};

static void made_and_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct endpoint e = at(vectors[i].ip);
		uint8_t random[20], id[20], turned[20];

		for (size_t k = 0; k < 20; k++)
			random[k] = (uint8_t)(k * 37 + 11);
		random[19] = vectors[i].r;
		nodeid_make(id, &e, random);
		assert_memory_equal(id, vectors[i].head, 2);
		assert_int_equal(id[2] & 0xf8, vectors[i].head[2] & 0xf8);
		assert_int_equal(id[2] & 7, random[2] & 7);
		assert_memory_equal(id + 3, random + 3, 17);
		assert_int_equal(nodeid_check(id, &e), NODEID_OBEYS);
		/* 21 bits and the three of r count, no other does. */
		for (unsigned bit = 0; bit < 160; bit++) {
			memcpy(turned, id, 20);
			turned[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
			assert_int_equal(nodeid_check(turned, &e), bit < 21 ||
			    bit >= 157 ? NODEID_WRONG : NODEID_OBEYS);
		}
		e.addr[3] ^= 1;
		assert_int_equal(nodeid_check(id, &e), NODEID_WRONG);
	}
}

static void of_both_families(void **state)
{
	uint8_t random[20] = { [19] = 5 }, id[20];
	struct endpoint e = at("2600:1234:5678:9abc::1"), other;

	(void)state;
	nodeid_make(id, &e, random);
	assert_int_equal(nodeid_check(id, &e), NODEID_OBEYS);
	/* Only the network half of the address counts. */
	other = at("2600:1234:5678:9abc:1:2:3:4");
	assert_int_equal(nodeid_check(id, &other), NODEID_OBEYS);
	other = at("2600:1234:5678:9abd::1");
	assert_int_equal(nodeid_check(id, &other), NODEID_WRONG);
}

static void exempt(void **state)
{
	static const struct {
		const char *ip;
		bool exempt;
	} cases[] = {
		{ "10.1.2.3", true }, { "172.16.0.1", true },
		{ "192.168.1.1", true }, { "127.0.0.1", true },
		{ "169.254.1.1", true }, { "fe80::1", true },
		{ "fd00::1", true }, { "::1", true }, { "8.8.8.8", false },
		{ "172.32.0.1", false }, { "198.51.100.1", false },
		{ "2600::1", false }
	};
	const uint8_t random[20] = { 1, 2, 3, 4 };
	uint8_t id[20];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint e = at(cases[i].ip);

		assert_int_equal(nodeid_exempt(&e), cases[i].exempt);
		assert_int_equal(nodeid_check(random, &e), cases[i].exempt ?
		    NODEID_EXEMPT : NODEID_WRONG);
		nodeid_make(id, &e, random);
		assert_int_equal(memcmp(id, random, 20) == 0, cases[i].exempt);
	}
	struct endpoint none = { 0 };
	nodeid_make(id, &none, random);
	assert_memory_equal(id, random, 20);
	assert_int_equal(nodeid_check(id, &none), NODEID_WRONG);
}

static void distances(void **state)
{
	uint8_t target[20] = { 0 }, a[20] = { 0 }, b[20] = { 0 };

	(void)state;
	assert_int_equal(nodeid_nearer(target, a, b), 0);
	assert_int_equal(nodeid_shared(a, b), 160);
	a[19] = 1;
	assert_int_equal(nodeid_shared(a, b), 159);
	assert_true(nodeid_nearer(target, a, b) > 0);
	assert_true(nodeid_nearer(target, b, a) < 0);
	b[0] = 1;
	assert_int_equal(nodeid_shared(a, b), 7);
	assert_true(nodeid_nearer(target, a, b) < 0);
	target[0] = 3;		/* a is 3 away, b 2 */
	assert_true(nodeid_nearer(target, a, b) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_checked),
		cmocka_unit_test(of_both_families),
		cmocka_unit_test(exempt),
		cmocka_unit_test(distances)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
