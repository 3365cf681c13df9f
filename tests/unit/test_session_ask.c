/*
 * What a session asks of a peer: which pieces, when, and how it takes being
 * choked, rejected or given hashes first.
 */
#include <openssl/sha.h>

#include "tests/session_kit.h"

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

/* Of a v2 torrent: pieces from here on have their hashes. */
static unsigned proven_from;

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

/* Few requests are replaced one by one; many a quarter at a time, to the last. */
static void test_refill(void **state)
{
	static const unsigned most[] = { 1, 4, 7, 8, 16, 20 };
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		unsigned batch = most[i] / 4 ? most[i] / 4 : 1, blocks = 0;

		meet(&r, -1, most[i], true);
		wait(&r);
		message(&r, PW_UNCHOKE, 0);
		assert_int_equal(r.open, most[i]);
		for (unsigned k = 1; k <= 2 * batch; k++) {
			deliver(&r);
			assert_int_equal(r.open, k % batch ? most[i] -
			    k % batch : most[i]);
		}
		for (; r.open; blocks++)
			deliver(&r);
		assert_int_equal(blocks + 2 * batch, 3 * (PIECES - 1) + 1);
		assert_int_equal(r.s.sample.count, PIECES);
		assert_int_equal(r.s.state, S_LINGER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_refill),
		cmocka_unit_test(test_small_pieces),
		cmocka_unit_test(test_choked),
		cmocka_unit_test(test_allowed_fast),
		cmocka_unit_test(test_super_seed),
		cmocka_unit_test(test_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
