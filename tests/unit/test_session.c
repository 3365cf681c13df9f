#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "monitor/session.h"

#define S 1000000000ll
#define PIECES 20u
#define PIECE 40000u	/* 16384, 16384, 7232 */
#define LAST 5000u

/* A session, the peer's claims, and what we said in words. */
struct rig {
	struct session_conf conf;
	struct session_swarm swarm;
	struct session s;
	uint8_t claimed[8], map[8];
	uint32_t count, pieces_unknown, piece_max;
	int64_t now;
	uint8_t bytes[4096];
	char said[2048];
	const char *closed;
	/* what a careful reader of our bytes knows */
	bool choked, fast, greeted;
	bool fast_piece[PIECES];
	unsigned open;
	struct {
		uint32_t piece, begin, bytes;
	} asked[64];
};

static uint32_t piece_bytes(const void *ctx, uint32_t piece)
{
	const struct rig *r = ctx;

	if (piece < r->pieces_unknown)
		return 0;
	if (r->piece_max)
		return r->piece_max;
	return piece == PIECES - 1 ? LAST : PIECE;
}

static void rig_init(struct rig *r, int sample, unsigned outstanding,
    bool incoming)
{
	struct endpoint who = { .addr = { 192, 0, 2, 7 }, .port = 6881,
		.family = 4 };

	*r = (struct rig){ .choked = true };
	r->conf = (struct session_conf){ .listen_port = 6881,
		.version = "swarmwitness 0.1", .sample = sample,
		.outstanding = outstanding, .seed = "0123456789abcde" };
	memcpy(r->conf.peer_id, "-SW0100-aaaaaaaaaaaa", 20);
	memset(r->swarm.infohash[0], 0x11, 20);
	memset(r->swarm.infohash[1], 0x22, 20);
	r->swarm.hashes = 2;
	r->swarm.pieces = PIECES;
	r->swarm.ctx = r;
	r->swarm.piece_bytes = piece_bytes;
	r->now = 1000 * S;
	session_init(&r->s, &r->conf, &who, incoming, r->now);
	if (sample_is_large(sample))
		session_map(&r->s, r->map);
}

/* Reads our bytes as a peer would; checks what must never be. */
static void listen_to_us(struct rig *r, size_t n)
{
	struct cur c = cur_of(span_of(r->bytes, n));
	struct pw_handshake h;
	struct wire_error err;
	struct pw_msg m;
	char *p = r->said;
	size_t room = sizeof(r->said);
	int w = 0;

	*p = '\0';
	if (n && !r->greeted) {
		assert_int_equal(pw_handshake_next(&c, &h, &err), WIRE_OK);
		r->greeted = true;
		w = snprintf(p, room, "hello ");
	}
	for (; cur_left(&c); p += w, room -= (size_t)w, w = 0) {
		p += w;
		room -= (size_t)w;
		assert_int_equal(pw_next(&c, 32768, &m, &err), WIRE_OK);
		switch (m.id) {
		case PW_REQUEST:
			if (r->choked && !r->fast_piece[m.index])
				fail_msg("a request while choked");
			assert_true(m.bytes > 0 && m.bytes <= PW_BLOCK);
			assert_true(m.begin + m.bytes <=
			    piece_bytes(r, m.index));
			assert_true(r->open < 64);
			r->asked[r->open].piece = m.index;
			r->asked[r->open].begin = m.begin;
			r->asked[r->open++].bytes = m.bytes;
			w = snprintf(p, room, "ask:%u+%u ", m.begin, m.bytes);
			break;
		case PW_CANCEL:
		case PW_REJECT:
			w = snprintf(p, room, "%s:%u ", pw_name(m.id),
			    m.index);
			break;
		case PW_KEEPALIVE:
		case PW_INTERESTED:
		case PW_NOT_INTERESTED:
		case PW_HAVE_NONE:
		case PW_EXTENDED:
		case PW_HASH_REQUEST:
			w = snprintf(p, room, "%s ", pw_name(m.id));
			break;
		default:
			fail_msg("we said %s", pw_name(m.id));
		}
		assert_true(w > 0 && (size_t)w < room);
	}
	if (r->open > r->conf.outstanding)
		fail_msg("%u requests under way", r->open);
	n = strlen(r->said);
	if (n)
		r->said[n - 1] = '\0';
}

static const char *step(struct rig *r, enum session_in_kind kind,
    const struct event *ev)
{
	struct session_in in = { .kind = kind, .now_ns = r->now, .ev = ev,
		.swarm = &r->swarm, .claimed = r->count ? r->claimed : NULL,
		.claimed_count = r->count };
	struct session_out out = { r->bytes, sizeof(r->bytes), 0, NULL };

	session_step(&r->s, &in, &out);
	assert_true(out.n <= SESSION_OUT_MIN);
	assert_true((out.close != NULL) == (r->s.state == S_CLOSED &&
	    kind != IN_END && !r->closed));
	if (out.close)
		r->closed = out.close;
	listen_to_us(r, out.n);
	assert_true(r->closed || session_deadline(&r->s) > r->now ||
	    kind != IN_TIMEOUT);
	return r->said;
}

static const char *message(struct rig *r, enum pw_id id, uint32_t index)
{
	struct event ev = { .kind = EV_MESSAGE, .by = SIDE_PEER,
		.raw = span_of("0123456789abcdefg", 5) };

	ev.msg.id = id;
	ev.msg.index = index;
	if (id == PW_CHOKE)
		r->choked = true;
	if (id == PW_UNCHOKE)
		r->choked = false;
	if (id == PW_CHOKE && !r->fast)
		r->open = 0;
	if (id == PW_ALLOWED_FAST && r->fast)
		r->fast_piece[index] = true;
	return step(r, IN_EVENT, &ev);
}

static const char *handshake(struct rig *r, uint8_t hash, bool fast, bool ext)
{
	struct event ev = { .kind = EV_HANDSHAKE, .by = SIDE_PEER,
		.raw = span_of("", 0) };

	memset(ev.hs.infohash, hash, 20);
	memcpy(ev.hs.peer_id, "-XX0001-bbbbbbbbbbbb", 20);
	ev.hs.reserved[5] = ext ? 0x10 : 0;
	ev.hs.reserved[7] = fast ? 0x04 : 0;
	r->fast = fast;
	return step(r, IN_EVENT, &ev);
}

static const char *claim_all(struct rig *r)
{
	memset(r->claimed, 0xff, PIECES / 8);
	r->claimed[PIECES / 8] = 0xf0;
	r->count = PIECES;
	return message(r, PW_HAVE_ALL, 0);
}

static const char *claim_one(struct rig *r, uint32_t piece)
{
	r->claimed[piece / 8] |= (uint8_t)(0x80 >> piece % 8);
	r->count++;
	return message(r, PW_HAVE, piece);
}

/* Time goes on to the deadline. */
static const char *wait(struct rig *r)
{
	r->now = session_deadline(&r->s);
	return step(r, IN_TIMEOUT, NULL);
}

/* Delivers what was asked for first. */
static const char *deliver(struct rig *r)
{
	struct event ev = { .kind = EV_BLOCK, .by = SIDE_PEER, .last = true };

	assert_true(r->open > 0);
	ev.msg.id = PW_PIECE;
	ev.msg.index = r->asked[0].piece;
	ev.msg.begin = r->asked[0].begin;
	ev.msg.bytes = r->asked[0].bytes;
	ev.part.n = ev.msg.bytes;
	memmove(r->asked, r->asked + 1, --r->open * sizeof(r->asked[0]));
	return step(r, IN_EVENT, &ev);
}

static const char *reject(struct rig *r)
{
	struct event ev = { .kind = EV_MESSAGE, .by = SIDE_PEER };

	ev.msg.id = PW_REJECT;
	ev.msg.index = r->asked[0].piece;
	ev.msg.begin = r->asked[0].begin;
	ev.msg.bytes = r->asked[0].bytes;
	memmove(r->asked, r->asked + 1, --r->open * sizeof(r->asked[0]));
	return step(r, IN_EVENT, &ev);
}

/* Up to the point where claims have settled. */
static void meet(struct rig *r, int sample, unsigned outstanding, bool fast)
{
	rig_init(r, sample, outstanding, false);
	assert_string_equal(step(r, IN_CONNECTED, NULL), "hello");
	handshake(r, 0x11, fast, true);
	claim_all(r);
}

static void test_greeting(void **state)
{
	static const struct {
		bool fast, ext;
		const char *out, *in;
	} cases[] = {
		{ true, true, "extended have_none",
		    "hello extended have_none" },
		{ false, true, "extended", "hello extended" },
		{ true, false, "have_none", "hello have_none" },
		{ false, false, "", "hello" },
	};
	struct event ev = { .kind = EV_HANDSHAKE, .by = SIDE_PEER };
	struct rig r;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		rig_init(&r, 2, 4, false);
		assert_string_equal(step(&r, IN_CONNECTED, NULL), "hello");
		assert_memory_equal(r.bytes + 28, r.swarm.infohash[0], 20);
		assert_int_equal(r.bytes[25], 0x10);
		assert_int_equal(r.bytes[27], 0x04);
		assert_string_equal(handshake(&r, 0x11, cases[i].fast,
		    cases[i].ext), cases[i].out);
		rig_init(&r, 2, 4, true);
		assert_string_equal(step(&r, IN_CONNECTED, NULL), "");
		assert_string_equal(handshake(&r, 0x22, cases[i].fast,
		    cases[i].ext), cases[i].in);
		/* Answered under the hash it came with. */
		assert_memory_equal(r.bytes + 28, r.swarm.infohash[1], 20);
		assert_int_equal(r.s.outcome, SESSION_MET);
		/* Nor does who knows no v2 hear of that hash. */
		rig_init(&r, 2, 4, true);
		r.swarm.v2 = true;
		step(&r, IN_CONNECTED, NULL);
		handshake(&r, 0x11, cases[i].fast, cases[i].ext);
		assert_memory_equal(r.bytes + 28, r.swarm.infohash[0], 20);
		rig_init(&r, 2, 4, true);
		r.swarm.v2 = true;
		step(&r, IN_CONNECTED, NULL);
		ev.hs.reserved[7] = 0x10;
		memset(ev.hs.infohash, 0x11, 20);
		step(&r, IN_EVENT, &ev);
		assert_memory_equal(r.bytes + 28, r.swarm.infohash[1], 20);
	}
}

/* BEP 5's bit asks for `port`; BEP 27: not in a private swarm. */
static void test_dht_bit(void **state)
{
	struct rig r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		rig_init(&r, 2, 4, false);
		r.conf.dht = i & 1;
		r.swarm.is_private = i & 2;
		assert_string_equal(step(&r, IN_CONNECTED, NULL), "hello");
		assert_int_equal(r.bytes[27] & 1, i == 1);
	}
}

static void test_wrong_peers(void **state)
{
	struct event ev = { .kind = EV_HANDSHAKE, .by = SIDE_PEER };
	struct rig r;

	(void)state;
	rig_init(&r, 2, 4, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x33, true, true);
	assert_string_equal(r.closed, "the handshake bears another infohash");
	assert_int_equal(r.s.outcome, SESSION_OTHER);
	rig_init(&r, 2, 4, true);
	step(&r, IN_CONNECTED, NULL);
	assert_string_equal(handshake(&r, 0x33, true, true), "");
	assert_string_equal(r.closed, "the infohash is none of ours");
	rig_init(&r, 2, 4, false);
	step(&r, IN_CONNECTED, NULL);
	memset(ev.hs.infohash, 0x11, 20);
	memcpy(ev.hs.peer_id, r.conf.peer_id, 20);
	step(&r, IN_EVENT, &ev);
	assert_int_equal(r.s.outcome, SESSION_SELF);
	assert_non_null(r.closed);
	rig_init(&r, 2, 4, false);
	step(&r, IN_CONNECTED, NULL);
	wait(&r);
	assert_int_equal(r.now, 1015 * S);
	assert_int_equal(r.s.outcome, SESSION_SILENT);
	assert_string_equal(r.closed, "no handshake within 15 s");
}

static void test_claims_settle(void **state)
{
	struct rig r;
	int64_t began;

	(void)state;
	rig_init(&r, 2, 4, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	began = r.now;
	/* A lazy bitfield's haves: interest waits for 3 s of quiet. */
	for (uint32_t i = 0; i < 4; i++) {
		r.now += S;
		assert_string_equal(claim_one(&r, i), "");
	}
	assert_int_equal(session_deadline(&r.s), began + 7 * S);
	assert_string_equal(wait(&r), "interested");
	/* One that never stops claiming is asked after 15 s all the same. */
	rig_init(&r, 2, 4, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	for (uint32_t i = 0; i < 14; i++) {
		r.now += S;
		claim_one(&r, i);
	}
	assert_int_equal(session_deadline(&r.s), began + 15 * S);
	assert_string_equal(wait(&r), "interested");
}

static void test_sample(void **state)
{
	struct rig r;
	unsigned blocks = 0;

	(void)state;
	meet(&r, 2, 4, true);
	assert_string_equal(wait(&r), "interested");
	/* The seed's second draw is the short last piece. */
	assert_string_equal(message(&r, PW_UNCHOKE, 0),
	    "ask:0+16384 ask:16384+16384 ask:32768+7232 ask:0+5000");
	for (; r.open; blocks++)
		deliver(&r);
	assert_string_equal(r.said, "not_interested");
	assert_int_equal(r.s.sample.count, 2);
	assert_int_not_equal(r.s.sample.chosen[0], r.s.sample.chosen[1]);
	assert_int_equal(blocks, 4);
	/* It lingers, keeps alive, and leaves. */
	assert_int_equal(r.s.state, S_LINGER);
	assert_string_equal(wait(&r), "keepalive");
	assert_int_equal(r.now, r.s.leave_ns - 30 * S);
	assert_string_equal(wait(&r), "");
	assert_string_equal(r.closed, "nothing more to ask");
}

/* The choice can be repeated by whoever knows the seed. */
static void test_draws(void **state)
{
	struct endpoint who = { .addr = { 192, 0, 2, 7 }, .port = 6881,
		.family = 4 };
	static const uint8_t tail[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	    0xff, 192, 0, 2, 7, 0x1a, 0xe1, 0, 0, 0, 3 };
	uint8_t text[38], d[32];
	uint64_t want = 0;
	struct rig r;

	(void)state;
	memcpy(text, "0123456789abcde", 16);
	memcpy(text + 16, tail, 22);
	SHA256(text, sizeof(text), d);
	for (int i = 0; i < 8; i++)
		want = want << 8 | d[i];
	assert_true(sample_number(text, &who, 3) == want);
	/* Among the claimed only, and never twice. */
	rig_init(&r, 3, 8, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	claim_one(&r, 3);
	claim_one(&r, 17);
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	while (r.open)
		deliver(&r);
	assert_int_equal(r.s.sample.count, 2);
	assert_int_equal(r.s.sample.chosen[0] + r.s.sample.chosen[1], 20);
	/* A later claim brings it back for the third. */
	claim_one(&r, 19);
	assert_string_equal(wait(&r), "interested ask:0+5000");
	/* Pieces without a hash are not asked for. */
	rig_init(&r, 2, 4, false);
	r.pieces_unknown = PIECES;
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	claim_all(&r);
	assert_string_equal(wait(&r), "");
	assert_int_equal(r.s.state, S_LINGER);
}

static void test_all(void **state)
{
	struct rig r;
	unsigned blocks = 0;

	(void)state;
	meet(&r, -1, 8, false);
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	for (; r.open; blocks++)
		deliver(&r);
	assert_int_equal(blocks, (PIECES - 1) * 3 + 1);
	assert_string_equal(r.said, "not_interested");
	/* Without a map nothing is asked for rather than too much. */
	meet(&r, -1, 8, false);
	r.s.sample.map = NULL;
	assert_string_equal(wait(&r), "");
}

/* Of pieces of one block each, no more are under way than the record keeps
 * apart, however many requests may be. */
static void test_small_pieces(void **state)
{
	struct rig r;
	unsigned blocks = 0;

	(void)state;
	meet(&r, -1, SESSION_ASKS_MAX, false);
	r.piece_max = PW_BLOCK;
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	for (; r.open; blocks++) {
		assert_true(r.open <= SESSION_PIECES_MAX);
		assert_true(blocks || r.open == SESSION_PIECES_MAX);
		deliver(&r);
	}
	assert_int_equal(blocks, PIECES);
	/* Of large ones, as many requests as may be. */
	meet(&r, -1, SESSION_ASKS_MAX, false);
	r.piece_max = 4 << 20;
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	assert_int_equal(r.open, SESSION_ASKS_MAX);
}

static void test_choked(void **state)
{
	struct rig r;
	char first[2048];

	(void)state;
	/* Without Fast the requests are void, and made again. */
	meet(&r, 1, 2, false);
	wait(&r);
	r.s.sample.draws = 0;
	snprintf(first, sizeof(first), "%s", message(&r, PW_UNCHOKE, 0));
	assert_string_equal(message(&r, PW_CHOKE, 0), "");
	assert_int_equal(r.s.state, S_WANT);
	assert_string_equal(message(&r, PW_UNCHOKE, 0), first);
	/* With it each is rejected, and made again. */
	meet(&r, 1, 2, true);
	wait(&r);
	snprintf(first, sizeof(first), "%s", message(&r, PW_UNCHOKE, 0));
	assert_string_equal(message(&r, PW_CHOKE, 0), "");
	while (r.open)
		assert_string_equal(reject(&r), "");
	assert_int_equal(r.s.state, S_WANT);
	assert_string_equal(message(&r, PW_UNCHOKE, 0), first);
	/* Whoever rejects while it lets us ask is asked for something else,
	 * but not for ever. */
	meet(&r, 8, 1, true);
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	for (int i = 0; i < 3; i++)
		reject(&r);
	assert_string_equal(r.said, "not_interested");
	/* Never unchoked. */
	meet(&r, 1, 1, false);
	wait(&r);
	while (!r.closed)
		wait(&r);
	assert_string_equal(r.closed, "no unchoke within 600 s");
	assert_int_equal(r.now, 1603 * S);
	/* Nothing comes. */
	meet(&r, 1, 1, false);
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	while (!r.closed)
		wait(&r);
	assert_string_equal(r.closed, "a request unanswered for 60 s");
}

static void test_allowed_fast(void **state)
{
	struct rig r;

	(void)state;
	meet(&r, 1, 4, true);
	assert_string_equal(message(&r, PW_ALLOWED_FAST, 5), "");
	assert_string_equal(wait(&r), "interested");
	assert_int_equal(session_deadline(&r.s), r.now + 10 * S);
	assert_string_equal(wait(&r),
	    "ask:0+16384 ask:16384+16384 ask:32768+7232");
	assert_int_equal(r.asked[0].piece, 5);
	while (r.open)
		deliver(&r);
	assert_string_equal(r.said, "not_interested");
	/* From a peer that does not speak Fast it means nothing. */
	meet(&r, 1, 4, false);
	message(&r, PW_ALLOWED_FAST, 5);
	wait(&r);
	r.now += 30 * S;
	assert_string_equal(step(&r, IN_TIMEOUT, NULL), "");
	/* Nor does a piece it does not claim: that is waited for. */
	rig_init(&r, 1, 4, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	claim_one(&r, 4);
	message(&r, PW_ALLOWED_FAST, 5);
	wait(&r);
	r.now += 30 * S;
	assert_string_equal(step(&r, IN_TIMEOUT, NULL), "");
}

static void test_observing(void **state)
{
	struct rig r;

	(void)state;
	meet(&r, 0, 4, true);
	while (!r.closed) {
		wait(&r);
		assert_true(r.said[0] == '\0' ||
		    strcmp(r.said, "keepalive") == 0);
		message(&r, PW_UNCHOKE, 0);
	}
	assert_string_equal(r.closed, "nothing more to ask");
}

static void test_requests_of_theirs(void **state)
{
	struct rig r;

	(void)state;
	meet(&r, 1, 4, true);
	assert_string_equal(message(&r, PW_INTERESTED, 0), "");
	assert_string_equal(message(&r, PW_REQUEST, 7), "reject:7");
	meet(&r, 1, 4, false);
	assert_string_equal(message(&r, PW_REQUEST, 7), "");
}

static void test_floods(void **state)
{
	struct event ev = { .kind = EV_BLOCK, .by = SIDE_PEER };
	struct rig r;
	int n;

	(void)state;
	meet(&r, 1, 4, true);
	for (n = 0; !r.closed && n < 100000; n++)
		message(&r, n % 2 ? PW_CHOKE : PW_UNCHOKE, 0);
	assert_string_equal(r.closed, "flooding: far more than was asked for");
	assert_in_range(n, 400, 600);
	/* Data nobody asked for. */
	meet(&r, 1, 4, true);
	ev.msg.id = PW_PIECE;
	ev.part.n = 16384;
	for (n = 0; !r.closed && n < 1000; n++)
		step(&r, IN_EVENT, &ev);
	assert_in_range(n, 25, 35);
	/* Cheap words in turns, none of which joins the one before; in time. */
	meet(&r, 1, 4, true);
	for (n = 0; !r.closed && n < 100000; n++) {
		message(&r, n % 2 ? PW_HAVE : PW_REQUEST, 3);
		r.now += S / 100;
	}
	assert_string_equal(r.closed, "flooding: far more than was asked for");
	assert_in_range(n, 400, 700);
	/* Bitfields of a huge torrent, over and over. */
	rig_init(&r, 0, 4, false);
	r.swarm.pieces = 1u << 24;
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	ev = (struct event){ .kind = EV_MESSAGE, .by = SIDE_PEER,
		.raw = span_of("", (1u << 21) + 5) };
	ev.msg.id = PW_BITFIELD;
	for (n = 0; !r.closed && n < 1000; n++)
		step(&r, IN_EVENT, &ev);
	assert_in_range(n, 3, 5);
	/* Ten minutes of a fast fetcher's haves, two hundred a second. */
	meet(&r, 0, 4, true);
	r.swarm.pieces = 120000;
	for (n = 0; !r.closed && n < 120000; n++) {
		r.count = (uint32_t)n + 1;
		message(&r, PW_HAVE, 3);
		r.now += S / 200;
	}
	assert_null(r.closed);
	/* A peer that fetches the torrent itself tells each piece: fine. */
	meet(&r, 1, 4, true);
	for (n = 0; n < 5000; n++) {
		message(&r, PW_HAVE, 3);
		r.now += S / 100;
	}
	assert_null(r.closed);
}

/* What a peer says costs us little, however large the torrent is. */
static void test_costs(void **state)
{
	static uint8_t bits[(1u << 23) / 8];
	struct rig r;

	(void)state;
	for (int hashes = 0; hashes < 2; hashes++) {
		struct session_in in = { .kind = IN_EVENT };
		struct event ev = { .kind = EV_MESSAGE, .by = SIDE_PEER,
			.raw = span_of("123456789", 9) };
		struct session_out out;
		uint32_t count = 1;

		rig_init(&r, 2, 4, false);
		r.swarm.pieces = 1u << 23;
		if (!hashes)
			r.pieces_unknown = UINT32_MAX;
		step(&r, IN_CONNECTED, NULL);
		handshake(&r, 0x11, true, true);
		memset(bits, 0, sizeof(bits));
		bits[sizeof(bits) - 1] = 1;
		in.swarm = &r.swarm;
		in.claimed = bits;
		ev.msg.id = PW_HAVE;
		in.ev = &ev;
		for (int i = 0; i < 20000; i++) {
			out = (struct session_out){ r.bytes, sizeof(r.bytes),
				0, NULL };
			in.now_ns = r.now += S / 1000;
			in.claimed_count = count;
			if (!hashes)
				bits[i / 8] |= (uint8_t)(0x80u >> i % 8);
			count += !hashes;
			in.kind = session_deadline(&r.s) <= r.now ?
			    IN_TIMEOUT : IN_EVENT;
			session_step(&r.s, &in, &out);
			assert_null(out.close);
		}
	}
}

static void test_end(void **state)
{
	struct rig r;

	(void)state;
	meet(&r, 1, 2, true);
	assert_string_equal(step(&r, IN_END, NULL), "");
	meet(&r, 1, 2, true);
	wait(&r);
	message(&r, PW_UNCHOKE, 0);
	step(&r, IN_END, NULL);
	assert_non_null(strstr(r.said, "cancel:"));
	assert_non_null(strstr(r.said, "not_interested"));
	assert_int_equal(r.s.state, S_CLOSED);
}

/* Whatever a peer says in whatever order: listen_to_us and step hold the
 * rules, and each session ends. */
static void test_anything(void **state)
{
	static const enum pw_id ids[] = { PW_CHOKE, PW_UNCHOKE, PW_INTERESTED,
	    PW_HAVE, PW_REQUEST, PW_REJECT, PW_ALLOWED_FAST, PW_HAVE_ALL,
	    PW_HAVE_NONE, PW_BITFIELD, PW_KEEPALIVE, PW_UNKNOWN };
	uint32_t seed = 12345;
	struct rig r;

	(void)state;
	for (int run = 0; run < 3000; run++) {
		bool fast = run % 2;
		int64_t began;

		rig_init(&r, run % 5 == 0 ? -1 : run % 4, 1 +
		    (unsigned)run % 8, run % 3 == 0);
		began = r.now;
		step(&r, IN_CONNECTED, NULL);
		handshake(&r, 0x11, fast, run % 7 != 0);
		if (run % 11)
			claim_all(&r);
		for (int i = 0; i < 300 && !r.closed; i++) {
			seed = seed * 1664525u + 1013904223u;
			uint32_t x = seed >> 8;

			if (x % 4 == 0 && r.open)
				deliver(&r);
			else if (x % 4 == 1 && r.open && fast)
				reject(&r);
			else if (x % 4 == 2)
				wait(&r);
			else
				message(&r, ids[x / 4 % 12], x / 64 % PIECES);
		}
		for (int i = 0; i < 60 && !r.closed; i++)
			wait(&r);
		assert_non_null(r.closed);
		assert_true(r.now - began < 40000 * S);
	}
}

/* Hashes of v2 pieces: what the swarm says of them. */
static unsigned proven_from;	/* pieces from here on are proven */

static bool unproven(const void *ctx, uint32_t piece)
{
	(void)ctx;
	return piece < proven_from;
}

static size_t hash_request(const void *ctx, uint32_t piece, bool blocks,
    uint8_t out[HASHES_REQUEST_BYTES])
{
	(void)ctx;
	(void)piece;
	if (blocks)
		return 0;
	memset(out, 0, HASHES_REQUEST_BYTES);
	out[3] = HASHES_REQUEST_BYTES - 4;
	out[4] = PW_HASH_REQUEST;
	return HASHES_REQUEST_BYTES;
}

static void test_hashes(void **state)
{
	struct rig r;

	(void)state;
	proven_from = PIECES;
	meet(&r, 2, 4, true);
	r.swarm.unproven = unproven;
	r.swarm.hash_request = hash_request;
	/* Interested only when ready: the hashes come first. */
	assert_string_equal(wait(&r), "hash_request");
	assert_int_equal(r.s.state, S_HASHES);
	assert_string_equal(message(&r, PW_UNCHOKE, 0), "");
	proven_from = 0;
	assert_int_equal(strncmp(message(&r, PW_HASHES, 0),
	    "interested ask:", 15), 0);
	/* One that gives none is not asked for ever. */
	proven_from = PIECES;
	meet(&r, 2, 4, true);
	r.swarm.unproven = unproven;
	r.swarm.hash_request = hash_request;
	assert_string_equal(wait(&r), "hash_request");
	assert_string_equal(message(&r, PW_HASH_REJECT, 0), "hash_request");
	assert_string_equal(wait(&r), "hash_request");
	assert_int_equal(r.now, 1023 * S);
	assert_string_equal(message(&r, PW_HASH_REJECT, 0), "");
	assert_int_equal(r.s.state, S_LINGER);
	assert_string_equal(message(&r, PW_HASHES, 0), "");
}

static void test_metadata(void **state)
{
	struct event ev = { .kind = EV_EXTENDED, .ext = EXT_HANDSHAKE };
	struct rig r;

	(void)state;
	rig_init(&r, 2, 4, false);
	r.swarm.pieces = 0;
	step(&r, IN_CONNECTED, NULL);
	assert_string_equal(handshake(&r, 0x11, true, true),
	    "extended have_none");
	ev.xh.m = span_str("11:ut_metadatai3e");
	step(&r, IN_EVENT, &ev);
	assert_string_equal(step(&r, IN_FETCH, NULL), "extended");
	assert_string_equal(message(&r, PW_HAVE_ALL, 0), "");
	wait(&r);
	assert_int_equal(r.s.state, S_LINGER);
	assert_true(session_deadline(&r.s) > r.now + 60 * S);
	assert_string_equal(wait(&r), "keepalive");
	r.swarm.pieces = PIECES;
	memset(r.claimed, 0xff, 2);
	r.count = 16;
	assert_string_equal(step(&r, IN_LEARNT, NULL), "extended");
	assert_string_equal(wait(&r), "interested");
	/* A decoy is done once it is answered. */
	rig_init(&r, 2, 4, false);
	r.swarm.decoy = true;
	r.swarm.pieces = 0;
	step(&r, IN_CONNECTED, NULL);
	assert_string_equal(handshake(&r, 0x11, true, true), "");
	assert_string_equal(r.closed, "it answered to a decoy infohash");
	assert_int_equal(r.s.outcome, SESSION_MET);
}

static void test_super_seed(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 1, 4, false);
	step(&r, IN_CONNECTED, NULL);
	handshake(&r, 0x11, true, true);
	message(&r, PW_HAVE_NONE, 0);
	claim_one(&r, 3);
	assert_string_equal(wait(&r), "interested");
	message(&r, PW_UNCHOKE, 0);
	assert_int_equal(r.open, 3);
	while (r.open)	/* it gives only what it tells next */
		assert_string_equal(reject(&r), "");
	assert_null(r.closed);
	assert_int_equal(strncmp(claim_one(&r, 9), "ask:0", 5), 0);
	assert_int_equal(r.asked[0].piece, 9);
	while (r.open)
		deliver(&r);
	assert_int_equal(r.s.state, S_LINGER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_dht_bit),
		cmocka_unit_test(test_wrong_peers),
		cmocka_unit_test(test_claims_settle),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_small_pieces),
		cmocka_unit_test(test_choked),
		cmocka_unit_test(test_allowed_fast),
		cmocka_unit_test(test_observing),
		cmocka_unit_test(test_requests_of_theirs),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_super_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
