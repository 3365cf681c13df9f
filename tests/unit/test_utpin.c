/*
 * The receiving half of a uTP conversation: packets in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/utpin.h"
#include "wire/utppacket.h"

static size_t drain(struct utpin *in, char *to, size_t room)
{
	size_t n = 0;

	for (struct span s; (s = utpin_read(in)).n; utpin_consume(in, s.n)) {
		assert_true(s.n <= room - n);
		memcpy(to + n, s.p, s.n);
		n += s.n;
	}
	return n;
}

static void reorder(void **state)
{
	struct utp_block blocks[16];
	struct utpin in;
	uint8_t sack[UTP_SACK_MAX];
	char got[64];

	(void)state;
	utpin_init(&in, blocks, 16, 8192, 0xfffe);
	assert_int_equal(utpin_window(&in), 8192);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 0);
	assert_int_equal(utpin_put(&in, (uint16_t)(0xfffe + UTP_REORDER),
	    span_str("x"), false), UTPIN_OUTSIDE);
	/* fffe is missing; ffff, 1 and 31 come */
	assert_int_equal(utpin_put(&in, 0xffff, span_str("bc"), false),
	    UTPIN_NEW);
	assert_int_equal(utpin_put(&in, 0xffff, span_str("XX"), false),
	    UTPIN_DUPLICATE);
	assert_int_equal(utpin_put(&in, 1, span_str("f"), false), UTPIN_NEW);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 4);
	assert_memory_equal(sack, "\5\0\0\0", 4);
	assert_int_equal(utpin_put(&in, 31, span_str("far"), true), UTPIN_NEW);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 8);
	assert_memory_equal(sack, "\5\0\0\0\1\0\0\0", 8);
	assert_int_equal(utpin_sack(&in, sack, 7), 4);
	assert_int_equal(utpin_sack(&in, sack, 3), 0);
	assert_int_equal(utpin_put(&in, 0xfffd, span_str("old"), false),
	    UTPIN_DUPLICATE);
	assert_int_equal(utpin_put(&in, 32, span_str("beyond the FIN"), false),
	    UTPIN_OUTSIDE);
	assert_int_equal(drain(&in, got, sizeof(got)), 0);
	assert_int_equal(utpin_window(&in), 8192 - 6);
	assert_int_equal(utpin_put(&in, 0xfffe, span_str("a"), false),
	    UTPIN_NEW);
	assert_int_equal(utpin_put(&in, 0, span_str("de"), false), UTPIN_NEW);
	assert_int_equal(drain(&in, got, sizeof(got)), 6);
	assert_memory_equal(got, "abcdef", 6);
	assert_int_equal(in.ack, 1);
	for (uint16_t seq = 2; seq < 31; seq++) {
		assert_false(in.eof);
		assert_int_equal(utpin_put(&in, seq, span_str(""), false),
		    UTPIN_NEW);
	}
	assert_true(in.eof);
	assert_int_equal(drain(&in, got, sizeof(got)), 3);
	assert_int_equal(in.used, 0);
	assert_int_equal(utpin_put(&in, 32, span_str("more"), false),
	    UTPIN_OUTSIDE);
}

/* Packets ahead never take the room of the one that closes the gap. */
static void reorder_full(void **state)
{
	static uint8_t full[UTP_BLOCK], big[9 * UTP_BLOCK];
	struct utp_block *blocks = calloc(8, sizeof(*blocks));
	struct utpin in;
	uint16_t seq = 1;

	(void)state;
	assert_non_null(blocks);
	utpin_init(&in, blocks, 8, 8 * UTP_BLOCK, 0);
	while (utpin_put(&in, seq, span_of(full, UTP_BLOCK), false) ==
	    UTPIN_NEW)
		seq++;
	assert_int_equal(seq, 8);
	assert_int_equal(utpin_window(&in), 0);
	assert_int_equal(utpin_put(&in, 0, span_of(full, 1), false),
	    UTPIN_NEW);
	assert_int_equal(in.ack, 7);
	assert_int_equal(in.ready, 7 * UTP_BLOCK + 1);
	/* small packets take whole blocks: the window says so */
	while (in.ready)
		utpin_consume(&in, 100);
	for (seq = 9; utpin_put(&in, seq, span_of(full, 1), false) ==
	    UTPIN_NEW; )
		seq++;
	assert_int_equal(seq, 9 + 7);
	assert_true(utpin_window(&in) <= UTP_BLOCK);
	assert_int_equal(utpin_put(&in, 8, span_of(big, sizeof(big)), false),
	    UTPIN_OUTSIDE);
	assert_int_equal(utpin_put(&in, 8, span_of(full, UTP_BLOCK), false),
	    UTPIN_NEW);
	utpin_deafen(&in);
	assert_int_equal(utpin_put(&in, 16, span_of(full, 9), false),
	    UTPIN_NEW);
	assert_int_equal(in.ready, UTP_BLOCK + 7);
	assert_int_equal(in.used, 2);
	while (in.ready)
		utpin_consume(&in, UTP_BLOCK);
	assert_int_equal(in.used, 0);
	free(blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reorder),
		cmocka_unit_test(reorder_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
