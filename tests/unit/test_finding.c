#include "monitor/hashindex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/utptable.h"

#define MANY 500u

static unsigned seed = 1;

static unsigned roll(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* Few beginnings, so that places are fought for. */
static void hash_of(unsigned i, uint8_t hash[20])
{
	memset(hash, 0, 20);
	hash[0] = (uint8_t)(i % 7 * 37);
	hash[10] = (uint8_t)i;
	hash[11] = (uint8_t)(i >> 8);
}

static void hashes(void **state)
{
	struct hashindex t = { 0 };
	bool in[MANY] = { false };
	int value[MANY];
	uint8_t hash[20];

	(void)state;
	hash_of(0, hash);
	assert_null(hashindex_find(&t, hash));
	hashindex_remove(&t, hash, value);
	for (int step = 0; step < 20000; step++) {
		unsigned i = roll(MANY);

		hash_of(i, hash);
		if (roll(2)) {
			assert_int_equal(hashindex_add(&t, hash, &value[i],
			    (int)i), 0);
			in[i] = true;
		} else {
			hashindex_remove(&t, hash, &value[(i + 1) % MANY]);
			if (roll(2)) {
				hashindex_remove(&t, hash, &value[i]);
				in[i] = false;
			}
		}
		i = roll(MANY);
		hash_of(i, hash);
		const struct hashindex_row *r = hashindex_find(&t, hash);

		assert_int_equal(r != NULL, in[i]);
		if (r) {
			assert_ptr_equal(r->value, &value[i]);
			assert_int_equal(r->n, i);
		}
	}
	hash_of(3, hash);	/* the first put in stands */
	hashindex_remove(&t, hash, &value[3]);
	assert_int_equal(hashindex_add(&t, hash, &value[3], 3), 0);
	assert_int_equal(hashindex_add(&t, hash, &value[4], 4), 0);
	assert_ptr_equal(hashindex_find(&t, hash)->value, &value[3]);
	hashindex_fini(&t);
}

static uint64_t least(const struct utptable_row *r, const bool *in)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < MANY; i++)
		if (in[i] && r[i].due_us < due)
			due = r[i].due_us;
	return due;
}

static void conversations(void **state)
{
	struct utptable t = { .key = "sixteen bytes.." };
	static struct utptable_row r[MANY];
	bool in[MANY] = { false };
	unsigned count = 0;

	(void)state;
	assert_null(utptable_first(&t));
	assert_null(utptable_find(&t, &r[0].who, 1));
	for (unsigned i = 0; i < MANY; i++) {
		r[i].who = (struct endpoint){ .family = 4,
			.port = (uint16_t)(i % 9), .addr = { 10, 0, 0,
			(uint8_t)(i % 11) } };
		r[i].id = (uint16_t)(i / 99);
	}
	for (int step = 0; step < 20000; step++) {
		unsigned i = roll(MANY);

		if (in[i] && roll(2)) {
			utptable_remove(&t, &r[i]);
			in[i] = false;
			count--;
		} else if (in[i]) {
			utptable_move(&t, &r[i], roll(9) ? roll(1000) :
			    UINT64_MAX);
		} else {
			r[i].due_us = roll(1000);
			assert_int_equal(utptable_add(&t, &r[i]), 0);
			in[i] = true;
			count++;
		}
		i = roll(MANY);
		assert_ptr_equal(utptable_find(&t, &r[i].who, r[i].id),
		    in[i] ? &r[i] : NULL);
		assert_int_equal(t.count, count);
		if (count)
			assert_int_equal(utptable_first(&t)->due_us,
			    least(r, in));
	}
	utptable_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(conversations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
