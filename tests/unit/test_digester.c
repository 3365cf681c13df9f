/*
 * Digests on threads: whatever the sizes, and however many are under way, each
 * is that of its bytes in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "schema/digester.h"
#include "schema/gather.h"

#define MANY 300u
#define MOST 700000u

struct one {
	struct hashing h;
	SHA256_CTX got, want;
};

static void take(void *ctx, const uint8_t *p, size_t n)
{
	SHA256_Update(ctx, p, n);
}

static uint8_t *bytes(void)
{
	uint8_t *p = malloc(MOST);
	uint32_t seed = 7;

	assert_non_null(p);
	for (size_t i = 0; i < MOST; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
	return p;
}

static void check(struct one *o)
{
	uint8_t got[32], want[32];

	hashing_wait(&o->h);
	assert_true(hashing_done(&o->h));
	SHA256_Final(got, &o->got);
	SHA256_Final(want, &o->want);
	assert_memory_equal(got, want, 32);
}

/* Every other one is of SHA-256 alone. Some get the same held bytes, some parts of
 * them, some bytes of their own. */
static void run(unsigned threads)
{
	struct digester *g = threads ? digester_new(threads, GATHER_NS) : NULL;
	struct one *all = calloc(MANY, sizeof(*all));
	uint8_t *src = bytes();
	uint32_t seed = 1;

	assert_non_null(all);
	for (unsigned i = 0; i < MANY; i++) {
		SHA256_Init(&all[i].got);
		SHA256_Init(&all[i].want);
		if (i % 2)
			hashing_sha256(&all[i].h, g, &all[i].got);
		else
			hashing_init(&all[i].h, g, take, &all[i].got);
	}
	for (unsigned round = 0; round < 4000; round++) {
		seed = seed * 1664525u + 1013904223u;
		size_t n = round % 500 == 0 ? MOST / 2 : seed >> 21;
		const uint8_t *from = src + (seed >> 8) % (MOST / 2);
		struct one *a = &all[(seed >> 4) % MANY];
		struct one *b = &all[(seed >> 10) % MANY];
		struct digester_chunk *pin;
		const uint8_t *p = digester_hold(g, from, n, &pin);

		hashing_add(&a->h, p, n);
		SHA256_Update(&a->want, from, n);
		hashing_add(&b->h, p + n / 3, n - n / 3);
		SHA256_Update(&b->want, from + n / 3, n - n / 3);
		if (round % 3 == 0) {	/* while the first are still held */
			hashing_add(&a->h, src, 1000);
			SHA256_Update(&a->want, src, 1000);
			hashing_add(&b->h, p, n);
			SHA256_Update(&b->want, from, n);
		}
		digester_unpin(g, pin);
	}
	for (unsigned i = 0; i < MANY; i++)
		check(&all[i]);
	digester_free(g);
	free(all);
	free(src);
}

/* A file's digest of bytes that are lent, and of two streams in it. */
static void lend(unsigned threads)
{
	struct digester *g = threads ? digester_new(threads, GATHER_NS) : NULL;
	struct one *all = calloc(3, sizeof(*all));
	uint8_t *src = bytes(), *block[4];
	uint64_t lot[4] = { 0 };
	uint32_t seed = 3;

	assert_non_null(all);
	for (unsigned i = 0; i < 3; i++) {
		SHA256_Init(&all[i].got);
		SHA256_Init(&all[i].want);
		hashing_sha256(&all[i].h, g, &all[i].got);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(block[i] = malloc(MOST / 4));
	for (unsigned round = 0; round < 4000; round++) {
		uint8_t *p = block[round % 4];
		size_t n, at = 0;

		seed = seed * 1664525u + 1013904223u;
		n = round % 200 == 0 ? MOST / 4 : (seed >> 8) % 20000;
		hashing_await(&all[0].h, lot[round % 4]);
		memcpy(p, src + (seed >> 8) % (MOST / 2), n);
		lot[round % 4] = hashing_lend(&all[0].h, p, n);
		SHA256_Update(&all[0].want, p, n);
		for (size_t part; at < n; at += part) {
			struct one *o = &all[1 + (seed = seed * 5 + 1) / 3 % 2];

			part = n - at < 1448 ? n - at : 1448;
			hashing_add(&o->h, p + at, part);
			SHA256_Update(&o->want, p + at, part);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		check(&all[i]);
	digester_free(g);
	for (unsigned i = 0; i < 4; i++)
		free(block[i]);
	free(all);
	free(src);
}

static void lent(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++)
		lend(n);
}

static void at_once(void **state)
{
	(void)state;
	run(0);
}

static void one_thread(void **state)
{
	(void)state;
	run(1);
}

static void threads(void **state)
{
	(void)state;
	run(3);
}

/* Fewer messages than go at once, for which nobody asks, are taken when they have
 * had patience, while the thread that helps has jobs as well as without. */
static void gather(bool busy)
{
	struct digester *g = digester_new(1, GATHER_NS);
	struct gathered m[3];
	struct one o;
	uint8_t *src = bytes(), want[32];
	time_t end = time(NULL) + 60;
	bool all = false;

	assert_non_null(g);
	SHA256_Init(&o.got);
	SHA256_Init(&o.want);
	hashing_init(&o.h, g, take, &o.got);
	for (unsigned i = 0; i < 3 && digester_gather(g); i++) {
		assert_true(gathered_begin(&m[i], digester_gather(g), MOST));
		memcpy(m[i].bytes, src, MOST);
		gathered_give(&m[i], false);
	}
	while (digester_gather(g) && !all && time(NULL) < end) {
		if (busy) {
			hashing_add(&o.h, src, 5000);
			SHA256_Update(&o.want, src, 5000);
		}
		all = gathered_done(&m[0]) && gathered_done(&m[1]) &&
		    gathered_done(&m[2]);
	}
	assert_int_equal(all, digester_gather(g) != NULL);
	for (unsigned i = 0; i < 3 && all; i++) {
		assert_memory_equal(m[i].lane.sha256, SHA256(src, MOST, want),
		    32);
		gathered_end(&m[i]);
	}
	check(&o);
	digester_free(g);
	free(src);
}

static void gathered_idle(void **state)
{
	(void)state;
	gather(false);
}

static void gathered_busy(void **state)
{
	(void)state;
	gather(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_once),
		cmocka_unit_test(one_thread),
		cmocka_unit_test(threads),
		cmocka_unit_test(lent),
		cmocka_unit_test(gathered_idle),
		cmocka_unit_test(gathered_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
