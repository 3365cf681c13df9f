#include "wire/sntp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define S 1000000000ll
#define NTP_1970 2208988800ull

static const uint8_t token[SNTP_TOKEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* A stratum 2 server: root delay 1/64 s, root dispersion 1/128 s, precision
 * 2^-20 s, receive and transmit at the given moments. */
static void make(uint8_t p[SNTP_BYTES], uint64_t receive, uint64_t transmit)
{
	memset(p, 0, SNTP_BYTES);
	p[0] = 0 << 6 | 4 << 3 | 4;
	p[1] = 2;
	p[2] = 6;
	p[3] = (uint8_t)-20;
	put_u32(p + 4, 0x400);
	put_u32(p + 8, 0x200);
	memcpy(p + 12, "GPS", 3);
	memcpy(p + 24, token, sizeof(token));
	put_u64(p + 32, receive);
	put_u64(p + 40, transmit);
}

static uint64_t ntp(int64_t s, uint32_t fraction)
{
	return (((uint64_t)s + NTP_1970) & 0xffffffffu) << 32 | fraction;
}

static enum wire_status read_exact(const uint8_t *p, size_t n, int64_t near_ns,
    struct sntp_reply *r, struct wire_error *err)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum wire_status got;

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	got = sntp_read(span_of(copy, n), token, near_ns, r, err);
	free(copy);
	return got;
}

static void the_question(void **state)
{
	static const uint8_t zero[39];
	uint8_t out[SNTP_BYTES];

	(void)state;
	memset(out, 0xee, sizeof(out));
	sntp_ask(out, token);
	assert_int_equal(out[0], 0x23);		/* version 4, client */
	assert_memory_equal(out + 1, zero, 39);	/* our clock is not told */
	assert_memory_equal(out + 40, token, 8);
}

static void an_answer(void **state)
{
	uint8_t p[SNTP_BYTES];
	struct sntp_reply r;
	struct wire_error err;
	struct sntp_offset o;
	const int64_t at = 1700000000;

	(void)state;
	make(p, ntp(at, 0x80000000u), ntp(at, 0xc0000000u));
	assert_int_equal(read_exact(p, sizeof(p), at * S, &r, &err), WIRE_OK);
	assert_true(r.receive_ns == at * S + S / 2);
	assert_true(r.transmit_ns == at * S + 3 * S / 4);
	assert_true(r.root_delay_ns == S / 64);
	assert_true(r.root_dispersion_ns == 7812500);
	assert_true(r.precision_ns == S >> 20);
	assert_int_equal(r.stratum, 2);
	assert_null(sntp_unusable(&r));
	/* We asked at .3, it had it at .5, answered at .75, we had it at .95:
	 * nothing but delay. */
	assert_true(sntp_offset(&r, at * S + 300000000, at * S + 950000000,
	    &o));
	assert_true(o.offset_ns == 0);
	assert_true(o.delay_ns == 400000000);
	assert_true(o.dispersion_ns == 7812500 + (S >> 20));
	assert_true(o.bound_ns == 200000000 + 7812500 + o.dispersion_ns);
	/* Our clock 10 s slow. */
	assert_true(sntp_offset(&r, at * S - 10 * S + 300000000,
	    at * S - 10 * S + 950000000, &o));
	assert_true(o.offset_ns == 10 * S);
	assert_true(o.delay_ns == 400000000);
	/* We waited less than it says it held the question. */
	assert_false(sntp_offset(&r, at * S + 300000000, at * S + 400000000,
	    &o));
	assert_false(sntp_offset(&r, at * S + 300000000, at * S, &o));
	make(p, ntp(at, 2), ntp(at - 1, 1));
	assert_int_equal(read_exact(p, sizeof(p), at * S, &r, &err), WIRE_OK);
	assert_false(sntp_offset(&r, at * S, at * S + S, &o));
}

/* The 32 bits of seconds wrap in 2036. */
static void eras(void **state)
{
	static const int64_t at[] = { 0, 1700000000, 2085978495, 2085978496,
		2085978497, 3000000000, 4294967296 };
	uint8_t p[SNTP_BYTES];
	struct sntp_reply r;
	struct wire_error err;

	(void)state;
	for (size_t i = 0; i < COUNT(at); i++)
		for (int64_t near = -1000000; near <= 1000000; near += 500000) {
			make(p, ntp(at[i], 7), ntp(at[i], 7));
			if (at[i] == 2085978496)
				put_u32(p + 36, 7);	/* seconds are 0 */
			assert_int_equal(read_exact(p, sizeof(p),
			    (at[i] + near) * S, &r, &err), WIRE_OK);
			assert_true(r.receive_ns / S == at[i]);
		}
}

static void at_every_length(void **state)
{
	uint8_t p[SNTP_BYTES + 20] = { 0 };
	struct sntp_reply r;
	struct wire_error err;

	(void)state;
	make(p, ntp(1, 1), ntp(1, 1));
	for (size_t n = 0; n < sizeof(p); n++) {
		/* An authenticator may follow. */
		assert_int_equal(read_exact(p, n, S, &r, &err),
		    n < SNTP_BYTES ? WIRE_BAD : WIRE_OK);
		if (n < SNTP_BYTES)
			assert_int_equal(err.offset, n);
	}
}

static void refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		size_t offset;
	} cases[] = {
		{ 0, 4 << 3 | 3, 0 },	/* a client */
		{ 0, 4 << 3 | 5, 0 },	/* broadcast */
		{ 0, 0 << 3 | 4, 0 },	/* version */
		{ 0, 5 << 3 | 4, 0 },
		{ 24, 9, 24 },		/* token */
		{ 31, 9, 24 },
	};
	uint8_t p[SNTP_BYTES];
	struct sntp_reply r;
	struct wire_error err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		make(p, ntp(1, 1), ntp(1, 1));
		p[cases[i].at] = cases[i].byte;
		assert_int_equal(read_exact(p, sizeof(p), S, &r, &err),
		    WIRE_BAD);
		assert_int_equal(err.offset, cases[i].offset);
	}
	make(p, 0, ntp(1, 1));
	assert_int_equal(read_exact(p, sizeof(p), S, &r, &err), WIRE_BAD);
	assert_int_equal(err.offset, 32);
	make(p, ntp(1, 1), 0);
	assert_int_equal(read_exact(p, sizeof(p), S, &r, &err), WIRE_BAD);
	assert_int_equal(err.offset, 40);
}

static void unusable(void **state)
{
	static const struct {
		size_t at;
		uint32_t word;
		bool usable;
	} cases[] = {
		{ 0, 0xe40206ec, false },	/* leap 3 */
		{ 0, 0x241006ec, false },	/* stratum 16 */
		{ 0, 0x240f06ec, true },
		{ 0, 0x640206ec, true },	/* a leap second is coming */
		{ 4, 0x00010000, false },	/* root delay 1 s */
		{ 4, 0x0000fff0, true },
		{ 4, 0xffff0000, false },	/* -1 s */
		{ 8, 0x00010000, false },
		{ 8, 0x80000000, false },
	};
	uint8_t p[SNTP_BYTES];
	struct sntp_reply r;
	struct wire_error err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		make(p, ntp(1, 1), ntp(1, 1));
		put_u32(p + cases[i].at, cases[i].word);
		assert_int_equal(read_exact(p, sizeof(p), S, &r, &err),
		    WIRE_OK);
		assert_int_equal(sntp_unusable(&r) == NULL, cases[i].usable);
	}
}

static void kisses(void **state)
{
	static const struct { const char *id, *want; } cases[] = {
		{ "RATE", "RATE" }, { "DENY", "DENY" }, { "RSTR", "RSTR" },
		{ "ra\nE", "?" }, { "\377\0\0\0", "?" }, { "AB\0\0", "?" },
	};
	uint8_t p[SNTP_BYTES];
	struct sntp_reply r;
	struct wire_error err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		make(p, 0, 0);
		p[1] = 0;
		memcpy(p + 12, cases[i].id, 4);
		assert_int_equal(read_exact(p, sizeof(p), S, &r, &err),
		    WIRE_OK);
		assert_string_equal(r.kiss, cases[i].want);
		assert_non_null(sntp_unusable(&r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_question),
		cmocka_unit_test(an_answer),
		cmocka_unit_test(eras),
		cmocka_unit_test(at_every_length),
		cmocka_unit_test(refused),
		cmocka_unit_test(unusable),
		cmocka_unit_test(kisses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
