#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "wire/tracker.h"

#define HASH "\x01 aZ09-._~%&=+/?#\xff\x80z"
#define HASH_TEXT "%01%20aZ09-._~%25%26%3D%2B%2F%3F%23%FF%80z"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\5"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"

/* A reply and all its peers, as a line. */
static void say(char *buf, size_t n, const struct tracker_reply *r)
{
	struct tracker_peers it = { 0 };
	struct tracker_peer p;
	char at[ENDPOINT_TEXT_MAX];
	int len;

	if (r->failure.p) {
		len = snprintf(buf, n, "failure %.*s", (int)r->failure.n,
		    (const char *)r->failure.p);
		if (r->retry_min >= 0)
			snprintf(buf + len, n - (size_t)len, " retry %lld",
			    (long long)r->retry_min);
		return;
	}
	len = snprintf(buf, n, "%lld %lld, %lld %lld %lld", (long long)
	    r->interval, (long long)r->min_interval, (long long)r->seeders,
	    (long long)r->leechers, (long long)r->downloaded);
#define ADD(...) len += snprintf(buf + len, n - (size_t)len, __VA_ARGS__)
	if (r->warning.n)
		ADD(" w=%.*s", (int)r->warning.n,
		    (const char *)r->warning.p);
	if (r->trackerid.n)
		ADD(" id=%.*s", (int)r->trackerid.n,
		    (const char *)r->trackerid.p);
	if (r->external_ip.n)
		ADD(" ext%zu", r->external_ip.n);
	while (tracker_peer(r, &it, &p)) {
		ADD(" %s", endpoint_text(&p.at, at));
		if (p.peer_id.n)
			ADD("=%.*s", (int)p.peer_id.n,
			    (const char *)p.peer_id.p);
	}
	assert_false(tracker_peer(r, &it, &p));
	if (it.skipped)
		ADD(" skipped%u", it.skipped);
	if (r->odd_bytes)
		ADD(" odd%u", r->odd_bytes);
	if (r->notes)
		ADD(" notes%u", r->notes);
#undef ADD
}

static const struct {
	const char *in;
	size_t n;
	const char *want;	/* NULL: refused */
} replies[] = {
	{ B("d8:intervali1800e5:peers0:e"), "1800 -1, -1 -1 -1" },
	{ B("d8:completei3e10:downloadedi9e10:incompletei4e8:intervali1800e"
	    "12:min intervali900e5:peers12:\300\0\2\1\x1a\xe1\300\0\2\2\0\1e"),
	    "1800 900, 3 4 9 192.0.2.1:6881 192.0.2.2:1" },
	{ B("d8:intervali1e5:peers7:\300\0\2\1\x1a\xe1xe"),
	    "1 -1, -1 -1 -1 192.0.2.1:6881 odd1" },
	{ B("d8:intervali1e5:peers5:\300\0\2\1\x1a""e"),
	    "1 -1, -1 -1 -1 odd5" },
	{ B("d8:intervali1e5:peers0:6:peers618:" V6 "\x1a\xe1""e"),
	    "1 -1, -1 -1 -1 [2001:db8::1]:6881" },
	{ B("d8:intervali1e6:peers618:" MAPPED "\x1a\xe1""e"),
	    "1 -1, -1 -1 -1 192.0.2.5:6881" },
	{ B("d8:intervali1e6:peers619:" V6 "\x1a\xe1""xe"),
	    "1 -1, -1 -1 -1 [2001:db8::1]:6881 odd1" },
	{ B("d8:intervali1e5:peersld2:ip9:192.0.2.17:peer id3:abc4:porti6881e"
	    "ed2:ip11:2001:db8::24:porti1eeee"),
	    "1 -1, -1 -1 -1 192.0.2.1:6881=abc [2001:db8::2]:1" },
	{ B("d8:intervali1e5:peersld2:ip11:example.org4:porti1eed2:ip9:192.0."
	    "2.14:porti65536eed2:ip9:192.0.2.1ei5e0:led2:ip9:192.0.2.94:porti"
	    "0eeee"), "1 -1, -1 -1 -1 192.0.2.9:0 skipped6" },
	{ B("d14:failure reason4:no !8:intervali1ee"), "failure no !" },
	{ B("d14:failure reason0:e"), "failure " },
	{ B("d14:failure reason1:x8:retry ini30ee"), "failure x retry 30" },
	{ B("d14:failure reason1:x8:retry ini0ee"), "failure x retry 0" },
	{ B("d14:failure reason1:x8:retry ini-5ee"), "failure x" },
	{ B("d14:failure reason1:x8:retry in2:30e"), "failure x" },
	{ B("d14:failure reason1:x8:retry in5:nevere"),
	    "failure x retry 9223372036854775807" },
	{ B("d8:intervali1e8:retry ini30ee"), "1 -1, -1 -1 -1" },
	{ B("d8:intervali9223372036854775808ee"), NULL },
	{ B("d8:intervali1.5ee"), NULL },
	{ B("d8:intervali1e15:warning message2:hm10:tracker id2:xye"),
	    "1 -1, -1 -1 -1 w=hm id=xy notes1" },
	{ B("d11:external ip4:abcd8:intervali1ee"),
	    "1 -1, -1 -1 -1 ext4" },
	{ B("d11:external ip16:0123456789abcdef8:intervali1ee"),
	    "1 -1, -1 -1 -1 ext16" },
	{ B("d11:external ip7:1.2.3.48:intervali1ee"), "1 -1, -1 -1 -1" },
	{ B("d8:intervali9223372036854775807ee"),
	    "9223372036854775807 -1, -1 -1 -1" },
	{ B("d8:intervali-1800e5:peers0:e"), "-1 -1, -1 -1 -1" },
	{ B("d8:interval4:18005:peers0:e"), "-1 -1, -1 -1 -1" },
	{ B("d8:intervali1e5:peersi5ee"), "1 -1, -1 -1 -1" },
	{ B("d8:intervali1ee\r\n"), "1 -1, -1 -1 -1 notes8" },
	{ B("de"), NULL },
	{ B(""), NULL },
	{ B("le"), NULL },
	{ B("i1e"), NULL },
	{ B("<html><body>Not found</body></html>"), NULL },
	{ B("\x1f\x8b\x08\0\0\0\0\0\0\3"), NULL },
	{ B("d8:intervali1e5:peers99999:abe"), NULL },
	{ B("d8:intervali99999999999999999999ee"), NULL }
};

static void http_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct span in = exact(replies[i].in, replies[i].n);
		struct wire_error err = { NULL, 0 };
		struct tracker_reply r;
		char got[512];

		enum wire_status st = tracker_http_read(in, &r, &err);
		if (!replies[i].want) {
			assert_int_equal(st, WIRE_BAD);
			assert_non_null(err.reason);
			assert_true(err.offset <= replies[i].n);
		} else {
			assert_int_equal(st, WIRE_OK);
			say(got, sizeof(got), &r);
			assert_string_equal(got, replies[i].want);
		}
		unexact(in);
	}
}

/* A reply cut short anywhere is refused (but for what follows its end). */
static void http_reply_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		size_t n = replies[i].n;

		if (!replies[i].want || replies[i].in[n - 1] == '\n')
			continue;
		for (size_t cut = 0; cut < n; cut++) {
			struct span in = exact(replies[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct tracker_reply r;

			assert_int_equal(tracker_http_read(in,
			    &r, &err), WIRE_BAD);
			assert_non_null(err.reason);
			unexact(in);
		}
	}
}

static const struct {
	const char *in;
	size_t n;
	const char *want;
} scrapes[] = {
	{ B("d5:filesd20:" HASH "d8:completei1e10:downloadedi2e10:incompletei3"
	    "eeee"), "1 3 2" },
	{ B("d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei9ee20:" HASH
	    "d8:completei1eeee"), "1 -1 -1" },
	{ B("d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei9eeee"),
	    "-1 -1 -1" },
	{ B("d5:filesdee"), "-1 -1 -1" },
	{ B("d5:filesd20:" HASH "leee"), "-1 -1 -1" },
	{ B("d5:filesd20:" HASH "d8:completei-4eeee"), "-1 -1 -1" },
	{ B("d14:failure reason2:noe"), "failure no" },
	{ B("de"), NULL },
	{ B("d5:filesle"), NULL },
	{ B("d5:filesdeex"), "-1 -1 -1" },
	{ B(""), NULL },
	{ B("404"), NULL }
};

static void http_scrapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scrapes); i++) {
		struct span in = exact(scrapes[i].in, scrapes[i].n);
		struct wire_error err = { NULL, 0 };
		struct tracker_scrape s;
		char got[64];

		enum wire_status st = tracker_http_scrape(in,
		    (const uint8_t *)HASH, &s, &err);
		assert_int_equal(st, scrapes[i].want ? WIRE_OK : WIRE_BAD);
		if (st == WIRE_OK && s.failure.p)
			snprintf(got, sizeof(got), "failure %.*s",
			    (int)s.failure.n, (const char *)s.failure.p);
		else if (st == WIRE_OK)
			snprintf(got, sizeof(got), "%lld %lld %lld", (long
			    long)s.seeders, (long long)s.leechers, (long
			    long)s.downloaded);
		if (st == WIRE_OK)
			assert_string_equal(got, scrapes[i].want);
		unexact(in);
	}
}

static struct tracker_ask ask_of(void)
{
	struct tracker_ask ask = { .left = UINT64_MAX, .key = 0xabc,
		.numwant = -1, .port = 6881 };

	memcpy(ask.infohash, HASH, 20);
	memcpy(ask.peer_id, "-SW0100-abcdefghijkl", 20);
	return ask;
}

#define QUERY "info_hash=" HASH_TEXT "&peer_id=-SW0100-abcdefghijkl" \
	"&port=6881&uploaded=0&downloaded=0&left=18446744073709551615" \
	"&key=00000ABC&compact=1&no_peer_id=1"

static const struct {
	const char *announce;
	const char *url;	/* NULL: refused */
	const char *scrape;
} urls[] = {
	{ "http://t/announce", "http://t/announce?" QUERY,
	    "http://t/scrape?info_hash=" HASH_TEXT },
	{ "http://t/announce?k=v", "http://t/announce?k=v&" QUERY,
	    "http://t/scrape?k=v&info_hash=" HASH_TEXT },
	{ "http://t/announce?", "http://t/announce?" QUERY,
	    "http://t/scrape?info_hash=" HASH_TEXT },
	{ "http://t/announce?k=v&", "http://t/announce?k=v&" QUERY,
	    "http://t/scrape?k=v&info_hash=" HASH_TEXT },
	{ "http://t/announce#frag", "http://t/announce?" QUERY,
	    "http://t/scrape?info_hash=" HASH_TEXT },
	{ "http://t/x/announce.php", "http://t/x/announce.php?" QUERY,
	    "http://t/x/scrape.php?info_hash=" HASH_TEXT },
	{ "http://t/announce/a?x=/announce",
	    "http://t/announce/a?x=/announce&" QUERY, NULL },
	{ "http://t/a", "http://t/a?" QUERY, NULL },
	{ "http://t/xannounce", "http://t/xannounce?" QUERY, NULL },
	{ "http://announce", "http://announce?" QUERY, NULL },
	{ "http://announce?/announce", "http://announce?/announce&" QUERY,
	    NULL },
	{ "http://t", "http://t?" QUERY, NULL },
	{ "announce", "announce?" QUERY, NULL },
	{ "a:/", "a:/?" QUERY, NULL },
	{ ":", ":?" QUERY, NULL },
	{ "", NULL, NULL },
	{ "#", NULL, NULL },
	{ "http://t/announce x", NULL, NULL },
	{ "http://t/announce\r\nX: y", NULL, NULL },
	{ "http://t\t/announce", NULL, NULL },
	{ "http://t/announce\x7f", NULL, NULL },
	{ "http://t/\xc3\xa9/announce", NULL, NULL }
};

static void http_urls(void **state)
{
	struct tracker_ask ask = ask_of();

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct span in = span_str(urls[i].announce);
		size_t want = urls[i].url ? strlen(urls[i].url) : 0;
		size_t scrape = urls[i].scrape ? strlen(urls[i].scrape) : 0;

		for (size_t room = 0; room < 400; room++) {
			char *buf = malloc(room ? room : 1);

			assert_non_null(buf);
			assert_int_equal(tracker_http_url(buf, room, in, &ask),
			    room > want ? want : 0);
			if (want && room > want)
				assert_string_equal(buf, urls[i].url);
			assert_int_equal(tracker_scrape_url(buf, room, in,
			    ask.infohash), room > scrape ? scrape : 0);
			if (scrape && room > scrape)
				assert_string_equal(buf, urls[i].scrape);
			free(buf);
		}
	}
}

static void http_url_extras(void **state)
{
	static const char *const words[] = { "", "&event=completed",
		"&event=started", "&event=stopped" };
	struct tracker_ask ask = ask_of();
	char buf[512], want[512];

	(void)state;
	ask.numwant = 200;
	ask.trackerid = span_str("a b&c");
	for (int e = TRACKER_NONE; e <= TRACKER_STOPPED; e++) {
		ask.event = (enum tracker_event)e;
		snprintf(want, sizeof(want), "%s&numwant=200%s"
		    "&trackerid=a%%20b%%26c", "http://t/announce?" QUERY,
		    words[e]);
		assert_int_equal(tracker_http_url(buf, sizeof(buf),
		    span_str("http://t/announce"), &ask), strlen(want));
		assert_string_equal(buf, want);
	}
}

static void udp_requests(void **state)
{
	static const uint8_t connect[] = { 0, 0, 4, 0x17, 0x27, 0x10, 0x19,
		0x80, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef };
	struct tracker_ask ask = ask_of();
	uint8_t *out = malloc(UDP_ANNOUNCE_MAX);
	uint8_t hashes[TRACKER_SCRAPES_MAX + 1][20] = { { 1 }, { 2 } };
	uint8_t small[UDP_SCRAPE_MAX];
	char path[UDP_PATH_MAX + 1];

	(void)state;
	assert_non_null(out);
	assert_int_equal(tracker_udp_connect(out, 0xdeadbeef), UDP_CONNECT);
	assert_memory_equal(out, connect, sizeof(connect));

	ask.event = TRACKER_STARTED;
	ask.downloaded = 1;
	ask.uploaded = 2;
	assert_int_equal(tracker_udp_announce(out, 0x0102030405060708,
	    0xdeadbeef, &ask, span_str("")), 98);
	assert_memory_equal(out, "\1\2\3\4\5\6\7\10\0\0\0\1\xde\xad\xbe\xef"
	    HASH "-SW0100-abcdefghijkl"
	    "\0\0\0\0\0\0\0\1" "\xff\xff\xff\xff\xff\xff\xff\xff"
	    "\0\0\0\0\0\0\0\2" "\0\0\0\2" "\0\0\0\0" "\0\0\x0a\xbc"
	    "\xff\xff\xff\xff" "\x1a\xe1", 98);

	/* BEP 41 */
	assert_int_equal(tracker_udp_announce(out, 1, 2, &ask,
	    span_str("/dir?a=b&c=d")), 112);
	assert_memory_equal(out + 98, "\x02\x0c/dir?a=b&c=d", 14);
	memset(path, 'p', sizeof(path));
	assert_int_equal(tracker_udp_announce(out, 1, 2, &ask,
	    span_of(path, 255)), 98 + 257);
	assert_int_equal(tracker_udp_announce(out, 1, 2, &ask,
	    span_of(path, 256)), 98 + 257 + 3);
	assert_memory_equal(out + 98, "\x02\xffp", 3);
	assert_memory_equal(out + 98 + 257, "\x02\x01p", 3);
	assert_int_equal(tracker_udp_announce(out, 1, 2, &ask,
	    span_of(path, UDP_PATH_MAX)), UDP_ANNOUNCE_MAX);
	assert_int_equal(tracker_udp_announce(out, 1, 2, &ask,
	    span_of(path, UDP_PATH_MAX + 1)), 0);

	assert_int_equal(tracker_udp_scrape(small, 1, 2,
	    (const uint8_t (*)[20])hashes, 2), 56);
	assert_memory_equal(small, "\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\2\1", 17);
	assert_int_equal(small[36], 2);
	assert_int_equal(tracker_udp_scrape(small, 1, 2,
	    (const uint8_t (*)[20])hashes, TRACKER_SCRAPES_MAX),
	    UDP_SCRAPE_MAX);
	assert_int_equal(tracker_udp_scrape(small, 1, 2,
	    (const uint8_t (*)[20])hashes, TRACKER_SCRAPES_MAX + 1), 0);
	assert_int_equal(tracker_udp_scrape(small, 1, 2,
	    (const uint8_t (*)[20])hashes, 0), 0);
	free(out);
}

static const struct {
	const char *name;
	const char *in;
	size_t n;
	int family;
	size_t least;		/* shorter ones are refused; 0: all */
	const char *want;	/* of the whole */
} datagrams[] = {
	{ "connect", B("\0\0\0\0\0\0\0\7\1\2\3\4\5\6\7\10"), 4, 16,
	    "connect 7 72623859790382856" },
	{ "connect and more", B("\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\1xy"), 4, 16,
	    "connect 7 1" },
	{ "announce", B("\0\0\0\1\0\0\0\7\0\0\7\10\0\0\0\3\0\0\0\4"
	    "\300\0\2\1\x1a\xe1"), 4, 20,
	    "announce 7 1800 -1, 4 3 -1 192.0.2.1:6881" },
	{ "announce, none", B("\0\0\0\1\0\0\0\7\377\377\377\377\0\0\0\3"
	    "\0\0\0\4"), 6, 20, "announce 7 4294967295 -1, 4 3 -1" },
	{ "announce over IPv6", B("\0\0\0\1\0\0\0\7\0\0\7\10\0\0\0\3\0\0\0\4"
	    V6 "\x1a\xe1"), 6, 20,
	    "announce 7 1800 -1, 4 3 -1 [2001:db8::1]:6881" },
	{ "announce, part of a peer", B("\0\0\0\1\0\0\0\7\0\0\7\10\0\0\0\3"
	    "\0\0\0\4\300\0\2\1\x1a\xe1""abcde"), 4, 20,
	    "announce 7 1800 -1, 4 3 -1 192.0.2.1:6881 odd5" },
	{ "IPv4 stride over IPv6", B("\0\0\0\1\0\0\0\7\0\0\7\10\0\0\0\3"
	    "\0\0\0\4\300\0\2\1\x1a\xe1"), 6, 20,
	    "announce 7 1800 -1, 4 3 -1 odd6" },
	{ "scrape", B("\0\0\0\2\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"
	    "\0\0\0\5\0\0\0\6xyz"), 4, 8, "scrape 7 1/3/2 4/6/5" },
	{ "error", B("\0\0\0\3\0\0\0\7go away"), 4, 8, "error 7 go away" },
	{ "error without words", B("\0\0\0\3\0\0\0\7"), 4, 8, "error 7 " },
	{ "no such action", B("\0\0\0\4\0\0\0\7\0\0\0\0\0\0\0\0"), 4, 0,
	    NULL },
	{ "little-endian error", B("\3\0\0\0\0\0\0\7no"), 4, 0, NULL }
};

static void udp_say(char *buf, size_t n, const struct udp_reply *r)
{
	struct tracker_scrape s;
	int len;

	switch (r->action) {
	case UDP_ACT_CONNECT:
		snprintf(buf, n, "connect %u %llu", r->transaction,
		    (unsigned long long)r->connection);
		break;
	case UDP_ACT_ANNOUNCE:
		len = snprintf(buf, n, "announce %u ", r->transaction);
		say(buf + len, n - (size_t)len, &r->announce);
		break;
	case UDP_ACT_SCRAPE:
		len = snprintf(buf, n, "scrape %u", r->transaction);
		for (size_t i = 0; tracker_udp_scraped(r, i, &s); i++)
			len += snprintf(buf + len, n - (size_t)len,
			    " %lld/%lld/%lld", (long long)s.seeders,
			    (long long)s.leechers, (long long)s.downloaded);
		assert_false(tracker_udp_scraped(r, SIZE_MAX, &s));
		break;
	case UDP_ACT_ERROR:
		snprintf(buf, n, "error %u %.*s", r->transaction,
		    (int)r->error.n, (const char *)r->error.p);
		break;
	}
}

static void udp_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(datagrams); i++) {
		for (size_t cut = 0; cut <= datagrams[i].n; cut++) {
			struct span in = exact(datagrams[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct udp_reply r;
			char got[512] = "";
			bool good = datagrams[i].want &&
			    cut >= datagrams[i].least;

			if (tracker_udp_read(in, datagrams[i].family, &r,
			    &err) != (good ? WIRE_OK : WIRE_BAD))
				fail_msg("%s at %zu", datagrams[i].name, cut);
			if (good)
				udp_say(got, sizeof(got), &r);
			else
				assert_non_null(err.reason);
			if (good && cut == datagrams[i].n)
				assert_string_equal(got, datagrams[i].want);
			unexact(in);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_replies),
		cmocka_unit_test(http_reply_cuts),
		cmocka_unit_test(http_scrapes),
		cmocka_unit_test(http_urls),
		cmocka_unit_test(http_url_extras),
		cmocka_unit_test(udp_requests),
		cmocka_unit_test(udp_replies)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
