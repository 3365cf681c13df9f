#include "wire/bloom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/sha.h>

/* As BEP 33 describes it: two indices from the SHA-1 of the address. */
static void add(uint8_t f[BLOOM_BYTES], const uint8_t *ip, size_t n)
{
	uint8_t h[20];

	SHA1(ip, n, h);
	for (int i = 0; i < 4; i += 2) {
		unsigned at = (h[i] | (unsigned)h[i + 1] << 8) % 2048;

		f[at / 8] |= (uint8_t)(1u << at % 8);
	}
}

/* BEP 33's vector: 192.0.2.0 to .255 and 2001:db8:: to 2001:db8::3e7. */
static void the_vector(void **state)
{
	static const uint8_t head[8] = { 0xf6, 0xc3, 0xf5, 0xea, 0xa0, 0x7f,
		0xfd, 0x91 };
	uint8_t four[BLOOM_BYTES] = { 0 }, six[BLOOM_BYTES] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		add(four, (uint8_t[]){ 192, 0, 2, (uint8_t)i }, 4);
	for (unsigned i = 0; i < 1000; i++)
		add(six, (uint8_t[16]){ 0x20, 1, 0x0d, 0xb8,
		    [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i }, 16);
	bloom_merge(four, six);
	assert_memory_equal(four, head, sizeof(head));
	assert_true(bloom_estimate(four) > 1224.9308);
	assert_true(bloom_estimate(four) < 1224.9310);
	/* What is in already adds nothing. */
	bloom_merge(four, six);
	assert_true(bloom_estimate(four) < 1224.9310);
}

static void estimates(void **state)
{
	uint8_t f[BLOOM_BYTES] = { 0 };
	double last = 0;

	(void)state;
	assert_true(bloom_estimate(f) == 0);
	add(f, (const uint8_t *)"abcd", 4);
	assert_true(bloom_estimate(f) > 0.99 && bloom_estimate(f) < 1.01);
	memset(f, 0, sizeof(f));
	for (unsigned bit = 0; bit < 2047; bit++) {
		f[bit / 8] |= (uint8_t)(1u << bit % 8);
		assert_true(bloom_estimate(f) > last);
		last = bloom_estimate(f);
	}
	/* One zero left: ln(1/2048) / (2 ln(2047/2048)) */
	assert_true(last > 7805 && last < 7806);
	f[255] = 0xff;
	assert_true(bloom_estimate(f) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector),
		cmocka_unit_test(estimates)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
