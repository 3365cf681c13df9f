/*
 * Torrents on the heap: what their peers' handshakes bear, what pieces must
 * hash to, which bytes of which files a piece is. And claims.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "schema/claims.h"
#include "schema/swarmref.h"
#include "tests/torrent_kit.h"

static void hashes(void **state)
{
	static const struct {
		bool v1, v2;
		int hashes;
		size_t swarm;
	} rows[] = { { true, false, 1, 40 }, { false, true, 1, 64 },
		{ true, true, 2, 40 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kit k = kit_make(rows[i].v1, rows[i].v2);
		uint8_t sum[32], v1[20];
		struct swarmref ref;
		char hex[65];

		swarmref_init(&ref, k.t);
		SHA1(k.t->mi.info.p, k.t->mi.info.n, v1);
		SHA256(k.t->mi.info.p, k.t->mi.info.n, sum);
		assert_int_equal(k.t->wire_hashes, rows[i].hashes);
		assert_int_equal(swarmref_is(&ref, v1), rows[i].v1);
		assert_int_equal(swarmref_is(&ref, sum), rows[i].v2);
		v1[19] ^= 1;
		assert_false(swarmref_is(&ref, v1));
		v1[19] ^= 1;
		assert_string_equal(k.t->swarm, rows[i].v1 ? hex_of(v1, 20, hex) :
		    hex_of(sum, 32, hex));
		assert_int_equal(strlen(k.t->swarm), rows[i].swarm);
		kit_free(&k);
	}
}

static void expectations(void **state)
{
	static const struct {
		bool v1, v2;
		uint32_t piece, bytes, v2_bytes, v2_leaves;
	} rows[] = {
		{ true, false, 0, 32768, 0, 0 },
		{ true, false, 3, 31696, 0, 0 },
		{ true, false, 4, 0, 0, 0 },
		{ false, true, 0, 32768, 32768, 2 },
		{ false, true, 1, 7232, 7232, 2 },
		{ false, true, 2, 20000, 20000, 2 },
		{ false, true, 5, 4464, 4464, 2 },
		{ false, true, 6, 0, 0, 0 },
		{ true, true, 1, 32768, 7232, 2 },
		{ true, true, 2, 32768, 20000, 2 },
		{ true, true, 5, 4464, 4464, 2 },
		{ true, true, UINT32_MAX, 0, 0, 0 }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kit k = kit_make(rows[i].v1, rows[i].v2);
		bool there = rows[i].bytes != 0;
		struct expect e;

		torrent_expect(k.t, rows[i].piece, &e);
		assert_int_equal(e.v1.n, there && rows[i].v1 ? 20 : 0);
		assert_int_equal(e.v2.n, there && rows[i].v2 ? 32 : 0);
		assert_int_equal(e.v2_bytes, rows[i].v2_bytes);
		assert_int_equal(e.v2_leaves, rows[i].v2_leaves);
		if (there)
			assert_int_equal(torrent_piece_bytes(k.t, rows[i].piece),
			    rows[i].bytes);
		kit_free(&k);
	}
}

static void check_files(const struct torrent *t, uint32_t piece, uint32_t from,
    uint32_t to, const char *want)
{
	char text[1024], *out = text;
	struct json j;

	json_init(&j, JSON_MOST);
	torrent_put_files(t, piece, from, to, &j);
	for (const char *p = json_done(&j); *p; p++)
		if (*p != '"')
			*out++ = *p;
	*out = '\0';
	assert_string_equal(text, want);
	json_fini(&j);
}

static void files(void **state)
{
	struct kit k = kit_make(true, false);

	(void)state;
	check_files(k.t, 1, 0, 32768, "files:[{path:kit/a,from:32768,to:40000,"
	    "pad:false},{path:kit/b,from:0,to:20000,pad:false},"
	    "{path:kit/c,from:0,to:5536,pad:false}],files_more:0");
	check_files(k.t, 1, 7231, 7232,
	    "files:[{path:kit/a,from:39999,to:40000,pad:false}],files_more:0");
	check_files(k.t, 1, 7232, 7233,
	    "files:[{path:kit/b,from:0,to:1,pad:false}],files_more:0");
	check_files(k.t, 3, 0, 31696,
	    "files:[{path:kit/c,from:38304,to:70000,pad:false}],files_more:0");
	kit_free(&k);
	k = kit_make(false, true);
	check_files(k.t, 1, 0, 7232,
	    "files:[{path:kit/a,from:32768,to:40000,pad:false}],files_more:0");
	check_files(k.t, 5, 0, 4464,
	    "files:[{path:kit/c,from:65536,to:70000,pad:false}],files_more:0");
	kit_free(&k);
	k = kit_make(true, true);
	check_files(k.t, 1, 0, 32768,
	    "files:[{path:kit/a,from:32768,to:40000,pad:false},"
	    "{path:kit/.pad/25536,from:0,to:25536,pad:true}],files_more:0");
	kit_free(&k);
}

/* A piece of 150 files of one byte each, with hostile names. */
static void many_files(void **state)
{
	struct kit k = { 0 };
	struct wire_error err;
	struct json j;
	const char *s;

	(void)state;
	kit_text(&k, "d4:infod5:filesl");
	for (int i = 0; i < 150; i++)
		kit_text(&k, "d6:lengthi1e4:pathl5:\"\n\xff%02uee", i % 100);
	kit_text(&k, "e4:name1:n12:piece lengthi16384e6:pieces20:"
	    "aaaaaaaaaaaaaaaaaaaaee");
	k.t = torrent_new(span_of(k.file, k.n), &err);
	assert_non_null(k.t);
	json_init(&j, JSON_MOST);
	torrent_put_files(k.t, 0, 0, 150, &j);
	s = json_done(&j);
	assert_non_null(strstr(s, "\"n/\\\"\\u000a\\ufffd99\""));
	assert_non_null(strstr(s, "],\"files_more\":50"));
	json_fini(&j);
	kit_free(&k);
}

static void detail(void **state)
{
	struct kit k = kit_make(true, true);
	char v1[41], v2[65], want[700];
	struct json j;

	(void)state;
	snprintf(want, sizeof(want), "{\"source\":\"/tmp/k\\u00e9t.torrent\","
	    "\"version\":\"hybrid\",\"infohash_v1\":\"%s\",\"infohash_v2\":\"%s\","
	    "\"name\":\"kit\",\"total_bytes\":130000,\"piece_bytes\":32768,"
	    "\"pieces\":6,\"private\":false,\"files\":5,\"trackers\":"
	    "[\"http://tracker/ann\"],\"notes\":", hex_of(k.t->mi.hash_v1, 20, v1),
	    hex_of(k.t->mi.hash_v2, 32, v2));
	json_init(&j, JSON_MOST);
	torrent_detail(k.t, "/tmp/k\303\251t.torrent", &j);
	assert_memory_equal(json_done(&j), want, strlen(want));
	json_fini(&j);
	kit_free(&k);
}

static void loading(void **state)
{
	char name[] = "/tmp/test_torrent.XXXXXX";
	struct kit k = kit_make(true, false);
	struct wire_error err;
	struct torrent *t;
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, k.file, k.n), k.n);
	t = torrent_load(name);
	assert_non_null(t);
	assert_string_equal(t->swarm, k.t->swarm);
	torrent_free(t);
	for (size_t n = 0; n < k.n; n++) {	/* in exact copies */
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, k.file, n);
		assert_null(torrent_new(span_of(copy, n), &err));
		assert_non_null(err.reason);
		free(copy);
	}
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_null(torrent_load(name));
	close(fd);
	unlink(name);
	assert_null(torrent_load(name));
	assert_null(torrent_load("/tmp"));
	assert_null(torrent_new(span_of(k.file, TORRENT_MAX + 1u), &err));
	torrent_free(NULL);
	kit_free(&k);
}

static void claiming(void **state)
{
	struct claims c = { 0 };

	(void)state;
	claims_add(&c, 0);
	claims_bitfield(&c, span_of("\xff", 1));
	assert_null(c.bits);
	claims_all(&c);
	assert_false(claims_has(&c, 0));
	claims_pieces(&c, 11);		/* have_all before it was known */
	assert_int_equal(c.count, 11);
	assert_true(claims_has(&c, 10) && !claims_has(&c, 11));
	assert_int_equal(claims_memory(&c), 0);
	claims_remove(&c, 10);
	assert_int_equal(c.bits[0], 0xff);
	assert_int_equal(c.bits[1], 0xc0);
	claims_remove(&c, 10);
	claims_remove(&c, 11);
	assert_int_equal(c.count, 10);
	claims_bitfield(&c, span_of("\xff", 1));	/* the wrong size */
	assert_int_equal(c.count, 10);
	claims_bitfield(&c, span_of("\x81\x20", 2));
	assert_int_equal(c.count, 3);
	assert_true(claims_has(&c, 0) && claims_has(&c, 7) &&
	    claims_has(&c, 10) && !claims_has(&c, 1) && !claims_has(&c, 11));
	claims_add(&c, 10);
	claims_add(&c, 11);
	claims_add(&c, UINT32_MAX);
	assert_int_equal(c.count, 3);
	claims_none(&c);
	assert_int_equal(c.count, 0);
	assert_false(claims_has(&c, 0));
	claims_add(&c, 10);
	assert_int_equal(c.count, 1);
	claims_fini(&c);
	claims_pieces(&c, 16);
	claims_remove(&c, 15);
	assert_null(c.bits);
	claims_all(&c);
	claims_add(&c, 3);
	assert_int_equal(claims_memory(&c), 0);
	assert_int_equal(c.count, 16);
	claims_none(&c);
	assert_false(claims_has(&c, 15));
	claims_fini(&c);
	/* Said before it was known: both ends of the range, and one taken back. */
	claims_all(&c);
	claims_remove(&c, 9);
	claims_add(&c, CLAIMS_EARLY_PIECES - 1);
	claims_pieces(&c, 16);
	assert_int_equal(c.count, 15);
	assert_false(claims_has(&c, 9));
	claims_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(expectations),
		cmocka_unit_test(files),
		cmocka_unit_test(many_files),
		cmocka_unit_test(detail),
		cmocka_unit_test(loading),
		cmocka_unit_test(claiming)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
