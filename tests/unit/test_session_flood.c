/*
 * A session told too much: requests of a peer, floods of every kind, claims of
 * huge torrents, and anything in any order.
 */
#include "tests/session_kit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_of_theirs),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
