/*
 * The dissector at its sink, without packets: what a conversation says is told
 * to it whole, then cut at every length, and the records must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "capture/dissect.h"
#include "capture/lineup.h"
#include "tests/torrent_kit.h"
#include "wire/peerwire.h"
#include "wire/tracker.h"

struct say {
	unsigned side;
	struct span bytes;
};

struct bench {
	struct known *known;
	struct dissect *d;
	struct lineup *lineup;
	struct digester *digester;
	struct flow_sink sink;
	char *text;		/* kind ip:port swarm detail names, a line each */
	size_t n, room;
	int64_t records;
	struct flow_at at;
};

static void put(struct bench *b, const char *s)
{
	size_t n = strlen(s);

	if (b->n + n + 1 > b->room) {
		b->room = 2 * (b->n + n + 1);
		b->text = realloc(b->text, b->room);
		assert_non_null(b->text);
	}
	memcpy(b->text + b->n, s, n + 1);
	b->n += n;
}

static int64_t keep(void *ctx, const struct record *r)
{
	struct bench *b = ctx;
	char text[ENDPOINT_TEXT_MAX];

	put(b, r->kind);
	put(b, " ");
	put(b, r->who ? endpoint_text(r->who, text) : "-");
	put(b, " ");
	put(b, r->swarm ? r->swarm : "-");
	put(b, " ");
	put(b, r->detail);
	for (size_t i = 0; i < r->names; i++) {
		put(b, " ");
		put(b, endpoint_text(&r->named[i].at, text));
	}
	put(b, "\n");
	assert_true(r->at.mono_ns == -1);
	return b->records++;
}

static int64_t on_add(void *ctx, const struct record *r)
{
	return lineup_add(((struct bench *)ctx)->lineup, r);
}

static int64_t on_later(void *ctx, const struct record *r, struct promise *p)
{
	return lineup_later(((struct bench *)ctx)->lineup, r, p);
}

/* Who we are, where packets are our own. */
static const struct endpoint *own;

static bool on_ours(void *ctx, const struct endpoint *e)
{
	(void)ctx;
	return endpoint_same_ip(e, own);
}

/* The secret of whoever's public key begins with 'K'. */
#define SECRET 0x77

static bool on_secret(void *ctx, const uint8_t key[MSE_KEY],
    struct dissect_secret *s)
{
	(void)ctx;
	memset(s->secret, SECRET, MSE_KEY);
	s->skey_known = false;
	return key[0] == 'K';
}

static void bench_open(struct bench *b, const struct kit *kit)
{
	struct dissect_conf conf = { .ctx = b, .add = on_add,
		.later = on_later, .secret = on_secret,
		.ours = own ? on_ours : NULL };
	struct wire_error err;

	*b = (struct bench){ .known = known_new(),
		.digester = digester_new(2), .at = { 1000000000, 1 } };
	b->lineup = lineup_new(LINEUP_MEMORY, keep, b);
	conf.known = b->known;
	conf.digester = b->digester;
	if (kit)
		assert_true(known_add(b->known, torrent_new(span_of(kit->file,
		    kit->n), &err)));
	b->d = dissect_new(&conf);
	b->sink = dissect_sink(b->d);
	dissect_file(b->d, "packets/000001.pcap", NULL);
	put(b, "");
}

static void bench_close(struct bench *b)
{
	dissect_finish(b->d);
	lineup_drain(b->lineup);
	dissect_free(b->d);
	lineup_free(b->lineup);
	digester_free(b->digester);
	known_free(b->known);
	free(b->text);
}

static struct endpoint end(uint8_t n)
{
	uint8_t a[4] = { 192, 0, 2, n };

	return endpoint_of(span_of(a, 4), (uint16_t)(1000 + n));
}

/* One conversation, its bytes in pieces of at most cut (0: as they are). */
static void talk(struct bench *b, bool opened, const struct say *said,
    size_t n, size_t cut)
{
	struct flow_open o = { .transport = FLOW_TCP, .end = { end(1), end(2) },
		.opened = opened, .at = b->at };
	void *f = b->sink.open(b->sink.ctx, &o);
	bool wanted = f != FLOW_UNWANTED;

	for (size_t i = 0; i < n && wanted; i++) {
		struct span s = said[i].bytes;

		while (s.n && wanted) {
			size_t part = cut && cut < s.n ? cut : s.n;
			uint8_t *exact = malloc(part);	/* the sanitizer sees one
							 * byte too many */

			assert_non_null(exact);
			memcpy(exact, s.p, part);
			b->at.frame++;
			wanted = b->sink.bytes(b->sink.ctx, f, said[i].side,
			    span_of(exact, part), b->at);
			free(exact);
			s.p += part;
			s.n -= part;
		}
	}
	if (wanted)
		b->sink.closed(b->sink.ctx, f, FLOW_FIN, 0, b->at);
	lineup_drain(b->lineup);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Frame numbers follow the cuts; all else must not. */
static void blur(char *text)
{
	for (char *p = text; (p = strstr(p, "\"frame\":")); p++)
		for (char *q = p + 8; *q >= '0' && *q <= '9'; q++)
			*q = '#';
	for (char *p = text; (p = strchr(p, '#')); )
		if (p[1] == '#')
			memmove(p, p + 1, strlen(p));
		else
			p++;
}

/* The same records however it is cut; those of the whole in b. */
static void every_cut(struct bench *b, const struct kit *kit, bool opened,
    const struct say *said, size_t n, size_t to, size_t step)
{
	bench_open(b, kit);
	talk(b, opened, said, n, 0);
	blur(b->text);
	for (size_t cut = 1; cut <= to; cut += step) {
		struct bench c;

		bench_open(&c, kit);
		talk(&c, opened, said, n, cut);
		blur(c.text);
		assert_string_equal(c.text, b->text);
		bench_close(&c);
	}
}

/* --- peers ---------------------------------------------------------------- */

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

/* --- what only looks so ------------------------------------------------------ */

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

/* --- HTTP trackers ------------------------------------------------------------- */

#define HASH20 "%01%02%03%04%05%06%07%08%09%0a%0B%0c%0d%0e%0f%10%11%12%13%14"
#define GET "GET /announce?passkey=x&info_hash=" HASH20 "&peer_id=-AA0000-abcdef" \
	"ghijkl&port=6881&uploaded=1&downloaded=2&left=3&event=started&numwant=" \
	"50&key=0123ABCD HTTP/1.1\r\nHost: t.example:80\r\nAccept: */*\r\n\r\n"
#define REPLY "d8:intervali1800e5:peers12:\x01\x02\x03\x04\x1a\xe1" \
	"\x05\x06\x07\x08\x1a\xe2" "e"
#define REPLY_N 40u

static void http(void **state)
{
	char plain[300], chunked[300], zipped[300];
	uint8_t gz[200];
	size_t n[3];
	struct bench b;
	z_stream z = { 0 };

	(void)state;
	assert_int_equal(sizeof(REPLY) - 1, REPLY_N);
	n[0] = (size_t)snprintf(plain, sizeof(plain), "HTTP/1.1 200 OK\r\n"
	    "Content-Length: %u\r\n\r\n", REPLY_N);
	memcpy(plain + n[0], REPLY, REPLY_N);
	n[0] += REPLY_N;
	n[1] = (size_t)snprintf(chunked, sizeof(chunked), "HTTP/1.1 200 OK\r\n"
	    "transfer-encoding: chunked\r\n\r\n5;x=y\r\n%.5s\r\n%x\r\n", REPLY,
	    REPLY_N - 5);
	memcpy(chunked + n[1], REPLY + 5, REPLY_N - 5);
	n[1] += REPLY_N - 5;
	memcpy(chunked + n[1], "\r\n0\r\nT: v\r\n\r\n", 14);
	n[1] += 14;
	deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (Bytef *)(uintptr_t)REPLY;
	z.avail_in = REPLY_N;
	z.next_out = gz;
	z.avail_out = sizeof(gz);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	n[2] = (size_t)snprintf(zipped, sizeof(zipped), "HTTP/1.0 200 OK\r\n"
	    "Content-Encoding: gzip\r\n\r\n");	/* until the close */
	memcpy(zipped + n[2], gz, sizeof(gz) - z.avail_out);
	n[2] += sizeof(gz) - z.avail_out;

	const char *const reply[] = { plain, chunked, zipped };
	for (int i = 0; i < 3; i++) {
		struct say said[] = { { 0, span_str(GET) },
			{ 1, span_of(reply[i], n[i]) } };

		every_cut(&b, NULL, true, said, 2, n[i], 1);
		assert_int_equal(b.records, 2);
		assert_int_equal(count(b.text, "announce 192.0.2.1:1001 0102030"
		    "405060708090a0b0c0d0e0f1011121314 {\"tracker\":\"http://"
		    "t.example:80/announce?passkey=x\",\"tier\":null"), 1);
		assert_int_equal(count(b.text, "\"event\":\"started\",\"family"
		    "\":4,\"port\":6881,\"uploaded\":1,\"downloaded\":2,"
		    "\"left\":3,\"numwant\":50,\"key\":\"0123abcd\""), 1);
		assert_int_equal(count(b.text, "\"to\":\"192.0.2.2:1002\""),
		    1);
		assert_int_equal(count(b.text, "listed 192.0.2.2:1002"), 1);
		assert_int_equal(count(b.text, " 1.2.3.4:6881 5.6.7.8:6882"),
		    1);
		bench_close(&b);
	}
	struct say lone[] = { { 0, span_str(GET) } };
	every_cut(&b, NULL, true, lone, 1, 5, 1);
	assert_int_equal(count(b.text, "\"outcome\":\"unseen\""), 1);
	assert_int_equal(b.records, 1);
	bench_close(&b);
	/* Twice over one connection. */
	struct say twice[] = { { 0, span_str(GET) }, { 1, { (uint8_t *)plain,
		n[0] } }, { 0, span_str(GET) }, { 1, { (uint8_t *)chunked,
		n[1] } } };
	every_cut(&b, NULL, true, twice, 4, 100, 7);
	assert_int_equal(b.records, 4);
	bench_close(&b);
	struct say scrape[] = { { 0, span_str("GET /x/scrape?info_hash=" HASH20
	    " HTTP/1.1\r\n\r\n") }, { 1, span_str("HTTP/1.1 200 OK\r\n\r\n"
	    "d5:filesd20:\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
	    "\x11\x12\x13\x14" "d8:completei5e10:incompletei6eeee") } };
	every_cut(&b, NULL, true, scrape, 2, 60, 1);
	assert_int_equal(count(b.text, "scrape 192.0.2.2:1002 0102"), 1);
	assert_int_equal(count(b.text, "\"seeders\":5,\"leechers\":6"), 1);
	assert_int_equal(b.records, 1);
	bench_close(&b);
	/* What it does not say, or not so that it can be read, is absent. */
	struct say odd[] = { { 0, span_str("GET /a?info_hash=" HASH20
	    "&port=99999&left=-1&uploaded=99999999999999999999&key=x HTTP/1.1"
	    "\r\n\r\n") } };
	every_cut(&b, NULL, true, odd, 1, 5, 1);
	assert_int_equal(count(b.text, "\"port\":null,\"uploaded\":null,"
	    "\"downloaded\":null,\"left\":null,\"numwant\":-1,\"key\":null,"
	    "\"peer_id\":null"), 1);
	bench_close(&b);
	struct say page[] = { { 0, span_str("GET / HTTP/1.1\r\n\r\n") } };
	every_cut(&b, NULL, true, page, 1, 5, 1);
	assert_int_equal(b.records, 0);
	bench_close(&b);
}

/* --- datagrams ------------------------------------------------------------------ */

static void give(struct bench *b, uint8_t from, uint8_t to, struct span s)
{
	struct endpoint x = end(from), y = end(to);

	b->at.frame++;
	b->sink.datagram(b->sink.ctx, &x, &y, s, 0, b->at);
}

static void udp_tracker(void **state)
{
	struct tracker_ask ask = { .port = 6881, .left = 7, .numwant = 50 };
	uint8_t out[UDP_ANNOUNCE_MAX], told[32];
	struct bench b;
	size_t n;

	(void)state;
	memset(ask.infohash, 0xab, 20);
	bench_open(&b, NULL);
	n = tracker_udp_connect(out, 0x1111);
	give(&b, 1, 2, span_of(out, n));
	put_u32(told, UDP_ACT_CONNECT);
	put_u32(told + 4, 0x1111);
	put_u64(told + 8, 0x5555666677778888);
	give(&b, 2, 1, span_of(told, 16));
	n = tracker_udp_announce(out, 0x5555666677778888, 0x2222, &ask,
	    span_str("/a?b"));
	give(&b, 1, 2, span_of(out, n));
	/* Another's answer, and one to another question, are none. */
	put_u32(told, UDP_ACT_ANNOUNCE);
	put_u32(told + 4, 0x2222);
	put_u32(told + 8, 1800);
	put_u32(told + 12, 3);
	put_u32(told + 16, 4);
	memcpy(told + 20, "\1\2\3\4\x1a\xe1", 6);
	give(&b, 3, 1, span_of(told, 26));
	put_u32(told + 4, 0x2223);
	give(&b, 2, 1, span_of(told, 26));
	assert_int_equal(b.records, 0);
	put_u32(told + 4, 0x2222);
	give(&b, 2, 1, span_of(told, 26));
	assert_int_equal(b.records, 2);
	assert_int_equal(count(b.text, "announce 192.0.2.1:1001 abab"), 1);
	assert_int_equal(count(b.text, "\"tracker\":\"udp://192.0.2.2:1002"
	    "/a?b\""), 1);
	assert_int_equal(count(b.text, " 1.2.3.4:6881\n"), 1);
	assert_int_equal(count(b.text, "\"seeders\":4"), 1);
	/* A scrape of two, one record each. */
	uint8_t two[2][20], counts[32];
	memset(two[0], 0xcc, 20);
	memset(two[1], 0xdd, 20);
	n = tracker_udp_scrape(out, 0x5555666677778888, 0x7777,
	    (const uint8_t (*)[20])two, 2);
	give(&b, 1, 2, span_of(out, n));
	put_u32(counts, UDP_ACT_SCRAPE);
	put_u32(counts + 4, 0x7777);
	for (uint32_t i = 0; i < 6; i++)
		put_u32(counts + 8 + 4 * i, i + 1);
	give(&b, 2, 1, span_of(counts, 32));
	assert_int_equal(count(b.text, "scrape 192.0.2.2:1002 cccc"), 1);
	assert_int_equal(count(b.text, "scrape 192.0.2.2:1002 dddd"), 1);
	assert_int_equal(count(b.text, "\"seeders\":1,\"leechers\":3"), 1);
	assert_int_equal(count(b.text, "\"seeders\":4,\"leechers\":6"), 1);
	b.records -= 2;
	/* An id that nobody was seen to get, and no answer: nothing. */
	n = tracker_udp_announce(out, 0x99, 0x3333, &ask, span_of(NULL, 0));
	give(&b, 1, 4, span_of(out, n));
	/* One that was given, and no answer: unseen. */
	n = tracker_udp_announce(out, 0x5555666677778888, 0x4444, &ask,
	    span_of(NULL, 0));
	give(&b, 1, 2, span_of(out, n));
	dissect_finish(b.d);
	assert_int_equal(b.records, 3);
	assert_int_equal(count(b.text, "\"outcome\":\"unseen\""), 1);
	bench_close(&b);
}

static void dht(void **state)
{
	static const char ask[] = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash"
	    "20:hhhhhhhhhhhhhhhhhhhhe1:q9:get_peers1:t2:xy1:y1:qe";
	static const char tell[] = "d1:rd2:id20:bbbbbbbbbbbbbbbbbbbb5:token1:t"
	    "6:valuesl6:\1\2\3\4\x1a\xe1" "ee1:t2:xy1:y1:re";
	static const char find[] = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:target"
	    "20:hhhhhhhhhhhhhhhhhhhhe1:q9:find_node1:t2:xz1:y1:qe";
	struct bench b;

	(void)state;
	bench_open(&b, NULL);
	give(&b, 1, 2, span_of(tell, sizeof(tell) - 1));
	give(&b, 1, 2, span_str(find));
	assert_int_equal(b.records, 0);
	give(&b, 1, 2, span_str(ask));
	assert_int_equal(count(b.text, "dht 192.0.2.1:1001 6868"), 1);
	assert_int_equal(count(b.text, "{\"ask\":\"get_peers\""), 1);
	give(&b, 3, 1, span_of(tell, sizeof(tell) - 1));
	assert_int_equal(b.records, 1);
	give(&b, 2, 1, span_of(tell, sizeof(tell) - 1));
	give(&b, 2, 1, span_of(tell, sizeof(tell) - 1));
	assert_int_equal(b.records, 2);
	assert_int_equal(count(b.text, "dht 192.0.2.2:1002 6868"), 1);
	assert_int_equal(count(b.text, "{\"query\":\"get_peers\""), 1);
	assert_int_equal(count(b.text, " 1.2.3.4:6881\n"), 1);
	bench_close(&b);
}

static void lsd(void **state)
{
	static const char said[] = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152."
	    "143:6771\r\nPort: 6881\r\nInfohash: "
	    "0102030405060708090a0b0c0d0e0f1011121314\r\n\r\n\r\n";
	struct bench b;

	(void)state;
	bench_open(&b, NULL);
	give(&b, 1, 2, span_str(said));
	give(&b, 1, 2, span_str("BT-SEARCH * nonsense"));
	assert_int_equal(b.records, 2);
	assert_int_equal(count(b.text, "listed 192.0.2.1:1001 0102"), 1);
	assert_int_equal(count(b.text, " 192.0.2.1:6881\n"), 1);
	assert_int_equal(count(b.text, "malformed 192.0.2.1:1001"), 1);
	bench_close(&b);
}

/* --- bounds --------------------------------------------------------------------- */

/* As many conversations at once as there like: memory stays. */
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
		assert_true(dissect_memory(b.d) < DISSECT_MEMORY + (8u << 20));
		b.n = 0;
	}
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
		cmocka_unit_test(middle),
		cmocka_unit_test(metadata),
		cmocka_unit_test(encrypted),
		cmocka_unit_test(sealed),
		cmocka_unit_test(of_our_own),
		cmocka_unit_test(http),
		cmocka_unit_test(udp_tracker),
		cmocka_unit_test(dht),
		cmocka_unit_test(lsd),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
