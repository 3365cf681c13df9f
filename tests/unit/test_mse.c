/*
 * Message Stream Encryption: our handshakes against ourselves, with every offer
 * and pad.
 */
#include "schema/dh.h"
#include "tests/mse_kit.h"

/* Two ends, with a reader between them that hears all. */
struct pair {
	struct mse_shake end[2];
	struct mse reader;
	struct tap tap[2];
	uint8_t secret[MSE_KEY];
	size_t chunk;
};

static void pair_say(struct pair *p, enum mse_end by, const uint8_t *bytes,
    size_t n)
{
	enum mse_end to = by == MSE_A ? MSE_B : MSE_A;

	for (size_t now; n > 0; bytes += now, n -= now) {
		struct span copy;

		now = p->chunk && p->chunk < n ? p->chunk : n;
		copy = exact(bytes, now);
		tap_bytes(&p->tap[by], copy.p, now);
		if (mse_shake_bytes(&p->end[to], copy) == MSE_WANT_SECRET)
			mse_shake_secret(&p->end[to], p->secret);
		unexact(copy);
	}
}

static bool pair_turn(struct pair *p, enum mse_end by)
{
	uint8_t out[MSE_OUT_MAX];
	size_t n = p->end[by].out_n;

	memcpy(out, p->end[by].out, n);
	p->end[by].out_n = 0;
	pair_say(p, by, out, n);
	return n > 0;
}

static struct pair *pair_new(const struct mse_conf *a,
    const struct mse_conf *b, size_t chunk)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->chunk = chunk;
	memset(p->secret, 0x5a, sizeof(p->secret));
	mse_init(&p->reader, find, NULL);
	mse_secret(&p->reader, p->secret);
	for (int i = 0; i < 2; i++) {
		p->tap[i].m = &p->reader;
		p->tap[i].by = (enum mse_end)i;
	}
	mse_shake_init(&p->end[MSE_A], a);
	mse_shake_init(&p->end[MSE_B], b);
	while (pair_turn(p, MSE_A) || pair_turn(p, MSE_B))
		;
	return p;
}

static void pair_seal(struct pair *p, enum mse_end by, const char *text)
{
	uint8_t bytes[64];
	size_t n = strlen(text);

	assert_true(n <= sizeof(bytes));
	memcpy(bytes, text, n);
	mse_seal(&p->end[by].seal, bytes, n);
	pair_say(p, by, bytes, n);
}

static struct mse_conf conf_of(enum mse_end end, unsigned allow,
    unsigned prefer, uint16_t pad1, uint16_t pad2, const char *ia)
{
	struct mse_conf c = { .end = end, .allow = allow, .prefer = prefer,
		.pad1 = pad1, .pad2 = pad2, .find = find,
		.ia_n = (uint16_t)strlen(ia) };

	memset(c.key, end == MSE_A ? 0xa1 : 0xb1, sizeof(c.key));
	for (size_t i = 0; i < sizeof(c.pad); i++)
		c.pad[i] = (uint8_t)(i * 7 + end);
	memcpy(c.skey, swarm_a, 20);
	memcpy(c.ia, ia, c.ia_n);
	return c;
}

static void offers(void **state)
{
	/* What A offers, what B allows and prefers, what is selected. */
	static const struct {
		unsigned a, b, prefer, select;
	} rows[] = {
		{ 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 3, 1, 1, 1 }, { 3, 2, 2, 2 },
		{ 1, 3, 2, 1 }, { 2, 3, 1, 2 }, { 3, 3, 1, 1 }, { 3, 3, 2, 2 },
		{ 3, 3, 0, 1 }, { 1, 2, 2, 0 }, { 2, 1, 1, 0 }
	};
	static const char *const ias[] = { "", "hello from a" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * COUNT(ias); i++) {
		const char *ia = ias[i % COUNT(ias)];
		size_t r = i / COUNT(ias);
		struct mse_conf a = conf_of(MSE_A, rows[r].a, 0, 17, 3, ia);
		struct mse_conf b = conf_of(MSE_B, rows[r].b, rows[r].prefer,
		    400, 77, "");
		struct pair *p = pair_new(&a, &b, i % 5);
		char want[64];

		if (rows[r].select == 0) {
			assert_int_equal(p->end[MSE_B].want, MSE_REFUSED);
			assert_string_equal(p->end[MSE_B].reader.fault.reason,
			    "offers nothing that we allow");
			assert_int_equal(p->end[MSE_A].want, MSE_WANT_BYTES);
			free(p);
			continue;
		}
		assert_int_equal(p->end[MSE_A].want, MSE_DONE);
		assert_int_equal(p->end[MSE_B].want, MSE_DONE);
		assert_int_equal(p->reader.select, rows[r].select);
		assert_int_equal(p->reader.provide, rows[r].a);
		assert_int_equal(p->reader.ia, strlen(ia));
		assert_true(mse_settled(&p->reader));
		assert_int_equal(p->end[MSE_A].seal.plain, rows[r].select == 1);
		pair_seal(p, MSE_A, "more of a");
		pair_seal(p, MSE_B, "and of b");
		pair_seal(p, MSE_B, ", twice");
		snprintf(want, sizeof(want), "%smore of a", ia);
		tap_has(&p->tap[MSE_A], want);
		tap_has(&p->tap[MSE_B], "and of b, twice");
		assert_int_equal(p->reader.flow[MSE_A].pad1, 17);
		assert_int_equal(p->reader.flow[MSE_A].pad2, 3);
		assert_int_equal(p->reader.flow[MSE_B].pad1, 400);
		assert_int_equal(p->reader.flow[MSE_B].pad2, 77);
		assert_int_equal(p->reader.flow[MSE_A].head,
		    96 + 17 + 40 + 14 + 3 + 2);
		assert_int_equal(p->reader.flow[MSE_B].head,
		    96 + 400 + 14 + 77);
		free(p);
	}
}

static void every_pad(void **state)
{
	(void)state;
	for (unsigned pad = 0; pad <= MSE_PAD_MAX; pad++) {
		uint16_t other = (uint16_t)(MSE_PAD_MAX - pad);
		struct mse_conf a = conf_of(MSE_A, 3, 0, (uint16_t)pad, other,
		    "ia");
		struct mse_conf b = conf_of(MSE_B, 3, MSE_RC4, other,
		    (uint16_t)pad, "");
		struct pair *p = pair_new(&a, &b, pad % 3 ? 100 : 0);

		assert_int_equal(p->end[MSE_A].want, MSE_DONE);
		assert_int_equal(p->end[MSE_B].want, MSE_DONE);
		pair_seal(p, MSE_A, "x");
		pair_seal(p, MSE_B, "y");
		tap_has(&p->tap[MSE_A], "iax");
		tap_has(&p->tap[MSE_B], "y");
		free(p);
	}
}

static void every_cut(void **state)
{
	struct mse_conf a = conf_of(MSE_A, 3, 0, 512, 512, "the start");
	struct mse_conf b = conf_of(MSE_B, 3, MSE_RC4, 512, 512, "");

	(void)state;
	for (size_t chunk = 1; chunk < 700; chunk += chunk < 40 ? 1 : 37) {
		struct pair *p = pair_new(&a, &b, chunk);

		assert_int_equal(p->end[MSE_A].want, MSE_DONE);
		assert_int_equal(p->end[MSE_B].want, MSE_DONE);
		pair_seal(p, MSE_A, " and the rest");
		tap_has(&p->tap[MSE_A], "the start and the rest");
		free(p);
	}
}

/* A real exchange of keys, and the other of B's two swarms. */
static void real_keys(void **state)
{
	struct mse_conf a = conf_of(MSE_A, 3, 0, 5, 6, "");
	struct mse_conf b = conf_of(MSE_B, 3, MSE_RC4, 7, 8, "");
	uint8_t xa[20], xb[20], sa[MSE_KEY], sb[MSE_KEY];
	const char *reason;
	struct pair *p;

	(void)state;
	memset(xa, 0x11, sizeof(xa));
	memset(xb, 0xf3, sizeof(xb));
	assert_int_equal(dh_public(xa, a.key), 0);
	assert_int_equal(dh_public(xb, b.key), 0);
	assert_int_equal(dh_secret(xa, b.key, sa, &reason), 0);
	assert_int_equal(dh_secret(xb, a.key, sb, &reason), 0);
	assert_memory_equal(sa, sb, MSE_KEY);
	memcpy(a.skey, swarm_b, 20);
	p = pair_new(&a, &b, 0);
	assert_int_equal(p->end[MSE_B].want, MSE_DONE);
	assert_memory_equal(p->end[MSE_B].reader.skey, swarm_b, 20);
	assert_memory_equal(mse_shake_key(&p->end[MSE_B]), a.key, MSE_KEY);
	free(p);
	a.skey[0] ^= 1;
	p = pair_new(&a, &b, 0);
	assert_int_equal(p->end[MSE_B].want, MSE_REFUSED);
	assert_string_equal(p->end[MSE_B].reader.fault.reason,
	    "none of the swarms is meant");
	free(p);
}

static void gaps(void **state)
{
	struct mse_conf a = conf_of(MSE_A, 2, 0, 0, 0, "");
	struct mse_conf b = conf_of(MSE_B, 2, 2, 0, 0, "");
	struct pair *p = pair_new(&a, &b, 0);
	uint8_t text[3000] = { 0 };

	(void)state;
	mse_seal(&p->end[MSE_A].seal, text, sizeof(text));
	assert_true(mse_gap(&p->reader, MSE_A, 2990));
	pair_say(p, MSE_A, text + 2990, 10);
	assert_int_equal(p->tap[MSE_A].clear_n, 10);
	assert_memory_equal(p->tap[MSE_A].clear, "\0\0\0\0\0\0\0\0\0", 10);
	assert_false(mse_gap(&p->reader, MSE_A, UINT64_MAX));
	assert_false(mse_gap(&p->reader, MSE_A, 0));
	assert_true(mse_pass(&p->reader, MSE_A, UINT64_C(1) << 40));
	assert_false(mse_pass(&p->reader, MSE_A, 0));
	assert_false(p->reader.fault.reason);
	mse_init(&p->reader, find, NULL);
	assert_false(mse_gap(&p->reader, MSE_B, 1));
	assert_false(mse_pass(&p->reader, MSE_B, 1));
	free(p);
}

static void starts(void **state)
{
	static const char greeting[] = "\x13" "BitTorrent protocol....";

	(void)state;
	for (size_t n = 0; n < sizeof(greeting); n++) {
		struct span s = exact(greeting, n);
		char other[sizeof(greeting)];

		assert_int_equal(mse_detect(s), n < 20 ? MSE_START_MORE :
		    MSE_START_PLAIN);
		unexact(s);
		if (n == 0)
			continue;
		memcpy(other, greeting, n);
		other[n - 1] ^= 1;
		s = exact(other, n);
		assert_int_equal(mse_detect(s), n <= 20 ? MSE_START_CRYPT :
		    MSE_START_PLAIN);
		unexact(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(every_pad),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(real_keys),
		cmocka_unit_test(gaps),
		cmocka_unit_test(starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
