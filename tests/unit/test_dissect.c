/*
 * The dissector on conversations of peers: plain, encrypted, begun in the
 * middle, our own, and more of them at once than it keeps.
 */
#include <openssl/sha.h>

#include "tests/dissect_kit.h"
#include "wire/peerwire.h"

static void hello(uint8_t out[68], const uint8_t hash[20], char id)
{
	struct pw_handshake h = { .reserved = { 0, 0, 0, 0, 0, 0x10, 0, 4 } };

	memcpy(h.infohash, hash, 20);
	memset(h.peer_id, id, 20);
	pw_handshake_put(out, &h);
}

/* Asks for all blocks of a piece, and gives them. */
static size_t piece(const struct kit *k, uint32_t number, uint8_t *ask,
    uint8_t *give, size_t *given)
{
	size_t n = 0, m = 0;

	for (uint32_t at = 0; at < KIT_PIECE; at += 16384) {
		n += pw_put_request(ask + n, number, at, 16384);
		put_u32(give + m, 16384 + 9);
		give[m + 4] = PW_PIECE;
		put_u32(give + m + 5, number);
		put_u32(give + m + 9, at);
		memcpy(give + m + 13, k->data + number * KIT_PIECE + at,
		    16384);
		m += 13 + 16384;
	}
	*given = m;
	return n;
}

static void peers(void **state)
{
	struct kit kit = kit_make(true, false);
	uint8_t a[68], z[68], ask[64], *give = malloc(40000);
	static const uint8_t bits[] = { 0, 0, 0, 2, 5, 0xe0 };
	static const uint8_t opens[] = { 0, 0, 0, 1, 2, 0, 0, 0, 1, 1 };
	size_t given, asked = piece(&kit, 1, ask, give, &given);
	struct bench b;

	(void)state;
	hello(a, kit.t->wire_hash[0], 'a');
	hello(z, kit.t->wire_hash[0], 'z');
	struct say said[] = { { 0, span_of(a, 68) }, { 1, span_of(z, 68) },
		{ 1, span_of(bits, sizeof(bits)) },
		{ 0, span_of(opens, 5) }, { 1, span_of(opens + 5, 5) },
		{ 0, span_of(ask, asked) }, { 1, span_of(give, given) } };

	every_cut(&b, &kit, true, said, 7, 41, 1);
	assert_int_equal(count(b.text, "flow 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "\"began\":\"handshake\""), 1);
	assert_int_equal(count(b.text, "handshake 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "handshake 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"expected\":true"), 2);
	assert_int_equal(count(b.text, "bitfield 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "request 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "piece 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"match\":true"), 1);
	assert_int_equal(count(b.text, "closed 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "\"by\":\"initiator\""), 1);
	assert_int_equal(count(b.text, "\"by\":\"us\""), 0);
	assert_int_equal(count(b.text, "greeted"), 0);
	assert_int_equal(count(b.text, kit.t->swarm), (unsigned)b.records - 1 +
	    2);	/* but for flow; and both handshakes' infohash */
	bench_close(&b);
	/* One wrong byte: the piece does not match. */
	give[5000] ^= 1;
	every_cut(&b, &kit, true, said, 7, 1, 1);
	assert_int_equal(count(b.text, "\"match\":false"), 1);
	bench_close(&b);
	free(give);
	kit_free(&kit);
}

static struct flow_open opening(const struct bench *b)
{
	return (struct flow_open){ .transport = FLOW_UTP,
	    .end = { end(1), end(2) }, .opened = true, .at = b->at };
}

/* Of uTP nobody knows how many bytes are missing: what follows within a block
 * is no message, and no fault of who sent it. */
static void unknown_gap(void **state)
{
	struct kit kit = kit_make(true, false);
	uint8_t a[68], z[68], ask[64], *give = malloc(40000);
	size_t given, asked = piece(&kit, 1, ask, give, &given);
	struct bench b;
	struct flow_open o;
	void *f;

	(void)state;
	hello(a, kit.t->wire_hash[0], 'a');
	hello(z, kit.t->wire_hash[0], 'z');
	/* Behind the missing 1400 bytes, where the block would end if none
	 * were, four bytes that would be a message's length. */
	memcpy(give + 13 + 16384 + 1400, "\0\0\0\1\1", 5);
	bench_open(&b, &kit);
	o = opening(&b);
	f = b.sink.open(b.sink.ctx, &o);
	b.sink.bytes(b.sink.ctx, f, 0, span_of(a, 68), b.at);
	b.sink.bytes(b.sink.ctx, f, 1, span_of(z, 68), b.at);
	b.sink.bytes(b.sink.ctx, f, 0, span_of(ask, asked), b.at);
	b.sink.bytes(b.sink.ctx, f, 1, span_of(give, 1400), b.at);
	b.sink.gap(b.sink.ctx, f, 1, 0, 1, b.at);
	b.sink.bytes(b.sink.ctx, f, 1, span_of(give + 2800, given - 2800),
	    b.at);
	b.sink.closed(b.sink.ctx, f, FLOW_FIN, 0, b.at);
	lineup_drain(b.lineup);
	assert_int_equal(count(b.text, "\ngap 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"fatal\":true"), 1);
	assert_int_equal(count(b.text, "\nmalformed"), 0);
	assert_int_equal(count(b.text, "\nunchoke"), 0);
	assert_int_equal(count(b.text, "\"complete\":true"), 0);
	bench_close(&b);
	free(give);
	kit_free(&kit);
}

/* A capture on a path that the other direction does not take. */
static void one_way(void **state)
{
	struct kit kit = kit_make(true, false);
	static const uint8_t bits[] = { 0, 0, 0, 2, 5, 0xe0 };
	uint8_t z[68];
	struct bench b;
	struct flow_open o;
	void *f;

	(void)state;
	hello(z, kit.t->wire_hash[0], 'z');
	bench_open(&b, &kit);
	o = opening(&b);
	f = b.sink.open(b.sink.ctx, &o);
	b.sink.gap(b.sink.ctx, f, 0, 68, 1, b.at);
	assert_true(b.sink.bytes(b.sink.ctx, f, 1, span_of(z, 68), b.at));
	b.sink.bytes(b.sink.ctx, f, 1, span_of(bits, sizeof(bits)), b.at);
	b.sink.closed(b.sink.ctx, f, FLOW_CAPTURE_END, 0, b.at);
	lineup_drain(b.lineup);
	assert_int_equal(count(b.text, "flow 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "\"began\":\"handshake\""), 1);
	assert_int_equal(count(b.text, "\ngap 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "\nhandshake 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\nbitfield 192.0.2.2:1002"), 1);
	bench_close(&b);
	kit_free(&kit);
}

/* The capture began in mid-stream: one handshake is missing. */
static void middle(void **state)
{
	struct kit kit = kit_make(true, false);
	static const uint8_t have[] = { 0, 0, 0, 5, 4, 0, 0, 0, 1 };
	uint8_t z[68];
	struct bench b;

	(void)state;
	hello(z, kit.t->wire_hash[0], 'z');
	struct say said[] = { { 1, span_of(z, 68) },
		{ 0, span_of(have, sizeof(have)) },
		{ 1, span_of(have, sizeof(have)) } };

	every_cut(&b, &kit, false, said, 3, 80, 1);
	/* Who spoke first is the initiator. */
	assert_int_equal(count(b.text, "flow 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"began\":\"middle\""), 1);
	assert_int_equal(count(b.text, "gap 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "have 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "have 192.0.2.1:1001"), 0);
	assert_int_equal(count(b.text, "malformed"), 0);
	bench_close(&b);
	/* Frames without any handshake are left alone. */
	every_cut(&b, &kit, false, said + 1, 2, 20, 1);
	assert_int_equal(b.records, 0);
	assert_int_equal(dissect_counts(b.d).unclaimed, 1);
	bench_close(&b);
	kit_free(&kit);
}

/* A swarm known by its hash alone, until a peer gives the metadata. */
static void metadata(void **state)
{
	struct kit kit = kit_make(true, false);
	struct span info = kit.t->mi.info;
	uint8_t a[68], z[68], ask[64], *give = malloc(40000);
	uint8_t ext[200], data[2000];
	static const char dict[] = "d1:md11:ut_metadatai3eee";
	size_t given, asked = piece(&kit, 1, ask, give, &given), n, m;
	static const uint8_t opens[] = { 0, 0, 0, 1, 1 };
	struct bench b;

	(void)state;
	hello(a, kit.t->wire_hash[0], 'a');
	hello(z, kit.t->wire_hash[0], 'z');
	n = pw_put_extended(ext, sizeof(ext), 0, span_str(dict));
	m = (size_t)snprintf((char *)data + 6, sizeof(data) - 6,
	    "d8:msg_typei1e5:piecei0e10:total_sizei%zuee", info.n);
	memcpy(data + 6 + m, info.p, info.n);
	m += info.n + 6;
	put_u32(data, (uint32_t)m - 4);
	data[4] = PW_EXTENDED;
	data[5] = 3;
	struct say said[] = { { 0, span_of(a, 68) }, { 1, span_of(z, 68) },
		{ 0, span_of(ext, n) }, { 1, span_of(data, m) },
		{ 1, span_of(opens, 5) },
		{ 0, span_of(ask, asked) }, { 1, span_of(give, given) } };

	every_cut(&b, NULL, true, said, 7, 300, 13);
	assert_int_equal(count(b.text, "\ntorrent - "), 1);
	assert_int_equal(count(b.text, "\"source\":\"peers: 192.0.2.2:1002 "
	    "(conn 0)\""), 1);
	assert_int_equal(count(b.text, "\"match\":true"), 1);
	bench_close(&b);
	/* What is not the infohash's is no metadata. */
	data[m - 3] ^= 1;
	every_cut(&b, NULL, true, said, 7, 1, 1);
	assert_int_equal(count(b.text, "\ntorrent - "), 0);
	assert_int_equal(count(b.text, "\"match\":true"), 0);
	bench_close(&b);
	free(give);
	kit_free(&kit);
}

static void chance(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void encrypted(void **state)
{
	uint8_t a[700], z[700], next[100];
	struct bench b;
	struct say said[] = { { 0, { a, 200 } }, { 1, { z, 300 } },
		{ 0, { next, 80 } }, { 1, { z, 100 } } };

	(void)state;
	chance(a, sizeof(a), 1);
	chance(z, sizeof(z), 2);
	chance(next, sizeof(next), 3);
	every_cut(&b, NULL, true, said, 4, 50, 1);
	assert_int_equal(b.records, 3);
	assert_int_equal(count(b.text, "encrypted 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "the secret is not known"), 1);
	assert_int_equal(count(b.text, "\"secret\":null"), 1);
	assert_int_equal(count(b.text, "\"initiator_bytes\":280"), 1);
	bench_close(&b);
	/* None of these is one. */
	static const char *const heads[] = { "\x16\x03\x01\x02\x00",
		"SSH-2.0-OpenSSH_9.2", "HELO there, how are you" };
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		chance(a, sizeof(a), 1);
		memcpy(a, heads[i], i ? strlen(heads[i]) : 5);
		every_cut(&b, NULL, true, said, 4, 50, 1);
		assert_int_equal(b.records, 0);
		bench_close(&b);
	}
	chance(a, sizeof(a), 1);
	said[0].bytes.n = 609;	/* more than a key and its padding */
	every_cut(&b, NULL, true, said, 4, 3, 1);
	assert_int_equal(b.records, 0);
	bench_close(&b);
	said[0].bytes.n = 95;	/* less than a key */
	every_cut(&b, NULL, true, said, 4, 3, 1);
	assert_int_equal(b.records, 0);
	bench_close(&b);
	said[0].bytes.n = 200;
	memset(a, 0, 60);	/* not by chance */
	every_cut(&b, NULL, true, said, 4, 3, 1);
	assert_int_equal(b.records, 0);
	bench_close(&b);
}

/* Both ends of an encrypted handshake, and what they say after it. */
struct sealed {
	struct mse_shake a, b;
	uint8_t bytes[2000];
	struct say said[12];
	size_t n, used;
};

static bool known_swarm(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	const struct kit *kit = ctx;
	uint8_t h[20];

	mse_req2(kit->t->wire_hash[0], h);
	memcpy(skey, kit->t->wire_hash[0], 20);
	return memcmp(h, req2, 20) == 0;
}

static bool turn(struct sealed *s, unsigned side)
{
	struct mse_shake *from = side ? &s->b : &s->a;
	struct mse_shake *to = side ? &s->a : &s->b;
	size_t n = from->out_n;
	uint8_t secret[MSE_KEY];

	if (n == 0)
		return false;
	assert_true(s->used + n <= sizeof(s->bytes));
	memcpy(s->bytes + s->used, from->out, n);
	from->out_n = 0;
	s->said[s->n++] = (struct say){ side, { s->bytes + s->used, n } };
	s->used += n;
	memset(secret, SECRET, sizeof(secret));
	if (mse_shake_bytes(to, s->said[s->n - 1].bytes) == MSE_WANT_SECRET)
		mse_shake_secret(to, secret);
	return true;
}

static void seal_say(struct sealed *s, unsigned side, const uint8_t *p,
    size_t n)
{
	assert_true(s->used + n <= sizeof(s->bytes));
	memcpy(s->bytes + s->used, p, n);
	mse_seal(side ? &s->b.seal : &s->a.seal, s->bytes + s->used, n);
	s->said[s->n++] = (struct say){ side, { s->bytes + s->used, n } };
	s->used += n;
}

static void sealed(void **state)
{
	struct kit kit = kit_make(true, false);
	static const uint8_t have[] = { 0, 0, 0, 5, 4, 0, 0, 0, 1 };
	static const unsigned select[] = { MSE_PLAIN, MSE_RC4 };
	uint8_t a[68], z[68];

	(void)state;
	hello(a, kit.t->wire_hash[0], 'a');
	hello(z, kit.t->wire_hash[0], 'z');
	for (unsigned i = 0; i < 2; i++) {
		struct mse_conf conf = { .end = MSE_A, .allow = select[i],
			.prefer = select[i], .pad1 = 30, .pad2 = 5,
			.find = known_swarm, .ctx = &kit };
		struct sealed *s = calloc(1, sizeof(*s));
		struct bench b;

		assert_non_null(s);
		chance(conf.key, MSE_KEY, 4);
		conf.key[0] = 'K';
		memcpy(conf.skey, kit.t->wire_hash[0], 20);
		mse_shake_init(&s->a, &conf);
		conf.end = MSE_B;
		memset(conf.key, 'L', MSE_KEY);
		mse_shake_init(&s->b, &conf);
		while (turn(s, 0) || turn(s, 1))
			;
		assert_int_equal(s->a.want, MSE_DONE);
		assert_int_equal(s->b.want, MSE_DONE);
		seal_say(s, 0, a, 68);
		seal_say(s, 1, z, 68);
		seal_say(s, 1, have, sizeof(have));
		every_cut(&b, &kit, true, s->said, s->n, 200, 3);
		assert_int_equal(count(b.text, "encrypted 192.0.2.1:1001"), 1);
		assert_int_equal(count(b.text, "\"outcome\":\"ok\""), 1);
		assert_int_equal(count(b.text, "handshake "), 2);
		assert_int_equal(count(b.text, "\"expected\":true"), 2);
		assert_int_equal(count(b.text, "have 192.0.2.2:1002"), 1);
		bench_close(&b);
		free(s);
	}
	kit_free(&kit);
}

/* Our own packets: the kinds and sides of a live run. */
static void of_our_own(void **state)
{
	struct kit kit = kit_make(true, false);
	static const uint8_t have[] = { 0, 0, 0, 5, 4, 0, 0, 0, 1 };
	struct endpoint us;
	uint8_t a[68], z[68];

	(void)state;
	hello(a, kit.t->wire_hash[0], 'a');
	hello(z, kit.t->wire_hash[0], 'z');
	struct say said[] = { { 0, span_of(a, 68) }, { 1, span_of(z, 68) },
		{ 1, span_of(have, sizeof(have)) } };
	struct bench b;

	us = end(1);
	own = &us;
	every_cut(&b, &kit, true, said, 3, 70, 1);
	assert_int_equal(count(b.text, "dial 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "greeted 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"by\":\"us\""), 2); /* and closed */
	assert_int_equal(count(b.text, "handshake 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "have 192.0.2.2:1002"), 1);
	assert_int_equal(count(b.text, "\"rx_bytes\":77,\"tx_bytes\":68"), 1);
	bench_close(&b);
	us = end(2);	/* it came to us */
	every_cut(&b, &kit, true, said, 3, 70, 1);
	assert_int_equal(count(b.text, "accept 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "handshake 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "greeted 192.0.2.1:1001"), 1);
	assert_int_equal(count(b.text, "have 192.0.2.1:1001"), 1);
	bench_close(&b);
	us = end(3);	/* somebody else's */
	every_cut(&b, &kit, true, said, 3, 3, 1);
	assert_int_equal(b.records, 0);
	bench_close(&b);
	own = NULL;
	kit_free(&kit);
}

#define CROWD 100u

/* A crowd said this before one of it gave the metadata, of 16 million pieces:
 * how many ended for want of memory. */
static uint64_t displaced(struct span claim)
{
	char info[200];
	uint8_t a[68], z[68], ext[200], data[400], hash[32];
	static const char dict[] = "d1:md11:ut_metadatai3eee";
	void *flow[CROWD];
	struct bench b;
	uint64_t gone;
	size_t n, m;

	n = (size_t)snprintf(info, sizeof(info), "d9:file treed1:ad0:d6:length"
	    "i274877906944e11:pieces root32:%32seee12:meta versioni2e4:name"
	    "1:a12:piece lengthi16384ee", "");
	SHA256((uint8_t *)info, n, hash);
	hello(a, hash, 'a');
	hello(z, hash, 'z');
	m = (size_t)snprintf((char *)data + 6, sizeof(data) - 6,
	    "d8:msg_typei1e5:piecei0e10:total_sizei%zuee%s", n, info) + 6;
	put_u32(data, (uint32_t)m - 4);
	data[4] = PW_EXTENDED;
	data[5] = 3;
	n = pw_put_extended(ext, sizeof(ext), 0, span_str(dict));
	struct say said[] = { { 0, span_of(a, 68) }, { 1, span_of(z, 68) },
		{ 0, span_of(ext, n) }, { 1, span_of(data, m) } };

	bench_open(&b, NULL);
	for (size_t i = 0; i < CROWD; i++) {
		struct flow_open o = { .transport = FLOW_TCP,
			.end = { end(1), end(2) }, .opened = true,
			.at = b.at };

		flow[i] = b.sink.open(b.sink.ctx, &o);
		assert_true(b.sink.bytes(b.sink.ctx, flow[i], 0,
		    span_of(a, 68), b.at));
		assert_true(b.sink.bytes(b.sink.ctx, flow[i], 0, claim, b.at));
	}
	talk(&b, true, said, 4, 0);
	assert_int_equal(count(b.text, "\ntorrent - "), 1);
	gone = dissect_counts(b.d).displaced;
	assert_true(count(b.text, "\nclaims ") + gone >= CROWD);
	assert_true(dissect_memory_most(b.d) < DISSECT_MEMORY + (8u << 20));
	for (size_t i = 0; i < CROWD; i++)
		b.sink.closed(b.sink.ctx, flow[i], FLOW_CAPTURE_END, 0, b.at);
	bench_close(&b);
	return gone;
}

static void crowd(void **state)
{
	static const uint8_t all[] = { 0, 0, 0, 1, 14 };
	static const uint8_t have[] = { 0, 0, 0, 5, 4, 0, 0, 0, 1 };

	(void)state;
	assert_int_equal(displaced(span_of(all, sizeof(all))), 0);
	assert_in_range(displaced(span_of(have, sizeof(have))), CROWD - 25,
	    CROWD);
}

/* However many conversations there are at once, memory is bounded. */
static void many(void **state)
{
	static void *flow[60000];
	uint8_t a[68], hash[20] = { 0 };
	const unsigned n = sizeof(flow) / sizeof(flow[0]);
	struct bench b;

	(void)state;
	bench_open(&b, NULL);
	for (uint32_t i = 0; i < n; i++) {
		struct flow_open o = { .transport = FLOW_TCP,
			.end = { end(1), end(2) }, .opened = true,
			.at = b.at };

		flow[i] = b.sink.open(b.sink.ctx, &o);
		put_u32(hash, i);
		hello(a, hash, 'a');
		assert_true(b.sink.bytes(b.sink.ctx, flow[i], 0,
		    span_of(a, 68), b.at));
		b.n = 0;
	}
	assert_true(dissect_memory_most(b.d) < DISSECT_MEMORY + (8u << 20));
	assert_true(dissect_counts(b.d).displaced > n / 4);
	/* One that we gave up is unwanted, and must not be told again. */
	assert_false(b.sink.bytes(b.sink.ctx, flow[0], 0, span_of(a, 68),
	    b.at));
	for (uint32_t i = 1; i < n; i++)
		b.sink.closed(b.sink.ctx, flow[i], FLOW_CAPTURE_END, 0, b.at);
	assert_int_equal(dissect_counts(b.d).flows, n);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers),
		cmocka_unit_test(unknown_gap),
		cmocka_unit_test(one_way),
		cmocka_unit_test(middle),
		cmocka_unit_test(metadata),
		cmocka_unit_test(encrypted),
		cmocka_unit_test(sealed),
		cmocka_unit_test(of_our_own),
		cmocka_unit_test(crowd),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
