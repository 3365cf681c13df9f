#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/extend.h"

#define S 1000000000ll

/* What we said, read by a peer that announced ut_metadata as 3. */
static void read_back(const uint8_t *out, size_t n, struct event *ev)
{
	struct pw_handshake h = { .reserved = { [5] = 0x10 } };
	uint8_t hello[PW_HANDSHAKE];
	const char mine[] = "d1:md11:ut_metadatai3eee";
	uint8_t ours[64];
	struct talk t;
	struct cur c;

	pw_handshake_put(hello, &h);
	talk_init(&t, 0);
	for (int i = 0; i < 2; i++) {
		c = cur_of(span_of(hello, sizeof(hello)));
		assert_int_equal(talk_next(&t, (enum side)i, &c, ev), WIRE_OK);
	}
	c = cur_of(span_of(ours, pw_put_extended(ours, sizeof(ours), 0,
	    span_str(mine))));
	assert_int_equal(talk_next(&t, SIDE_PEER, &c, ev), WIRE_OK);
	c = cur_of(span_of(out, n));
	assert_int_equal(talk_next(&t, SIDE_US, &c, ev), WIRE_OK);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(ev->kind, EV_EXTENDED);
}

static void test_hello(void **state)
{
	static const struct {
		bool metadata, pex;
		const char *m;
	} cases[] = {
		{ false, false, "11:lt_donthavei7e" },
		{ true, false, "11:lt_donthavei7e11:ut_metadatai2e" },
		{ false, true, "11:lt_donthavei7e6:ut_pexi1e" },
		{ true, true, "11:lt_donthavei7e11:ut_metadatai2e"
		    "6:ut_pexi1e" },
	};
	struct extend_offer o = { .port = 6881, .version = "swarm 1" };
	uint8_t out[EXTEND_ROOM];
	char longest[200];
	struct event ev;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		o.metadata = cases[i].metadata;
		o.pex = cases[i].pex;
		read_back(out, extend_hello(&o, out), &ev);
		assert_int_equal(ev.ext, EXT_HANDSHAKE);
		assert_true(span_is(ev.xh.m, cases[i].m));
		assert_int_equal(ev.xh.p, 6881);
		assert_int_equal(ev.xh.metadata_size, -1);
		assert_true(span_is(ev.xh.v, "swarm 1"));
		assert_false(ev.xh.odd);
	}
	memset(longest, 'v', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	o.version = longest;
	read_back(out, extend_hello(&o, out), &ev);
	assert_int_equal(ev.xh.v.n, 100);
	o = (struct extend_offer){ .version = "", .pex = true, .again = true };
	read_back(out, extend_hello(&o, out), &ev);
	assert_true(span_is(ev.xh.m,
	    "11:lt_donthavei7e11:ut_metadatai0e6:ut_pexi1e"));
	o.pex = false;
	read_back(out, extend_hello(&o, out), &ev);
	assert_true(span_is(ev.xh.m,
	    "11:lt_donthavei7e11:ut_metadatai0e6:ut_pexi0e"));
}

static size_t hear(struct extend *x, struct event *ev, uint8_t *out)
{
	size_t n = 99;

	assert_null(extend_event(x, ev, S, out, &n));
	return n;
}

static void test_metadata(void **state)
{
	struct event hello = { .kind = EV_EXTENDED, .ext = EXT_HANDSHAKE };
	struct event ev = { .kind = EV_EXTENDED, .ext = EXT_UT_METADATA };
	struct extend x = { 0 };
	uint8_t out[EXTEND_ROOM];
	struct event said;

	(void)state;
	assert_int_equal(extend_fetch(&x, 1, out), 0);
	hello.xh.m = span_str("6:ut_pexi1e");
	assert_int_equal(hear(&x, &hello, out), 0);
	assert_int_equal(extend_fetch(&x, 1, out), 0);
	hello.xh.m = span_str("11:ut_metadatai3e");
	hear(&x, &hello, out);
	read_back(out, extend_fetch(&x, 7, out), &said);
	assert_int_equal(said.ext, EXT_UT_METADATA);
	assert_int_equal(said.metadata.type, METADATA_REQUEST);
	assert_int_equal(said.metadata.piece, 7);
	ev.metadata.type = METADATA_DATA;
	assert_true(extend_asked(&x, &ev));
	assert_int_equal(hear(&x, &ev, out), 0);
	assert_false(extend_asked(&x, &ev));	/* once */
	/* We give none. */
	ev.metadata.type = METADATA_REQUEST;
	ev.metadata.piece = 5;
	read_back(out, hear(&x, &ev, out), &said);
	assert_int_equal(said.metadata.type, METADATA_REJECT);
	assert_int_equal(said.metadata.piece, 5);
	ev.metadata.type = METADATA_UNKNOWN;
	assert_int_equal(hear(&x, &ev, out), 0);
	/* An id taken back. */
	hello.xh.m = span_str("11:ut_metadatai0e");
	hear(&x, &hello, out);
	assert_int_equal(extend_fetch(&x, 1, out), 0);
	hello.xh.m = span_str("11:ut_metadatai300e");
	hear(&x, &hello, out);
	assert_int_equal(extend_fetch(&x, 1, out), 0);
}

static void test_gossip(void **state)
{
	struct event ev = { .kind = EV_EXTENDED, .ext = EXT_UT_PEX };
	struct extend x = { 0 };
	uint8_t out[EXTEND_ROOM];
	size_t n;

	(void)state;
	for (int64_t at = 100; at < 1000; at += 60) {
		assert_null(extend_event(&x, &ev, at * S, out, &n));
		assert_true(x.gossip);
	}
	for (int i = 0; i < 3; i++) {
		assert_null(extend_event(&x, &ev, 961 * S, out, &n));
		assert_false(x.gossip);
	}
	assert_string_equal(extend_event(&x, &ev, 962 * S, out, &n),
	    "peer exchange far more often than once a minute");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_gossip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
