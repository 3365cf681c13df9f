#include "monitor/cipher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FIRST "\x13" "BitTorrent protocol and what follows it"

static const uint8_t ours[20] = "the swarm we have...";
static const uint8_t other[20] = "a swarm that is not.";

static bool find(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	uint8_t h[20];

	(void)ctx;
	mse_req2(ours, h);
	memcpy(skey, ours, 20);
	return memcmp(h, req2, 20) == 0;
}

/* All that one has to say goes to the other, so many bytes at a time. NULL, or
 * why that one refuses. */
static const char *carry(struct cipher *from, struct cipher *to, size_t step,
    size_t *moved)
{
	uint8_t bytes[MSE_OUT_MAX];
	const char *why = NULL;
	size_t n;

	while (!why && (n = cipher_take(from, bytes, step)) != 0) {
		why = cipher_bytes(to, span_of(bytes, n));
		*moved += n;
	}
	return why;
}

/* Until nobody has anything more to say. */
static const char *shake(struct cipher *a, struct cipher *b, size_t step)
{
	const char *why;
	size_t moved;

	do {
		moved = 0;
		why = carry(a, b, step, &moved);
		if (!why)
			why = carry(b, a, step, &moved);
	} while (!why && moved);
	return why;
}

static void both_ends(void **state)
{
	static const size_t steps[] = { 1, 7, 96, 512, 4096 };

	(void)state;
	for (unsigned offer = 1; offer <= 3; offer++)
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			struct cipher *a = cipher_dial(ours, offer,
			    span_str(FIRST));
			struct cipher *b = cipher_accept(find, NULL);
			uint8_t text[] = "said by A", said[sizeof(text)];
			uint8_t secret[MSE_KEY];
			const uint8_t *s;

			assert_non_null(a);
			assert_non_null(b);
			assert_null(cipher_secret(a));
			assert_null(shake(a, b, steps[i]));
			assert_true(cipher_ready(a) && cipher_ready(b));
			s = cipher_secret(a);
			assert_non_null(s);
			memcpy(secret, s, MSE_KEY);
			s = cipher_secret(b);
			assert_non_null(s);
			assert_memory_equal(secret, s, MSE_KEY);
			assert_null(cipher_secret(a));
			memcpy(said, text, sizeof(text));
			cipher_seal(a, said, sizeof(said));
			/* Plain is preferred where it is offered. */
			assert_int_equal(memcmp(said, text, sizeof(text)) ==
			    0, (offer & MSE_PLAIN) != 0);
			assert_int_equal(cipher_take(a, said, 1), 0);
			assert_null(cipher_bytes(b, span_str("later")));
			cipher_free(a);
			cipher_free(b);
		}
}

static void refusals(void **state)
{
	struct cipher *a = cipher_dial(other, 3, span_str(FIRST));
	struct cipher *b = cipher_accept(find, NULL);
	uint8_t zeros[800] = { 0 };

	(void)state;
	assert_string_equal(shake(a, b, 512), "none of the swarms is meant");
	assert_false(cipher_ready(b));
	cipher_free(a);
	cipher_free(b);

	b = cipher_accept(find, NULL);
	assert_string_equal(cipher_bytes(b, span_of(zeros, sizeof(zeros))),
	    "a degenerate public key");
	cipher_free(b);

	b = cipher_accept(find, NULL);
	memset(zeros, 'x', sizeof(zeros));
	assert_string_equal(cipher_bytes(b, span_of(zeros, sizeof(zeros))),
	    "no HASH('req1', S) within 628 bytes");
	cipher_free(b);
	cipher_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
