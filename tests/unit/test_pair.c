/*
 * SHA-256 of two streams side by side: whatever the lengths and wherever they
 * are cut, and between calls to libcrypto's own, what libcrypto gives alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/pair.h"

#define MOST 3000u

static uint32_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

/* Of its exact length, so that a byte too many is seen. */
static uint8_t *some(size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)below(256);
	return p;
}

static void check(SHA256_CTX *c, SHA256_CTX *want)
{
	uint8_t a[32], b[32];

	assert_int_equal(c->num, want->num);
	SHA256_Final(a, c);
	SHA256_Final(b, want);
	assert_memory_equal(a, b, 32);
}

static void both(SHA256_CTX c[2], SHA256_CTX want[2], size_t n)
{
	uint8_t *p = some(n), *q = some(n);

	pair_update(&c[0], p, &c[1], q, n);
	SHA256_Update(&want[0], p, n);
	SHA256_Update(&want[1], q, n);
	free(p);
	free(q);
}

/* Each place in a block where either may stand, and lengths to four blocks. */
static void every_place(void **state)
{
	SHA256_CTX c[2], want[2];
	uint8_t *lead = some(64);

	(void)state;
	for (size_t i = 0; i < 64; i += 3)
		for (size_t k = 0; k < 64; k++)
			for (size_t n = 0; n <= 256; n += 1 + below(40)) {
				for (int x = 0; x < 2; x++) {
					SHA256_Init(&c[x]);
					SHA256_Update(&c[x], lead, x ? k : i);
					want[x] = c[x];
				}
				both(c, want, n);
				check(&c[0], &want[0]);
				check(&c[1], &want[1]);
			}
	free(lead);
}

static void random_cuts(void **state)
{
	SHA256_CTX c[2], want[2];

	(void)state;
	for (int round = 0; round < 300; round++) {
		for (int x = 0; x < 2; x++) {
			SHA256_Init(&c[x]);
			SHA256_Init(&want[x]);
		}
		for (uint32_t cuts = below(12); cuts; cuts--) {
			int x = (int)below(2);
			size_t n = below(3) ? below(200) : below(MOST);
			uint8_t *p = some(n);

			both(c, want, below(3) ? below(200) : below(MOST));
			SHA256_Update(&c[x], p, n);
			SHA256_Update(&want[x], p, n);
			free(p);
		}
		check(&c[0], &want[0]);
		check(&c[1], &want[1]);
	}
}

/* The count of bits runs over from its lower word. */
static void long_stream(void **state)
{
	SHA256_CTX c[2], want[2];

	(void)state;
	for (int x = 0; x < 2; x++) {
		SHA256_Init(&c[x]);
		c[x].Nl = 0xffffff00u << 1;
		c[x].Nh = (SHA_LONG)x;
		want[x] = c[x];
	}
	both(c, want, 1000);
	for (int x = 0; x < 2; x++) {
		assert_int_equal(c[x].Nl, want[x].Nl);
		assert_int_equal(c[x].Nh, x + 1);
		check(&c[x], &want[x]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place),
		cmocka_unit_test(random_cuts),
		cmocka_unit_test(long_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
