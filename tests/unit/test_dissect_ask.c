/*
 * The dissector on what finds peers: HTTP and UDP trackers, the DHT, local
 * discovery.
 */
#include <zlib.h>

#include "tests/dissect_kit.h"
#include "wire/lsd.h"
#include "wire/tracker.h"

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

/* A reply that grows out of little, and one asked for by many hashes at once. */
static void bloated(void **state)
{
	static char ask[74 * 40], reply[70000];
	static uint8_t body[65536], gz[2000];
	static const struct {
		size_t bytes;
		unsigned records;
	} rows[] = { { 100, 74 }, { 7000, 74 }, { 60000, 8 } };
	z_stream z = { 0 };
	struct bench b;
	size_t n, k;

	(void)state;
	k = (size_t)snprintf(ask, sizeof(ask), "GET /scrape?");
	for (int i = 0; i < 74; i++)
		k += (size_t)snprintf(ask + k, sizeof(ask) - k,
		    "info_hash=ABCDEFGHIJKLMNOPQR%02d&", i);
	k += (size_t)snprintf(ask + k, sizeof(ask) - k, " HTTP/1.1\r\n\r\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* It goes on to the close. */
		n = (size_t)snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK"
		    "\r\n\r\nd5:filesd1:x%zu:", rows[i].bytes);
		memset(reply + n, 'x', rows[i].bytes);
		memcpy(reply + n + rows[i].bytes, "ee", 2);
		n += rows[i].bytes + 2;

		struct say said[] = { { 0, span_of(ask, k) },
			{ 1, span_of(reply, n) } };

		bench_open(&b, NULL);
		talk(&b, true, said, 2, 0);
		assert_int_equal(count(b.text, "scrape 192.0.2.2:1002"),
		    rows[i].records);
		bench_close(&b);
	}
	/* 64 KiB of one byte. */
	memset(body, 'x', sizeof(body));
	deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = body;
	z.avail_in = sizeof(body);
	z.next_out = gz;
	z.avail_out = sizeof(gz);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	n = (size_t)snprintf(reply, sizeof(reply), "HTTP/1.0 200 OK\r\n"
	    "Content-Encoding: gzip\r\n\r\n");
	memcpy(reply + n, gz, sizeof(gz) - z.avail_out);
	n += sizeof(gz) - z.avail_out;

	struct say said[] = { { 0, span_str(GET) }, { 1, span_of(reply, n) } };

	bench_open(&b, NULL);
	talk(&b, true, said, 2, 0);
	assert_int_equal(count(b.text, "\"reason\":\"its content coding cannot "
	    "be undone\""), 1);
	assert_int_equal(count(b.text, "listed "), 0);
	bench_close(&b);
}

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
	static char longest[LSD_HEARD_MAX + 1];
	struct bench b;

	(void)state;
	bench_open(&b, NULL);
	give(&b, 1, 2, span_str(said));
	give(&b, 1, 2, span_str("BT-SEARCH * nonsense"));
	assert_int_equal(b.records, 2);
	/* As in a live run: each infohash would have a record of all of it. */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, said, sizeof(said) - 5);
	give(&b, 3, 2, span_of(longest, LSD_HEARD_MAX));
	give(&b, 4, 2, span_of(longest, LSD_HEARD_MAX + 1));
	assert_int_equal(b.records, 4);
	assert_int_equal(count(b.text, "listed 192.0.2.3:1003 0102"), 1);
	assert_int_equal(count(b.text, "listed 192.0.2.4"), 0);
	assert_int_equal(count(b.text, "\"reason\":\"longer than 4 KiB\""),
	    1);
	assert_int_equal(count(b.text, "listed 192.0.2.1:1001 0102"), 1);
	assert_int_equal(count(b.text, " 192.0.2.1:6881\n"), 1);
	assert_int_equal(count(b.text, "malformed 192.0.2.1:1001"), 1);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http),
		cmocka_unit_test(bloated),
		cmocka_unit_test(udp_tracker),
		cmocka_unit_test(dht),
		cmocka_unit_test(lsd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
