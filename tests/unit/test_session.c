/*
 * The course of a session: greeting, wrong peers, claims that settle, only
 * observing, a torrent that is learnt, the end.
 */
#include "tests/session_kit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_dht_bit),
		cmocka_unit_test(test_wrong_peers),
		cmocka_unit_test(test_claims_settle),
		cmocka_unit_test(test_observing),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
