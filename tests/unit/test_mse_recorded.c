/*
 * Message Stream Encryption: two handshakes that another client's tests
 * recorded, left out where that file is not at hand.
 */
#include <openssl/evp.h>

#include "schema/dh.h"
#include "tests/mse_kit.h"

#define VECTORS "../shared/vectors/mse_vectors.txt"

/* The value of the nth line that holds the words, base64 decoded. */
static size_t vector(const char *words, int nth, uint8_t *out, size_t room)
{
	FILE *f = fopen(VECTORS, "r");
	char line[4096];
	size_t n = 0;

	assert_non_null(f);
	while (n == 0 && fgets(line, sizeof(line), f)) {
		char *v = strrchr(line, ':');
		size_t len;
		int got;

		if (!strstr(line, words) || !v || nth-- > 0)
			continue;
		v += strspn(v, ": ");
		len = strcspn(v, "\r\n ");
		assert_true(len % 4 == 0 && len / 4 * 3 <= room);
		got = EVP_DecodeBlock(out, (uint8_t *)v, (int)len);
		assert_true(got > 0);
		n = (size_t)got - (v[len - 1] == '=') - (v[len - 2] == '=');
	}
	fclose(f);
	assert_true(n > 0);
	return n;
}

static const uint8_t recorded_skey[20] = { 0x2c, 0x6b, 0x68, 0x58, 0xd6, 0x1d,
	0xa9, 0x54, 0x3d, 0x42, 0x31, 0xa7, 0x1d, 0xb4, 0xb1, 0xc9, 0x26, 0x4b,
	0x06, 0x85 };

static bool no_vectors(void)
{
	FILE *f = fopen(VECTORS, "r");

	if (f)
		fclose(f);
	else
		print_message("%s is not there: skipped\n", VECTORS);
	return !f;
}

static void recorded_incoming(void **state)
{
	uint8_t x[20], y[97], head[512], secret[MSE_KEY], skey[20];
	const char *reason;
	size_t n;

	(void)state;
	if (no_vectors())
		skip();
	memcpy(skey, recorded_skey, 20);
	assert_int_equal(vector("private key X", 0, x, sizeof(x) + 1), 20);
	assert_int_equal(vector("peer sends Ya", 0, y, sizeof(y)), MSE_KEY);
	n = vector("then ", 0, head, sizeof(head));
	assert_int_equal(dh_secret(x, y, secret, &reason), 0);
	for (size_t chunk = 0; chunk < 90; chunk++) {
		struct mse m;
		struct tap t = { .m = &m, .by = MSE_A };

		mse_init(&m, find, skey);
		tap_chunks(&t, y, MSE_KEY, chunk);
		assert_memory_equal(m.flow[MSE_A].key, y, MSE_KEY);
		mse_secret(&m, secret);
		tap_chunks(&t, head, n, chunk);
		assert_null(m.fault.reason);
		assert_int_equal(m.flow[MSE_A].pad1, 10);
		assert_int_equal(m.provide, MSE_RC4);
		assert_int_equal(m.flow[MSE_A].pad2, 0);
		assert_int_equal(m.ia, 68);
		assert_memory_equal(m.skey, recorded_skey, 20);
		assert_int_equal(t.clear_n, 68);
		assert_memory_equal(t.clear, "\x13" "BitTorrent protocol"
		    "\0\0\0\0\0\x10\0\5", 28);
		assert_memory_equal(t.clear + 48, "-TR300Z-w4bd4mkebkbi", 20);
	}
}

static void recorded_outgoing(void **state)
{
	uint8_t x[20 + 1], y[97], rest[1024], secret[MSE_KEY];
	uint8_t req1[21], ours[97];
	struct mse_conf conf = { .end = MSE_A, .allow = MSE_RC4 | MSE_PLAIN,
		.ia_n = 68 };
	struct mse_shake *s = malloc(sizeof(*s));
	const char *reason;
	size_t n;

	(void)state;
	if (no_vectors()) {
		free(s);
		skip();
	}
	assert_int_equal(vector("private key X", 0, x, sizeof(x)), 20);
	assert_int_equal(vector("peer sends Yb", 0, y, sizeof(y)), MSE_KEY);
	assert_int_equal(vector("we must send", 0, req1, sizeof(req1)), 20);
	n = vector("then peer sends", 0, rest, sizeof(rest));
	assert_int_equal(dh_public(x, ours), 0);
	assert_int_equal(ours[0], 0xb2);
	assert_int_equal(ours[95], 0xc9);
	assert_int_equal(dh_secret(x, y, secret, &reason), 0);
	memcpy(conf.key, ours, MSE_KEY);
	memcpy(conf.skey, recorded_skey, 20);
	mse_shake_init(s, &conf);
	assert_int_equal(s->out_n, MSE_KEY);
	assert_memory_equal(s->out, ours, MSE_KEY);
	s->out_n = 0;
	assert_int_equal(mse_shake_bytes(s, span_of(y, MSE_KEY)),
	    MSE_WANT_SECRET);
	assert_memory_equal(mse_shake_key(s), y, MSE_KEY);
	assert_int_equal(mse_shake_secret(s, secret), MSE_WANT_BYTES);
	assert_memory_equal(s->out, req1, 20);
	assert_int_equal(s->out_n, 40 + 14 + 2 + 68);
	assert_int_equal(mse_shake_bytes(s, span_of(rest, n)), MSE_DONE);
	assert_false(s->seal.plain);
	for (size_t chunk = 0; chunk < 90; chunk++) {
		struct mse m;
		struct tap a = { .m = &m, .by = MSE_A };
		struct tap b = { .m = &m, .by = MSE_B };

		mse_init(&m, NULL, NULL);
		mse_skey(&m, recorded_skey);
		mse_secret(&m, secret);
		tap_chunks(&a, ours, MSE_KEY, chunk);
		tap_chunks(&a, s->out, s->out_n, chunk);
		tap_chunks(&b, y, MSE_KEY, chunk);
		tap_chunks(&b, rest, n, chunk);
		assert_null(m.fault.reason);
		assert_int_equal(m.flow[MSE_B].pad1, 130);
		assert_int_equal(m.flow[MSE_B].pad2, 265);
		assert_int_equal(m.select, MSE_RC4);
		assert_true(b.clear_n >= 68);
		assert_memory_equal(b.clear, "\x13" "BitTorrent protocol"
		    "\0\0\0\0\0\x18\0\5", 28);
		assert_memory_equal(b.clear + 48, "-qB4250-scysDI_JuVN3", 20);
	}
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_incoming),
		cmocka_unit_test(recorded_outgoing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
