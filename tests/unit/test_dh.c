/*
 * The key exchange of encrypted conversations: both ends reach one secret, and
 * keys with which anybody would know it are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/dh.h"
#include "schema/json.h"

#define PRIME "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd1" \
	"29024e088a67cc74020bbea63b139b22514a08798e3404dd" \
	"ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245" \
	"e485b576625e7ec6f44c42e9a63a36210000000000090563"

static void both_ends(void **state)
{
	uint8_t x[2][DH_PRIVATE] = { { 1, 2, 3 }, { 0xff, 0xfe } };
	uint8_t y[2][MSE_KEY], s[2][MSE_KEY];
	const char *reason;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(dh_public(x[i], y[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(dh_secret(x[i], y[!i], s[i], &reason), 0);
	assert_memory_equal(s[0], s[1], MSE_KEY);
	assert_memory_not_equal(s[0], y[0], MSE_KEY);
}

/* 2^3 = 8 fills all 96 bytes; (2^3)^2 = 64. */
static void small_numbers(void **state)
{
	uint8_t x[DH_PRIVATE] = { [DH_PRIVATE - 1] = 3 };
	uint8_t y[MSE_KEY], s[MSE_KEY], want[MSE_KEY] = { [MSE_KEY - 1] = 8 };
	const char *reason;

	(void)state;
	assert_int_equal(dh_public(x, y), 0);
	assert_memory_equal(y, want, MSE_KEY);
	x[DH_PRIVATE - 1] = 2;
	want[MSE_KEY - 1] = 64;
	assert_int_equal(dh_secret(x, y, s, &reason), 0);
	assert_memory_equal(s, want, MSE_KEY);
}

static void degenerate(void **state)
{
	/* added to the prime's last byte, but for 0 to 2 alone */
	static const struct {
		int from_prime, last;
		bool good;
	} rows[] = {
		{ 0, 0, false }, { 0, 1, false }, { 0, 2, true },
		{ 1, -2, true }, { 1, -1, false }, { 1, 0, false },
		{ 1, 1, false }, { 1, 0xff - 0x63, false }
	};
	uint8_t x[DH_PRIVATE] = { 9 }, y[MSE_KEY], s[MSE_KEY];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *reason = NULL;

		memset(y, 0, sizeof(y));
		if (rows[i].from_prime)
			assert_true(hex_read(span_str(PRIME), y, MSE_KEY));
		y[MSE_KEY - 1] = (uint8_t)(y[MSE_KEY - 1] + rows[i].last);
		assert_int_equal(dh_secret(x, y, s, &reason),
		    rows[i].good ? 0 : -1);
		if (!rows[i].good)
			assert_string_equal(reason, "a degenerate public key");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends),
		cmocka_unit_test(small_numbers),
		cmocka_unit_test(degenerate)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
