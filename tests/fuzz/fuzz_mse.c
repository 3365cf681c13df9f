/*
 * Message Stream Encryption from three sides. The first byte chooses: raw bytes
 * to the reader of both ends; two of our own ends with any offers and pads,
 * which must agree whatever the cuts; heads that are sealed as they should be
 * but say what the input says, which must be accepted if and only if legal,
 * and whose payload must come out as it went in.
 */
#include <openssl/sha.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/mse.h"

static const uint8_t skey[20] = "the swarm of a fuzz";
static uint8_t secret[MSE_KEY] = { 1, 2, 3 };

static bool find(void *ctx, const uint8_t req2[20], uint8_t out[20])
{
	uint8_t mine[20];

	(void)ctx;
	mse_req2(skey, mine);
	memcpy(out, skey, 20);
	return memcmp(mine, req2, 20) == 0;
}

/* A reader's caller as it should be: keeps what is left, in exact copies. */
struct tap {
	uint8_t *kept, *clear;
	size_t n, clear_n;
};

static void give(struct mse *m, struct tap *t, enum mse_end by,
    const uint8_t *p, size_t n)
{
	size_t all = t->n + n, got;
	uint8_t *in = malloc(all ? all : 1), *out = malloc(all ? all : 1);
	struct cur c;

	demand(in && out);
	if (t->n)
		memcpy(in, t->kept, t->n);
	if (n)
		memcpy(in + t->n, p, n);
	c = cur_of(span_of(in, all));
	got = mse_read(m, by, &c, out, all);
	demand(!c.bad && got <= all - cur_left(&c));
	if (m->secret_known && m->flow[by].state < MSE_AT_IA &&
	    (by == MSE_A || m->provide))
		demand(cur_left(&c) < MSE_HEAD_MAX);
	if (got) {
		t->clear = realloc(t->clear, t->clear_n + got);
		demand(t->clear != NULL);
		memcpy(t->clear + t->clear_n, out, got);
		t->clear_n += got;
	}
	free(out);
	free(t->kept);
	t->n = cur_left(&c);
	t->kept = malloc(t->n ? t->n : 1);
	demand(t->kept != NULL);
	if (t->n)
		memcpy(t->kept, c.p, t->n);
	free(in);
}

static void tap_fini(struct tap t[2])
{
	for (int i = 0; i < 2; i++) {
		free(t[i].kept);
		free(t[i].clear);
	}
}

static void raw(struct cur c)
{
	struct tap t[2] = { { NULL, NULL, 0, 0 } };
	struct mse m;

	mse_init(&m, find, NULL);
	while (cur_left(&c)) {
		uint8_t op = cur_u8(&c);
		size_t n = cur_u8(&c);
		struct span s = cur_take(&c, n < cur_left(&c) ? n :
		    cur_left(&c));

		if (op & 2)
			mse_secret(&m, secret);
		if (op & 4)
			mse_skey(&m, skey);
		if ((op & 0xf8) == 0xf8)
			mse_gap(&m, op & 1 ? MSE_B : MSE_A, s.n);
		else
			give(&m, &t[op & 1], op & 1 ? MSE_B : MSE_A, s.p, s.n);
	}
	tap_fini(t);
}

/* --- our own two ends --------------------------------------------------------- */

struct pair {
	struct mse_shake end[2];
	struct mse reader;
	struct tap tap[2];
	uint32_t rng;
};

static size_t some(struct pair *p, size_t most)
{
	p->rng = p->rng * 1664525u + 1013904223u;
	return 1 + (p->rng >> 16) % (p->rng & 1 ? 7 : most) % most;
}

static void say(struct pair *p, enum mse_end by, const uint8_t *b, size_t n)
{
	enum mse_end to = by == MSE_A ? MSE_B : MSE_A;

	for (size_t now; n > 0; b += now, n -= now) {
		now = some(p, n);
		give(&p->reader, &p->tap[by], by, b, now);
		if (mse_shake_bytes(&p->end[to], span_of(b, now)) ==
		    MSE_WANT_SECRET)
			mse_shake_secret(&p->end[to], secret);
	}
}

static bool turn(struct pair *p, enum mse_end by)
{
	uint8_t out[MSE_OUT_MAX];
	size_t n = p->end[by].out_n;

	demand(n <= MSE_OUT_MAX);
	memcpy(out, p->end[by].out, n);
	p->end[by].out_n = 0;
	say(p, by, out, n);
	return n > 0;
}

static void agree(struct cur c)
{
	struct pair *p = calloc(1, sizeof(*p));
	uint8_t text[2][64] = { "what a says", "what b says" };
	unsigned can;

	demand(p != NULL);
	for (int i = 0; i < 2; i++) {
		struct mse_conf conf = { .end = (enum mse_end)i,
			.allow = cur_u8(&c) & 3u, .prefer = cur_u8(&c) & 3u,
			.pad1 = cur_u16(&c) % 600, .pad2 = cur_u16(&c) % 600,
			.ia_n = cur_u16(&c) % 600, .find = find };

		memcpy(conf.skey, skey, 20);
		memset(conf.key, i + 1, MSE_KEY);
		mse_shake_init(&p->end[i], &conf);
	}
	p->rng = cur_u32(&c);
	mse_init(&p->reader, find, NULL);
	mse_secret(&p->reader, secret);
	while (turn(p, MSE_A) || turn(p, MSE_B))
		;
	can = p->end[MSE_A].conf.allow & p->end[MSE_B].conf.allow;
	demand((p->end[MSE_B].want == MSE_DONE) == (can != 0));
	demand((p->end[MSE_A].want == MSE_DONE) == (can != 0));
	demand(can == 0 || mse_settled(&p->reader));
	for (int i = 0; can && i < 2; i++) {
		uint8_t sealed[64];
		struct tap *t = &p->tap[i];
		size_t ia = i == MSE_A ? p->end[i].conf.ia_n : 0;

		memcpy(sealed, text[i], 64);
		mse_seal(&p->end[i].seal, sealed, 64);
		say(p, (enum mse_end)i, sealed, 64);
		demand(t->clear_n == ia + 64);
		demand(memcmp(t->clear + ia, text[i], 64) == 0);
	}
	tap_fini(p->tap);
	free(p);
}

/* --- forged heads --------------------------------------------------------------- */

struct head {
	uint8_t bytes[4096];
	size_t n;
	RC4_KEY key;
};

static void put(struct head *h, const void *p, size_t n, bool sealed)
{
	demand(n <= sizeof(h->bytes) - h->n);
	if (sealed)
		RC4(&h->key, n, p, h->bytes + h->n);
	else
		memcpy(h->bytes + h->n, p, n);
	h->n += n;
}

static void sum(const char *word, const void *p, size_t n, bool with_skey,
    uint8_t out[20])
{
	SHA_CTX s;

	SHA1_Init(&s);
	SHA1_Update(&s, word, 4);
	SHA1_Update(&s, p, n);
	if (with_skey)
		SHA1_Update(&s, skey, 20);
	SHA1_Final(out, &s);
}

/* One end's head as the input has it; whether it is legal. */
static bool forge(struct head *h, enum mse_end end, struct cur *c,
    uint32_t *bits, uint16_t *ia)
{
	static const uint8_t zero[2048];
	uint8_t x[20], y[20], word[14] = { 0 }, scrap[1024];
	size_t pad1 = cur_u16(c) % 520;
	uint8_t vc = cur_u8(c);
	uint16_t pad2 = cur_u16(c);

	pad2 = vc & 2 ? pad2 : pad2 % 520;
	*bits = vc & 4 ? cur_u32(c) : vc >> 3 & 3u;
	*ia = cur_u16(c) % 600;
	put(h, zero, MSE_KEY + pad1, false);
	if (end == MSE_A) {
		sum("req1", secret, MSE_KEY, false, x);
		put(h, x, 20, false);
		sum("req2", skey, 20, false, x);
		sum("req3", secret, MSE_KEY, false, y);
		for (int i = 0; i < 20; i++)
			x[i] ^= y[i];
		put(h, x, 20, false);
	}
	sum(end == MSE_A ? "keyA" : "keyB", secret, MSE_KEY, true, x);
	RC4_set_key(&h->key, 20, x);
	RC4(&h->key, sizeof(scrap), zero, scrap);
	word[3] = vc & 1 && end == MSE_A;
	put_u32(word + 8, *bits);
	put_u16(word + 12, pad2);
	put(h, word, 14, true);
	put(h, zero, pad2 < 1024 ? pad2 : 1024, true);
	if (end == MSE_A) {
		put_u16(word, *ia);
		put(h, word, 2, true);
		put(h, zero, *ia, true);
	}
	return pad1 <= MSE_PAD_MAX && pad2 <= MSE_PAD_MAX && word[3] == 0 &&
	    (end == MSE_A ? (*bits & 3) != 0 : *bits == 1 || *bits == 2);
}

static void forged(struct cur c)
{
	static const uint8_t text[40] = "payload";
	struct head *h = calloc(2, sizeof(*h));
	struct tap t[2] = { { NULL, NULL, 0, 0 } };
	uint32_t offered, selected;
	uint16_t ia, none;
	struct mse m;
	bool good;

	demand(h != NULL);
	good = forge(&h[MSE_A], MSE_A, &c, &offered, &ia);
	good = forge(&h[MSE_B], MSE_B, &c, &selected, &none) && good &&
	    (offered & selected) != 0;
	for (int i = 0; i < 2; i++)
		put(&h[i], text, sizeof(text), selected == MSE_RC4);
	mse_init(&m, find, NULL);
	mse_secret(&m, secret);
	for (size_t at[2] = { 0, 0 };;) {
		uint8_t op = cur_u8(&c);
		int by = op & 1;
		size_t n = op / 2u + 1u;

		if (at[0] == h[0].n && at[1] == h[1].n)
			break;
		if (at[by] == h[by].n)
			by = !by;
		if (c.bad || n > h[by].n - at[by])
			n = h[by].n - at[by];
		give(&m, &t[by], (enum mse_end)by, h[by].bytes + at[by], n);
		at[by] += n;
	}
	for (int i = 0; i < 4; i++)
		give(&m, &t[i & 1], (enum mse_end)(i & 1), NULL, 0);
	demand(good == (m.fault.reason == NULL));
	demand(!good || (t[0].clear_n == ia + sizeof(text) &&
	    memcmp(t[0].clear + ia, text, sizeof(text)) == 0 &&
	    t[1].clear_n == sizeof(text) &&
	    memcmp(t[1].clear, text, sizeof(text)) == 0));
	tap_fini(t);
	free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_of(span_of(data, n));

	if (n == 0 || n > 4096)
		return 0;
	switch (cur_u8(&c) % 3) {
	case 0:
		raw(c);
		break;
	case 1:
		agree(c);
		break;
	default:
		forged(c);
		break;
	}
	return 0;
}
