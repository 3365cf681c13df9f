/*
 * Message Stream Encryption: forged handshakes, each at many cuts.
 */
#include <openssl/sha.h>

#include "tests/mse_kit.h"

struct forged {
	uint8_t p[4096];
	size_t n;
	RC4_KEY key;
};

static void put(struct forged *f, const void *p, size_t n)
{
	assert_true(n <= sizeof(f->p) - f->n);
	memcpy(f->p + f->n, p, n);
	f->n += n;
}

static void sha1_of(const char *word, const uint8_t *a, size_t n,
    const uint8_t *b, uint8_t out[20])
{
	uint8_t all[256];

	memcpy(all, word, 4);
	memcpy(all + 4, a, n);
	if (b)
		memcpy(all + 4 + n, b, 20);
	SHA1(all, 4 + n + (b ? 20 : 0), out);
}

static void forge_key(struct forged *f, const char *word,
    const uint8_t secret[MSE_KEY])
{
	uint8_t k[20], scrap[1024] = { 0 };

	sha1_of(word, secret, MSE_KEY, swarm_a, k);
	RC4_set_key(&f->key, 20, k);
	RC4(&f->key, sizeof(scrap), scrap, scrap);
}

static void put_sealed(struct forged *f, const void *p, size_t n)
{
	uint8_t bytes[1024];

	assert_true(n <= sizeof(bytes));
	RC4(&f->key, n, p, bytes);
	put(f, bytes, n);
}

/* A's bytes: vc as said, the bits, PadC of pad2 (as far as it is there). */
static void forge_a(struct forged *f, const uint8_t secret[MSE_KEY],
    size_t pad1, uint8_t vc, uint32_t provide, uint16_t pad2, uint16_t ia)
{
	uint8_t h[20], req3[20], head[14] = { vc }, pad[1024] = { 1 };

	*f = (struct forged){ .n = 0 };
	memset(f->p, 0xa1, MSE_KEY);
	f->n = MSE_KEY;
	put(f, pad, pad1);
	sha1_of("req1", secret, MSE_KEY, NULL, h);
	put(f, h, 20);
	sha1_of("req2", swarm_a, 20, NULL, h);
	sha1_of("req3", secret, MSE_KEY, NULL, req3);
	for (int i = 0; i < 20; i++)
		h[i] ^= req3[i];
	put(f, h, 20);
	forge_key(f, "keyA", secret);
	put_u32(head + 8, provide);
	put_u16(head + 12, pad2);
	put_sealed(f, head, 14);
	put_sealed(f, pad, pad2 < 1024 ? pad2 : 1024);
	put_u16(head, ia);
	put_sealed(f, head, 2);
}

static void forge_b(struct forged *f, const uint8_t secret[MSE_KEY],
    size_t pad1, uint32_t select, uint16_t pad2)
{
	uint8_t head[14] = { 0 }, pad[1024] = { 1 };

	*f = (struct forged){ .n = 0 };
	memset(f->p, 0xb1, MSE_KEY);
	f->n = MSE_KEY;
	put(f, pad, pad1);
	forge_key(f, "keyB", secret);
	put_u32(head + 8, select);
	put_u16(head + 12, pad2);
	put_sealed(f, head, 14);
	put_sealed(f, pad, pad2 < 1024 ? pad2 : 1024);
}

static void forged_heads(void **state)
{
	static const struct {
		size_t pad1;
		uint8_t vc;
		uint32_t bits;
		uint16_t pad2;
		const char *a, *b;	/* faults; NULL: legal */
		size_t at_a, at_b;
	} rows[] = {
		{ 0, 0, 3, 0, NULL, "selects neither plain nor RC4", 0, 104 },
		{ 512, 0, 1, 512, NULL, NULL, 0, 0 },
		{ 513, 0, 1, 0, "no HASH('req1', S) within 628 bytes",
		    "no verification constant within 616 bytes", 608, 608 },
		{ 4, 0, 2, 513, "a pad over 512 bytes", "a pad over 512 bytes",
		    152, 112 },
		{ 4, 0, 2, 65535, "a pad over 512 bytes",
		    "a pad over 512 bytes", 152, 112 },
		{ 4, 1, 2, 0, "the verification constant is wrong", NULL, 140,
		    0 },
		{ 4, 0, 0, 0, "offers neither plain nor RC4",
		    "selects neither plain nor RC4", 148, 108 },
		{ 4, 0, 4, 0, "offers neither plain nor RC4",
		    "selects neither plain nor RC4", 148, 108 },
		{ 4, 0, 0xfffffffe, 0, NULL, "selects neither plain nor RC4", 0,
		    108 }
	};
	uint8_t secret[MSE_KEY] = { 7 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t chunk = 0; chunk < 60; chunk += 1 + chunk / 8) {
			struct forged a, b;
			struct mse m;
			struct tap ta = { .m = &m, .by = MSE_A };
			struct tap tb = { .m = &m, .by = MSE_B };

			forge_a(&a, secret, rows[i].pad1, rows[i].vc,
			    rows[i].bits, rows[i].pad2, 0);
			mse_init(&m, find, NULL);
			mse_secret(&m, secret);
			tap_chunks(&ta, a.p, a.n, chunk);
			if (rows[i].a) {
				assert_non_null(m.fault.reason);
				assert_string_equal(m.fault.reason, rows[i].a);
				assert_int_equal(m.fault.offset, rows[i].at_a);
				assert_int_equal(m.fault_by, MSE_A);
			} else {
				assert_null(m.fault.reason);
			}
			mse_init(&m, find, NULL);
			mse_secret(&m, secret);
			ta.n = 0;
			forge_a(&a, secret, 0, 0, 3, 0, 0);
			tap_chunks(&ta, a.p, a.n, chunk);
			assert_null(m.fault.reason);
			forge_b(&b, secret, rows[i].pad1, rows[i].bits,
			    rows[i].pad2);
			tap_chunks(&tb, b.p, b.n, chunk);
			if (rows[i].b) {
				assert_non_null(m.fault.reason);
				assert_string_equal(m.fault.reason, rows[i].b);
				assert_int_equal(m.fault.offset, rows[i].at_b);
				assert_int_equal(m.fault_by, MSE_B);
			} else {
				assert_null(m.fault.reason);
				assert_true(mse_settled(&m));
			}
		}
}

/* What was not offered must not be selected; IA may be long; what comes before
 * the choice is known waits for it. */
static void order(void **state)
{
	uint8_t secret[MSE_KEY] = { 9 }, ia[65535] = { 0 };
	struct forged a, b;
	struct mse m;
	struct tap ta = { .m = &m, .by = MSE_A };
	struct tap tb = { .m = &m, .by = MSE_B };

	(void)state;
	mse_init(&m, find, NULL);
	mse_secret(&m, secret);
	forge_a(&a, secret, 0, 0, MSE_PLAIN, 0, 0);
	forge_b(&b, secret, 0, MSE_RC4, 0);
	tap_chunks(&tb, b.p, b.n, 0);
	assert_int_equal(tb.n, b.n - MSE_KEY);
	tap_chunks(&ta, a.p, a.n, 0);
	tap_bytes(&tb, NULL, 0);
	assert_string_equal(m.fault.reason, "selects what was not offered");

	tb.n = ta.n = 0;
	mse_init(&m, find, NULL);
	mse_secret(&m, secret);
	forge_a(&a, secret, 0, 0, MSE_PLAIN | MSE_RC4, 0, 65535);
	forge_b(&b, secret, 0, MSE_PLAIN, 0);
	tap_chunks(&ta, a.p, a.n, 0);
	RC4(&a.key, sizeof(ia), ia, ia);
	for (size_t at = 0; at < sizeof(ia); at += 4096) {
		size_t n = sizeof(ia) - at < 4096 ? sizeof(ia) - at : 4096;

		ta.clear_n = 0;
		tap_bytes(&ta, ia + at, n);
		assert_int_equal(ta.clear_n, n);
		assert_int_equal(ta.clear[n - 1], 0);
	}
	assert_false(mse_settled(&m));
	ta.clear_n = 0;
	tap_bytes(&ta, (const uint8_t *)"clear", 5);
	assert_int_equal(ta.clear_n, 0);
	tap_chunks(&tb, b.p, b.n, 0);
	assert_true(mse_settled(&m));
	tap_bytes(&ta, NULL, 0);
	tap_has(&ta, "clear");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_heads),
		cmocka_unit_test(order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
