/*
 * A session, the peer that talks to it, and what we said to that peer in words.
 * Every byte of ours is read as a careful peer would read it: whatever must
 * never be said fails the test at once.
 */
#ifndef TESTS_SESSION_KIT_H
#define TESTS_SESSION_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

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

static inline uint32_t piece_bytes(const void *ctx, uint32_t piece)
{
	const struct rig *r = ctx;

	if (piece < r->pieces_unknown)
		return 0;
	if (r->piece_max)
		return r->piece_max;
	return piece == PIECES - 1 ? LAST : PIECE;
}

static inline void rig_init(struct rig *r, int sample, unsigned outstanding,
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
static inline void listen_to_us(struct rig *r, size_t n)
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

static inline const char *step(struct rig *r, enum session_in_kind kind,
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

static inline const char *message(struct rig *r, enum pw_id id, uint32_t index)
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

static inline const char *handshake(struct rig *r, uint8_t hash, bool fast, bool ext)
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

static inline const char *claim_all(struct rig *r)
{
	memset(r->claimed, 0xff, PIECES / 8);
	r->claimed[PIECES / 8] = 0xf0;
	r->count = PIECES;
	return message(r, PW_HAVE_ALL, 0);
}

static inline const char *claim_one(struct rig *r, uint32_t piece)
{
	r->claimed[piece / 8] |= (uint8_t)(0x80 >> piece % 8);
	r->count++;
	return message(r, PW_HAVE, piece);
}

/* Time goes on to the deadline. */
static inline const char *wait(struct rig *r)
{
	r->now = session_deadline(&r->s);
	return step(r, IN_TIMEOUT, NULL);
}

/* Delivers what was asked for first. */
static inline const char *deliver(struct rig *r)
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

static inline const char *reject(struct rig *r)
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
static inline void meet(struct rig *r, int sample, unsigned outstanding,
    bool fast)
{
	rig_init(r, sample, outstanding, false);
	assert_string_equal(step(r, IN_CONNECTED, NULL), "hello");
	handshake(r, 0x11, fast, true);
	claim_all(r);
}

#endif
