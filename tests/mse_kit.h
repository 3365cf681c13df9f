/*
 * For tests of Message Stream Encryption: a reader in the middle, and the two
 * swarms that it may find.
 */
#ifndef TESTS_MSE_KIT_H
#define TESTS_MSE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "wire/mse.h"

static const uint8_t swarm_a[20] = "the first swarm....";
static const uint8_t swarm_b[20] = "the other swarm....";

/* Of swarm_b, and of ctx or else swarm_a: mse_init's find. */
static inline bool find(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	const uint8_t *const all[] = { swarm_b, ctx ? ctx : swarm_a };
	uint8_t mine[20];

	for (size_t i = 0; i < COUNT(all); i++) {
		mse_req2(all[i], mine);
		if (memcmp(mine, req2, 20) != 0)
			continue;
		memcpy(skey, all[i], 20);
		return true;
	}
	return false;
}

/* A reader that is offered one end's bytes in chunks, and keeps the rest. */
struct tap {
	struct mse *m;
	enum mse_end by;
	uint8_t kept[8192];
	size_t n;
	uint8_t clear[8192];
	size_t clear_n;
};

static inline void tap_bytes(struct tap *t, const uint8_t *p, size_t n)
{
	uint8_t *out = malloc(sizeof(t->clear));
	struct span in;
	size_t got;
	struct cur c;

	assert_non_null(out);
	assert_true(n <= sizeof(t->kept) - t->n);
	if (n)
		memcpy(t->kept + t->n, p, n);
	t->n += n;
	in = exact(t->kept, t->n);
	c = cur_of(in);
	got = mse_read(t->m, t->by, &c, out, sizeof(t->clear) - t->clear_n);
	assert_false(c.bad);
	memcpy(t->clear + t->clear_n, out, got);
	t->clear_n += got;
	t->n = cur_left(&c);
	memcpy(t->kept, c.p, t->n);
	unexact(in);
	free(out);
}

static inline void tap_chunks(struct tap *t, const uint8_t *p, size_t n,
    size_t chunk)
{
	for (size_t now; n > 0; p += now, n -= now) {
		now = chunk && chunk < n ? chunk : n;
		tap_bytes(t, p, now);
	}
}

/* All that came was read, and is this text. */
static inline void tap_has(const struct tap *t, const char *text)
{
	assert_int_equal(t->clear_n, strlen(text));
	assert_memory_equal(t->clear, text, strlen(text));
	assert_int_equal(t->n, 0);
}

#endif
