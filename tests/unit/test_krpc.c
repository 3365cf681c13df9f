#include "wire/krpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/exact.h"

#define ID "abcdefghij0123456789"
#define HASH "mnopqrstuvwxyz123456"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\5"
#define F16 "0123456789abcdef"
#define F256 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16 F16

/* --- what we send ---------------------------------------------------------- */

static const struct {
	struct krpc_ask ask;
	const char *want;
} asks[] = {
	/* BEP 5's own examples */
	{ { .method = KRPC_PING },
	    "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe" },
	{ { .method = KRPC_FIND_NODE },
	    "d1:ad2:id20:" ID "6:target20:" HASH "e1:q9:find_node1:t2:aa1:y1:q"
	    "e" },
	{ { .method = KRPC_GET_PEERS },
	    "d1:ad2:id20:" ID "9:info_hash20:" HASH "e1:q9:get_peers1:t2:aa"
	    "1:y1:qe" },
	{ { .method = KRPC_ANNOUNCE_PEER, .implied_port = true, .port = 6881,
	    .token = { (const uint8_t *)"aoeusnth", 8 } },
	    "d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" HASH
	    "4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe" },
	/* BEP 32, 33, 43 */
	{ { .method = KRPC_GET_PEERS, .scrape = true, .read_only = true,
	    .want = KRPC_WANT4 | KRPC_WANT6,
	    .v = { (const uint8_t *)"SW\0\1", 4 } },
	    "d1:ad2:id20:" ID "9:info_hash20:" HASH "6:scrapei1e4:wantl2:n42:n6"
	    "ee1:q9:get_peers2:roi1e1:t2:aa1:v4:SW?\1" "1:y1:qe" },
	{ { .method = KRPC_FIND_NODE, .want = KRPC_WANT6 },
	    "d1:ad2:id20:" ID "6:target20:" HASH "4:wantl2:n6ee1:q9:find_node"
	    "1:t2:aa1:y1:qe" },
};

static void queries(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(asks); i++) {
		struct krpc_ask ask = asks[i].ask;
		size_t len = strlen(asks[i].want);
		struct wire_error err;
		struct krpc_msg m;

		memcpy(ask.id, ID, 20);
		memcpy(ask.target, HASH, 20);
		ask.t = span_str("aa");
		for (size_t room = 0; room <= len + 1; room++) {
			uint8_t *out = malloc(room ? room : 1);
			size_t n = krpc_put(out, room, &ask);

			assert_int_equal(n, room < len ? 0 : len);
			for (size_t k = 0; k < n; k++)
				assert_true(out[k] == asks[i].want[k] ||
				    (out[k] == 0 && asks[i].want[k] == '?'));
			if (n) {	/* and we read what we write */
				assert_int_equal(krpc_read(span_of(out, n), &m,
				    &err), WIRE_OK);
				assert_int_equal(m.method, ask.method);
				assert_int_equal(m.notes | m.odd, 0);
				assert_int_equal(m.want, ask.want);
				assert_int_equal(m.port, ask.port);
				assert_int_equal(m.scrape, ask.scrape);
				assert_int_equal(m.read_only, ask.read_only);
			}
			free(out);
		}
	}
	struct krpc_ask none = { .method = KRPC_OTHER };
	uint8_t out[KRPC_SENT_MAX];
	assert_int_equal(krpc_put(out, sizeof(out), &none), 0);
}

/* --- what comes ------------------------------------------------------------ */

static void say(char *buf, size_t n, const struct krpc_msg *m)
{
	struct krpc_values vals = { 0 };
	struct krpc_nodes nodes = { 0 };
	struct krpc_named node;
	struct endpoint e;
	char at[ENDPOINT_TEXT_MAX];
	int len = 0;

#define ADD(...) len += snprintf(buf + len, n - (size_t)len, __VA_ARGS__)
#define TEXT(name, s) do { if ((s).p) \
	ADD(" " name "=%.*s", (int)(s).n, (const char *)(s).p); } while (0)
	switch (m->type) {
	case KRPC_QUERY:
		ADD("query %s/%.*s", krpc_method_name(m->method),
		    (int)m->name.n, (const char *)m->name.p);
		if (m->target[0])
			ADD(" %.20s", (const char *)m->target);
		break;
	case KRPC_REPLY:
		ADD("reply");
		break;
	case KRPC_ERROR:
		ADD("error %lld", (long long)m->code);
		TEXT("text", m->text);
		break;
	}
	if (m->type != KRPC_ERROR)
		assert_memory_equal(m->id, ID, 20);
	TEXT("t", m->t);
	TEXT("v", m->v);
	TEXT("token", m->token);
	if (m->ip.family)
		ADD(" ip=%s", endpoint_text(&m->ip, at));
	if (m->read_only)
		ADD(" ro");
	if (m->want)
		ADD(" want%u", m->want);
	if (m->port || m->implied_port)
		ADD(" port%u%s", m->port, m->implied_port ? "i" : "");
	if (m->scrape)
		ADD(" scrape");
	if (m->seed)
		ADD(" seed");
	while (krpc_node(m, &nodes, &node))
		ADD(" %.3s@%s", (const char *)node.id,
		    endpoint_text(&node.at, at));
	assert_false(krpc_node(m, &nodes, &node));
	while (krpc_value(m, &vals, &e))
		ADD(" %s", endpoint_text(&e, at));
	assert_false(krpc_value(m, &vals, &e));
	if (vals.skipped)
		ADD(" skipped%u", vals.skipped);
	if (m->bloom_seeds.p)
		ADD(" sd%zu", m->bloom_seeds.n);
	if (m->bloom_peers.p)
		ADD(" pe%zu", m->bloom_peers.n);
	if (m->odd)
		ADD(" odd%u", m->odd);
	if (m->notes)
		ADD(" notes%u", m->notes);
#undef ADD
#undef TEXT
}

#define R(content) B("d1:rd2:id20:" ID content "e1:t2:aa1:y1:re")
#define Q(name, content) B("d1:ad2:id20:" ID content "e1:q" name \
	"1:t2:aa1:y1:qe")
#define NODE4 "1234567890123456789x\300\0\2\1\x1a\xe1"
#define NODE6 "1234567890123456789x" V6 "\x1a\xe1"

static const struct {
	const char *in;
	size_t n;
	const char *want;	/* NULL: refused */
	const char *reason;	/* if so */
	size_t offset;
} cases[] = {
	{ Q("4:ping", ""), "query ping/ping t=aa", 0, 0 },
	{ Q("9:find_node", "6:target20:" HASH),
	    "query find_node/find_node " HASH " t=aa", 0, 0 },
	{ Q("9:get_peers", "9:info_hash20:" HASH "6:scrapei1e4:wantl2:n4i3e"
	    "2:n62:n9e"), "query get_peers/get_peers " HASH " t=aa want3 "
	    "scrape", 0, 0 },
	{ Q("13:announce_peer", "12:implied_porti1e9:info_hash20:" HASH
	    "4:porti6881e4:seedi1e5:token2:xy"),
	    "query announce_peer/announce_peer " HASH " t=aa token=xy "
	    "port6881i seed", 0, 0 },
	{ Q("13:announce_peer", "9:info_hash20:" HASH "4:porti65536e5:token0:"),
	    "query announce_peer/announce_peer " HASH " t=aa token= odd16",
	    0, 0 },
	{ Q("13:announce_peer", "9:info_hash20:" HASH "4:porti0e"),
	    "query announce_peer/announce_peer " HASH " t=aa odd16", 0, 0 },
	{ Q("13:announce_peer", "9:info_hash20:" HASH "4:port2:17"),
	    "query announce_peer/announce_peer " HASH " t=aa odd1", 0, 0 },
	{ Q("4:vote", "4:votei1e"), "query other/vote t=aa", 0, 0 },
	{ Q("0:", ""), "query other/ t=aa", 0, 0 },
	{ B("d1:ad2:id20:" ID "e1:q4:ping2:roi1e1:t0:1:v4:LT 21:y1:qe"),
	    "query ping/ping t= v=LT 2 ro", 0, 0 },
	/* replies */
	{ R(""), "reply t=aa", 0, 0 },
	{ R("5:nodes26:" NODE4), "reply t=aa 123@192.0.2.1:6881", 0, 0 },
	{ R("5:nodes52:" NODE4 NODE4 "6:nodes638:" NODE6),
	    "reply t=aa 123@192.0.2.1:6881 123@192.0.2.1:6881 "
	    "123@[2001:db8::1]:6881", 0, 0 },
	{ R("5:nodes27:" NODE4 "x"), "reply t=aa 123@192.0.2.1:6881 odd2", 0,
	    0 },
	{ R("5:nodes25:1234567890123456789012345"), "reply t=aa odd2", 0, 0 },
	{ R("6:nodes637:1234567890123456789" V6 "\1\1"), "reply t=aa odd2", 0,
	    0 },
	{ R("6:nodes638:1234567890123456789x" MAPPED "\1\1"),
	    "reply t=aa 123@192.0.2.5:257", 0, 0 },
	{ R("5:nodesle"), "reply t=aa odd1", 0, 0 },
	{ R("5:token2:xy6:valuesl6:\300\0\2\1\x1a\xe1" "18:" V6 "\0\1"
	    "6:\300\0\2\2\0\0e"),
	    "reply t=aa token=xy 192.0.2.1:6881 [2001:db8::1]:1 192.0.2.2:0",
	    0, 0 },
	{ R("6:valuesl5:12345i3ele12:abcdefabcdef6:\300\0\2\1\x1a\xe1" "e"),
	    "reply t=aa 192.0.2.1:6881 skipped4", 0, 0 },
	{ R("6:values6:\300\0\2\1\x1a\xe1"), "reply t=aa odd1", 0, 0 },
	{ R("6:valuesle"), "reply t=aa", 0, 0 },
	{ R("4:BFpe256:" F256 "4:BFsd256:" F256),
	    "reply t=aa sd256 pe256 notes1", 0, 0 },
	{ B("d1:rd4:BFpe256:" F256 "4:BFsd256:" F256 "2:id20:" ID
	    "e1:t2:aa1:y1:re"), "reply t=aa sd256 pe256", 0, 0 },
	{ B("d1:rd4:BFpe16:" F16 "2:id20:" ID "e1:t2:aa1:y1:re"),
	    "reply t=aa odd8", 0, 0 },
	/* BEP 42's ip, as an endpoint and as an address */
	{ B("d2:ip6:\300\0\2\1\x1a\xe1" "1:rd2:id20:" ID "e1:t2:aa1:y1:re"),
	    "reply t=aa ip=192.0.2.1:6881", 0, 0 },
	{ B("d2:ip18:" V6 "\x1a\xe1" "1:rd2:id20:" ID "e1:t2:aa1:y1:re"),
	    "reply t=aa ip=[2001:db8::1]:6881", 0, 0 },
	{ B("d2:ip4:\300\0\2\1" "1:rd2:id20:" ID "e1:t2:aa1:y1:re"),
	    "reply t=aa ip=192.0.2.1:0", 0, 0 },
	{ B("d2:ip5:\300\0\2\1\1" "1:rd2:id20:" ID "e1:t2:aa1:y1:re"),
	    "reply t=aa odd4", 0, 0 },
	{ B("d2:ipi5e1:rd2:id20:" ID "e1:t2:aa1:y1:re"), "reply t=aa odd1", 0,
	    0 },
	/* errors */
	{ B("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"),
	    "error 201 text=A Generic Error Ocurred t=aa", 0, 0 },
	{ B("d1:ele1:t2:aa1:y1:ee"), "error -1 t=aa", 0, 0 },
	{ B("d1:el2:hme1:t2:aa1:y1:ee"), "error -1 t=aa odd1", 0, 0 },
	{ B("d1:eli-5ei6ee1:t2:aa1:y1:ee"), "error -1 t=aa odd1", 0, 0 },
	/* what the wild does */
	{ B("d1:y1:r1:t2:aa1:rd2:id20:" ID "ee"), "reply t=aa notes1", 0, 0 },
	{ B("d1:rd2:id20:" ID "e1:t2:aa1:y1:rexyz"), "reply t=aa notes8", 0,
	    0 },
	{ B("d1:rd2:id20:" ID "2:id20:" HASH "e1:t2:aa1:t2:bb1:y1:re"),
	    "reply t=aa odd1 notes2", 0, 0 },
	{ B("d1:rd2:id20:" ID "e1:rde1:t2:aa1:y1:re"),
	    "reply t=aa odd1 notes2", 0, 0 },
	/* refused */
	{ B(""), NULL, "DHT message ends too early", 0 },
	{ B("le"), NULL, "DHT message is not a dictionary", 0 },
	{ B("i5e"), NULL, "DHT message is not a dictionary", 0 },
	{ B("de"), NULL, "DHT message without a transaction", 0 },
	{ B("hello"), NULL, "not the start of a bencoded value", 0 },
	{ B("d1:t2:aae"), NULL, "DHT message of no known type", 0 },
	{ B("d1:t2:aa1:y1:xe"), NULL, "DHT message of no known type", 0 },
	{ B("d1:t2:aa1:yi1ee"), NULL, "DHT message of no known type", 0 },
	{ B("d1:ti1e1:y1:re"), NULL, "DHT message without a transaction", 0 },
	{ B("d1:t2:aa1:y1:re"), NULL, "DHT reply without its content", 0 },
	{ B("d1:rle1:t2:aa1:y1:re"), NULL, "DHT reply without its content",
	    0 },
	{ B("d1:t2:aa1:y1:ee"), NULL, "DHT error without its list", 0 },
	{ B("d1:ede1:t2:aa1:y1:ee"), NULL, "DHT error without its list", 0 },
	{ B("d1:ad2:id20:" ID "e1:t2:aa1:y1:qe"), NULL,
	    "DHT query without its arguments", 0 },
	{ B("d1:q4:ping1:t2:aa1:y1:qe"), NULL,
	    "DHT query without its arguments", 0 },
	{ B("d1:rde1:t2:aa1:y1:re"), NULL, "sender's id is not of 20 bytes",
	    4 },
	{ B("d1:rd2:id19:abcdefghij012345678e1:t2:aa1:y1:re"), NULL,
	    "sender's id is not of 20 bytes", 4 },
	{ Q("9:get_peers", ""), NULL,
	    "target or infohash is not of 20 bytes", 4 },
	{ Q("9:get_peers", "9:info_hash3:abc"), NULL,
	    "target or infohash is not of 20 bytes", 4 },
	{ Q("9:find_node", "9:info_hash20:" HASH), NULL,
	    "target or infohash is not of 20 bytes", 4 },
};

static void datagrams(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = exact(cases[i].in, cases[i].n);
		struct wire_error err = { NULL, 0 };
		struct krpc_msg m;
		char got[512] = "";
		enum wire_status st = krpc_read(in, &m, &err);

		if (st == WIRE_OK)
			say(got, sizeof(got), &m);
		else
			assert_int_equal(st, WIRE_BAD);
		if (cases[i].want) {
			if (strcmp(got, cases[i].want))
				fail_msg("case %zu: %s (%s)", i, got,
				    err.reason ? err.reason : "");
		} else if (cases[i].reason) {
			if (st == WIRE_OK || strcmp(err.reason,
			    cases[i].reason) || err.offset != cases[i].offset)
				fail_msg("case %zu: %s, %s at %zu", i, got,
				    err.reason ? err.reason : "", err.offset);
		}
		unexact(in);
	}
}

/* Cut short anywhere, a message is refused with a reason. */
static void truncations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t cut = 0; cases[i].want && cut < cases[i].n; cut++) {
			struct span in = exact(cases[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct krpc_msg m;
			enum wire_status st = krpc_read(in, &m, &err);

			/* What follows the message's end may be missing. */
			if (cases[i].in[cases[i].n - 1] != 'z')
				assert_int_equal(st, WIRE_BAD);
			if (st != WIRE_OK) {
				assert_non_null(err.reason);
				assert_true(err.offset <= cut);
			}
			unexact(in);
		}
}

/* Nesting without end costs nothing. */
static void depth(void **state)
{
	size_t n = 60000;
	uint8_t *deep = malloc(n);
	struct wire_error err;
	struct krpc_msg m;

	(void)state;
	memset(deep, 'l', n);
	memcpy(deep, "d1:a", 4);
	assert_int_equal(krpc_read(span_of(deep, n), &m, &err), WIRE_BAD);
	assert_string_equal(err.reason, "nested too deep");
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(truncations),
		cmocka_unit_test(depth)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
