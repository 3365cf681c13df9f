#include "mse.h"

#include <openssl/sha.h>

#define VC 8u			/* the verification constant: zeros */
#define DROP 1024u		/* of each key stream */
#define GAP_MAX (64u << 20)	/* key stream we are willing to compute */

static const uint8_t zeros[64];

enum mse_start mse_detect(struct span first)
{
	static const char greeting[] = "\x13" "BitTorrent protocol";
	size_t n = sizeof(greeting) - 1;

	if (first.n < n)
		n = first.n;
	if (n && memcmp(first.p, greeting, n) != 0)
		return MSE_START_CRYPT;
	return n == sizeof(greeting) - 1 ? MSE_START_PLAIN : MSE_START_MORE;
}

/* --- keys ------------------------------------------------------------------ */

/* H(word | a | b); word has four letters. */
static void hash(const char word[4], struct span a, struct span b,
    uint8_t out[20])
{
	SHA_CTX c;

	SHA1_Init(&c);
	SHA1_Update(&c, word, 4);
	SHA1_Update(&c, a.p, a.n);
	if (b.n)
		SHA1_Update(&c, b.p, b.n);
	SHA1_Final(out, &c);
}

static struct span none(void)
{
	return (struct span){ NULL, 0 };
}

static struct span secret_of(const struct mse *m)
{
	return span_of(m->secret, MSE_KEY);
}

void mse_req2(const uint8_t skey[20], uint8_t req2[20])
{
	hash("req2", span_of(skey, 20), none(), req2);
}

/* H('req2' SKEY) ^ H('req3' S), and back. */
static void mask_skey(const struct mse *m, const uint8_t in[20],
    uint8_t out[20])
{
	uint8_t req3[20];

	hash("req3", secret_of(m), none(), req3);
	for (int i = 0; i < 20; i++)
		out[i] = in[i] ^ req3[i];
}

/* n bytes of key stream pass unused. */
static void skip(RC4_KEY *k, size_t n)
{
	uint8_t scrap[sizeof(zeros)];

	while (n > 0) {
		size_t now = n < sizeof(scrap) ? n : sizeof(scrap);

		RC4(k, now, zeros, scrap);
		n -= now;
	}
}

static void key_stream(const struct mse *m, enum mse_end by, RC4_KEY *k)
{
	uint8_t key[20];

	hash(by == MSE_A ? "keyA" : "keyB", secret_of(m),
	    span_of(m->skey, 20), key);
	RC4_set_key(k, sizeof(key), key);
	skip(k, DROP);
}

void mse_init(struct mse *m, mse_find *find, void *ctx)
{
	*m = (struct mse){ .find = find, .ctx = ctx };
}

void mse_secret(struct mse *m, const uint8_t secret[MSE_KEY])
{
	memcpy(m->secret, secret, MSE_KEY);
	m->secret_known = true;
}

void mse_skey(struct mse *m, const uint8_t skey[20])
{
	memcpy(m->skey, skey, 20);
	m->skey_known = true;
}

/* --- the reader ------------------------------------------------------------ */

static bool fail(struct mse *m, enum mse_end by, const char *reason,
    size_t ahead)
{
	m->fault = (struct wire_error){ reason,
		(size_t)m->flow[by].offset + ahead };
	m->fault_by = by;
	m->flow[MSE_A].state = m->flow[MSE_B].state = MSE_AT_FAULT;
	return false;
}

static struct span take(struct mse_flow *f, struct cur *in, size_t n)
{
	f->offset += n;
	return cur_take(in, n);
}

static bool read_key(struct mse_flow *f, struct cur *in)
{
	if (cur_left(in) < MSE_KEY)
		return false;
	memcpy(f->key, take(f, in, MSE_KEY).p, MSE_KEY);
	f->state = MSE_AT_SYNC;
	return true;
}

/* The mark behind a pad of 0 to 512 bytes: taken, true. */
static bool find_mark(struct mse *m, enum mse_end by, struct cur *in,
    struct span mark, const char *missing)
{
	struct mse_flow *f = &m->flow[by];

	for (size_t pad = 0; pad <= MSE_PAD_MAX; pad++) {
		if (cur_left(in) < pad + mark.n)
			return false;
		if (memcmp(in->p + pad, mark.p, mark.n) != 0)
			continue;
		take(f, in, pad + mark.n);
		f->pad1 = (uint16_t)pad;
		return true;
	}
	return fail(m, by, missing, MSE_PAD_MAX);
}

static bool read_sync(struct mse *m, enum mse_end by, struct cur *in)
{
	struct mse_flow *f = &m->flow[by];
	uint8_t mark[20];

	if (!m->secret_known)
		return false;
	if (by == MSE_A) {
		hash("req1", secret_of(m), none(), mark);
		if (!find_mark(m, by, in, span_of(mark, 20),
		    "no HASH('req1', S) within 628 bytes"))
			return false;
		f->state = MSE_AT_SKEY;
		return true;
	}
	if (!m->skey_known)
		return false;
	key_stream(m, by, &f->rc4);
	RC4(&f->rc4, VC, zeros, mark);
	if (!find_mark(m, by, in, span_of(mark, VC),
	    "no verification constant within 616 bytes"))
		return false;
	f->state = MSE_AT_HEAD;
	return true;
}

static bool read_skey(struct mse *m, struct cur *in)
{
	struct mse_flow *f = &m->flow[MSE_A];
	uint8_t req2[20], mine[20];

	if (cur_left(in) < sizeof(req2))
		return false;
	mask_skey(m, in->p, req2);
	if (m->skey_known) {
		mse_req2(m->skey, mine);
		if (memcmp(mine, req2, 20) != 0)
			return fail(m, MSE_A, "another swarm is meant", 0);
	} else if (m->find && m->find(m->ctx, req2, m->skey)) {
		m->skey_known = true;
	} else {
		return fail(m, MSE_A, "none of the swarms is meant", 0);
	}
	take(f, in, sizeof(req2));
	key_stream(m, MSE_A, &f->rc4);
	f->state = MSE_AT_HEAD;
	return true;
}

static bool read_head(struct mse *m, enum mse_end by, struct cur *in)
{
	struct mse_flow *f = &m->flow[by];
	size_t vc = by == MSE_A ? VC : 0;	/* B's was its mark */
	uint8_t clear[VC + 6];
	uint32_t bits;
	struct cur c;

	if (cur_left(in) < vc + 6 || (by == MSE_B && !m->provide))
		return false;
	RC4(&f->rc4, vc + 6, in->p, clear);
	if (memcmp(clear, zeros, vc) != 0)
		return fail(m, by, "the verification constant is wrong", 0);
	c = cur_of(span_of(clear + vc, 6));
	bits = cur_u32(&c);
	f->pad2 = cur_u16(&c);
	if (by == MSE_A)
		m->provide = bits;
	else
		m->select = bits;
	if (by == MSE_A && (bits & (MSE_PLAIN | MSE_RC4)) == 0)
		return fail(m, by, "offers neither plain nor RC4", vc);
	if (by == MSE_B && bits != MSE_PLAIN && bits != MSE_RC4)
		return fail(m, by, "selects neither plain nor RC4", vc);
	if (by == MSE_B && (bits & m->provide) == 0)
		return fail(m, by, "selects what was not offered", vc);
	if (f->pad2 > MSE_PAD_MAX)
		return fail(m, by, "a pad over 512 bytes", vc + 4);
	take(f, in, vc + 6);
	f->state = MSE_AT_PAD;
	return true;
}

static bool read_pad(struct mse *m, enum mse_end by, struct cur *in)
{
	struct mse_flow *f = &m->flow[by];
	size_t tail = by == MSE_A ? 2 : 0;	/* the length of IA */
	uint8_t clear[2];
	struct span s;

	if (cur_left(in) < f->pad2 + tail)
		return false;
	s = take(f, in, f->pad2 + tail);
	skip(&f->rc4, f->pad2);
	f->head = (uint32_t)f->offset;
	f->state = MSE_AT_PAYLOAD;
	if (by == MSE_B)
		return true;
	RC4(&f->rc4, tail, s.p + f->pad2, clear);
	m->ia = f->ia_left = (uint16_t)((unsigned)clear[0] << 8 | clear[1]);
	if (m->ia)
		f->state = MSE_AT_IA;
	return true;
}

/* One way, MSE_PLAIN or MSE_RC4, or 0 while it is open. */
static uint32_t chosen(const struct mse *m)
{
	uint32_t offered = m->provide & (MSE_PLAIN | MSE_RC4);

	if (m->select || offered == (MSE_PLAIN | MSE_RC4))
		return m->select;
	return offered;
}

static size_t read_payload(struct mse *m, enum mse_end by, struct cur *in,
    uint8_t *out, size_t room)
{
	struct mse_flow *f = &m->flow[by];
	size_t n = cur_left(in) < room ? cur_left(in) : room;
	struct span s;

	if (f->state == MSE_AT_IA && n > f->ia_left)
		n = f->ia_left;
	if (f->state == MSE_AT_PAYLOAD && chosen(m) == 0)
		n = 0;
	if (n == 0)
		return 0;
	s = take(f, in, n);
	if (f->state == MSE_AT_IA || chosen(m) == MSE_RC4)
		RC4(&f->rc4, n, s.p, out);
	else
		memcpy(out, s.p, n);
	if (f->state == MSE_AT_IA) {
		f->ia_left = (uint16_t)(f->ia_left - n);
		if (f->ia_left == 0)
			f->state = MSE_AT_PAYLOAD;
	}
	return n;
}

size_t mse_read(struct mse *m, enum mse_end by, struct cur *in, uint8_t *out,
    size_t room)
{
	struct mse_flow *f = &m->flow[by];
	size_t n = 0, now;
	bool on = true;

	while (on) {
		switch (f->state) {
		case MSE_AT_KEY:
			on = read_key(f, in);
			break;
		case MSE_AT_SYNC:
			on = read_sync(m, by, in);
			break;
		case MSE_AT_SKEY:
			on = read_skey(m, in);
			break;
		case MSE_AT_HEAD:
			on = read_head(m, by, in);
			break;
		case MSE_AT_PAD:
			on = read_pad(m, by, in);
			break;
		case MSE_AT_IA:
		case MSE_AT_PAYLOAD:
			now = read_payload(m, by, in, out + n, room - n);
			n += now;
			on = now > 0;
			break;
		case MSE_AT_FAULT:
			f->offset += cur_left(in);
			cur_rest(in);
			on = false;
			break;
		}
	}
	return n;
}

void mse_refuse(struct mse *m, enum mse_end by, const char *reason)
{
	if (!m->fault.reason)
		fail(m, by, reason, 0);
}

bool mse_gap(struct mse *m, enum mse_end by, uint64_t n)
{
	struct mse_flow *f = &m->flow[by];

	if (f->state == MSE_AT_PAYLOAD && chosen(m) == MSE_PLAIN) {
		f->offset += n;
		return true;
	}
	if (f->state != MSE_AT_PAYLOAD || chosen(m) != MSE_RC4 || n == 0 ||
	    n > GAP_MAX)
		return false;
	skip(&f->rc4, (size_t)n);
	f->offset += n;
	return true;
}

bool mse_pass(struct mse *m, enum mse_end by, uint64_t n)
{
	struct mse_flow *f = &m->flow[by];

	if (f->state != MSE_AT_PAYLOAD || chosen(m) == 0 || n == 0)
		return false;
	f->offset += n;
	return true;
}

bool mse_settled(const struct mse *m)
{
	return m->flow[MSE_A].state == MSE_AT_PAYLOAD &&
	    m->flow[MSE_B].state == MSE_AT_PAYLOAD;
}

/* --- one end of the handshake ----------------------------------------------- */

void mse_seal(struct mse_seal *s, uint8_t *bytes, size_t n)
{
	if (!s->plain && n)
		RC4(&s->rc4, n, bytes, bytes);
}

static enum mse_end theirs(const struct mse_shake *s)
{
	return s->conf.end == MSE_A ? MSE_B : MSE_A;
}

static uint8_t *put(struct mse_shake *s, const void *bytes, size_t n)
{
	uint8_t *p = s->out + s->out_n;

	if (n)
		memcpy(p, bytes, n);
	s->out_n += n;
	return p;
}

static void say_key(struct mse_shake *s)
{
	put(s, s->conf.key, MSE_KEY);
	put(s, s->conf.pad, s->conf.pad1);
	s->greeted = true;
}

/* VC, bits, pad: both ends' heads; sealed by the caller. */
static uint8_t *put_head(struct mse_shake *s, uint32_t bits)
{
	uint8_t *p = put(s, zeros, VC);
	uint8_t word[4];

	put_u32(word, bits);
	put(s, word, 4);
	put_u16(word, s->conf.pad2);
	put(s, word, 2);
	put(s, s->conf.pad, s->conf.pad2);
	return p;
}

static void say_offer(struct mse_shake *s)
{
	struct mse *m = &s->reader;
	uint8_t h[20], word[2];
	uint8_t *p;

	hash("req1", secret_of(m), none(), h);
	put(s, h, 20);
	mse_req2(s->conf.skey, h);
	mask_skey(m, h, h);
	put(s, h, 20);
	key_stream(m, MSE_A, &s->seal.rc4);
	p = put_head(s, s->conf.allow);
	put_u16(word, s->conf.ia_n);
	put(s, word, 2);
	put(s, s->conf.ia, s->conf.ia_n);
	mse_seal(&s->seal, p, (size_t)(s->out + s->out_n - p));
}

/* False: A's offer has nothing we allow. */
static bool say_choice(struct mse_shake *s)
{
	struct mse *m = &s->reader;
	uint32_t can = m->provide & s->conf.allow & (MSE_PLAIN | MSE_RC4);
	uint8_t *p;

	if (can == 0)
		return fail(m, MSE_A, "offers nothing that we allow", 0);
	if (can == (MSE_PLAIN | MSE_RC4))
		can = s->conf.prefer == MSE_RC4 ? MSE_RC4 : MSE_PLAIN;
	m->select = can;
	key_stream(m, MSE_B, &s->seal.rc4);
	p = put_head(s, can);
	mse_seal(&s->seal, p, (size_t)(s->out + s->out_n - p));
	return true;
}

static uint16_t pad_size(uint16_t n)
{
	return n < MSE_PAD_MAX ? n : MSE_PAD_MAX;
}

void mse_shake_init(struct mse_shake *s, const struct mse_conf *conf)
{
	*s = (struct mse_shake){ .conf = *conf };
	s->conf.pad1 = pad_size(conf->pad1);
	s->conf.pad2 = pad_size(conf->pad2);
	if (s->conf.ia_n > MSE_IA_MAX)
		s->conf.ia_n = MSE_IA_MAX;
	mse_init(&s->reader, conf->find, conf->ctx);
	if (conf->end == MSE_A) {
		mse_skey(&s->reader, conf->skey);
		s->reader.provide = conf->allow;
		say_key(s);
	}
}

/* Where the reader stands, after what is kept was offered to it. */
static enum mse_want look(struct mse_shake *s)
{
	struct cur c = cur_of(span_of(s->kept, s->kept_n));
	struct mse_flow *f = &s->reader.flow[theirs(s)];
	uint8_t nowhere;

	mse_read(&s->reader, theirs(s), &c, &nowhere, 0);
	s->kept_n = cur_left(&c);
	memmove(s->kept, c.p, s->kept_n);
	if (f->state == MSE_AT_FAULT)
		return MSE_REFUSED;
	if (f->state == MSE_AT_KEY)
		return MSE_WANT_BYTES;
	if (!s->greeted)
		say_key(s);
	if (!s->reader.secret_known)
		return MSE_WANT_SECRET;
	if (f->state != MSE_AT_IA && f->state != MSE_AT_PAYLOAD)
		return MSE_WANT_BYTES;
	if (s->conf.end == MSE_B && !say_choice(s))
		return MSE_REFUSED;
	s->seal.plain = s->reader.select == MSE_PLAIN;
	s->kept_n = 0;
	return MSE_DONE;
}

enum mse_want mse_shake_bytes(struct mse_shake *s, struct span bytes)
{
	while (s->want == MSE_WANT_BYTES && bytes.n > 0) {
		size_t n = sizeof(s->kept) - s->kept_n;

		if (n > bytes.n)
			n = bytes.n;
		memcpy(s->kept + s->kept_n, bytes.p, n);
		s->kept_n += n;
		bytes = span_of(bytes.p + n, bytes.n - n);
		s->want = look(s);
	}
	/* The secret is waited for with the rest in hand. */
	if (s->want == MSE_WANT_SECRET && bytes.n > 0) {
		size_t n = sizeof(s->kept) - s->kept_n;

		if (n > bytes.n)
			n = bytes.n;
		memcpy(s->kept + s->kept_n, bytes.p, n);
		s->kept_n += n;
	}
	return s->want;
}

const uint8_t *mse_shake_key(const struct mse_shake *s)
{
	return s->reader.flow[theirs(s)].key;
}

enum mse_want mse_shake_secret(struct mse_shake *s,
    const uint8_t secret[MSE_KEY])
{
	if (s->want != MSE_WANT_SECRET)
		return s->want;
	mse_secret(&s->reader, secret);
	if (s->conf.end == MSE_A)
		say_offer(s);
	s->want = look(s);
	return s->want;
}
