/*
 * Message Stream Encryption: two handshakes that another client's tests
 * recorded (left out where that file is not at hand), ours against ourselves
 * with every offer and pad, and forged ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "schema/dh.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define VECTORS "../shared/vectors/mse_vectors.txt"

static const uint8_t swarm_a[20] = "the first swarm....";
static const uint8_t swarm_b[20] = "the other swarm....";

static bool find(void *ctx, const uint8_t req2[20], uint8_t skey[20])
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

/* An exact copy of n bytes: one read too many is found. */
static uint8_t *exact(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
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

static void tap_bytes(struct tap *t, const uint8_t *p, size_t n)
{
	uint8_t *in, *out = malloc(sizeof(t->clear));
	size_t got;
	struct cur c;

	assert_true(n <= sizeof(t->kept) - t->n);
	if (n)
		memcpy(t->kept + t->n, p, n);
	t->n += n;
	in = exact(t->kept, t->n);
	c = cur_of(span_of(in, t->n));
	got = mse_read(t->m, t->by, &c, out, sizeof(t->clear) - t->clear_n);
	assert_false(c.bad);
	memcpy(t->clear + t->clear_n, out, got);
	t->clear_n += got;
	t->n = cur_left(&c);
	memcpy(t->kept, c.p, t->n);
	free(in);
	free(out);
}

static void tap_chunks(struct tap *t, const uint8_t *p, size_t n, size_t chunk)
{
	for (size_t now; n > 0; p += now, n -= now) {
		now = chunk && chunk < n ? chunk : n;
		tap_bytes(t, p, now);
	}
}

/* --- recorded handshakes ----------------------------------------------------- */

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
	uint8_t x[20 + 1], y[97], rest[1024], secret[MSE_KEY], req1[21], ours[97];
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

/* --- ours against ourselves ------------------------------------------------------ */

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
		uint8_t *copy;

		now = p->chunk && p->chunk < n ? p->chunk : n;
		copy = exact(bytes, now);
		tap_bytes(&p->tap[by], copy, now);
		if (mse_shake_bytes(&p->end[to], span_of(copy, now)) ==
		    MSE_WANT_SECRET)
			mse_shake_secret(&p->end[to], p->secret);
		free(copy);
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
	uint8_t *bytes = exact(text, strlen(text));

	mse_seal(&p->end[by].seal, bytes, strlen(text));
	pair_say(p, by, bytes, strlen(text));
	free(bytes);
}

static void tap_has(const struct tap *t, const char *text)
{
	assert_int_equal(t->clear_n, strlen(text));
	assert_memory_equal(t->clear, text, strlen(text));
	assert_int_equal(t->n, 0);
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

/* --- forged ------------------------------------------------------------------ */

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
	uint8_t *bytes = exact(p, n);

	RC4(&f->key, n, bytes, bytes);
	put(f, bytes, n);
	free(bytes);
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
	mse_init(&p->reader, find, NULL);
	assert_false(mse_gap(&p->reader, MSE_B, 1));
	free(p);
}

static void starts(void **state)
{
	static const char greeting[] = "\x13" "BitTorrent protocol....";

	(void)state;
	for (size_t n = 0; n < sizeof(greeting); n++) {
		uint8_t *p = exact(greeting, n);

		assert_int_equal(mse_detect(span_of(p, n)), n < 20 ?
		    MSE_START_MORE : MSE_START_PLAIN);
		if (n) {
			p[n - 1] ^= 1;
			assert_int_equal(mse_detect(span_of(p, n)), n <= 20 ?
			    MSE_START_CRYPT : MSE_START_PLAIN);
		}
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_incoming),
		cmocka_unit_test(recorded_outgoing),
		cmocka_unit_test(offers),
		cmocka_unit_test(every_pad),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(real_keys),
		cmocka_unit_test(forged_heads),
		cmocka_unit_test(order),
		cmocka_unit_test(gaps),
		cmocka_unit_test(starts)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
