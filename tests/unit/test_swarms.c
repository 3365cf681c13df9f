#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/wanted.h"
#include "schema/selftest.h"

static int collect(void *ctx, const char *path)
{
	char *all = ctx;

	snprintf(all + strlen(all), 256 - strlen(all), "[%s]", path);
	return strcmp(path, "bad") == 0 ? -1 : 0;
}

static void test_list(void **state)
{
	static const struct {
		const char *text, *want;
		int rc;
	} cases[] = {
		{ "", "", 0 },
		{ "a.torrent\nb c.torrent\n", "[a.torrent][b c.torrent]", 0 },
		{ "# no\n\n  \t\n \ta \r\nb", "[a][b]", 0 },
		{ "bad\ngood\n", "[bad][good]", -1 },
	};
	char file[] = "/tmp/sw-list-XXXXXX", all[256];
	FILE *f;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f = fopen(file, "w");
		fputs(cases[i].text, f);
		fclose(f);
		all[0] = '\0';
		assert_int_equal(swarm_list(file, collect, all), cases[i].rc);
		assert_string_equal(all, cases[i].want);
	}
	unlink(file);
	assert_int_equal(swarm_list(file, collect, all), -1);
	/* Found by fuzz_lists: what followed a NUL was passed over in silence. */
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite("a\n\tb\0c\nd\n", 1, 10, f), 10);
	fclose(f);
	all[0] = '\0';
	assert_int_equal(swarm_list(file, collect, all), -1);
	assert_string_equal(all, "[a][d]");
	unlink(file);
}

static struct swarm *made(uint32_t book, const uint8_t hash[2][20], int n)
{
	struct torrent *t = calloc(1, sizeof(*t));
	struct swarm *s;

	assert_non_null(t);
	memcpy(t->wire_hash, hash, sizeof(t->wire_hash));
	t->wire_hashes = n;
	s = swarm_new(t, "path");
	assert_non_null(s);
	s->book = book;
	return s;
}

/* A hybrid's swarm is found by either hash, and by its book number. */
static void test_find(void **state)
{
	static const uint8_t hashes[3][2][20] = { { { 1 } }, { { 2 }, { 3 } },
	    { { 4 } } };
	struct swarms set = { 0 };
	struct swarm *s[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		s[i] = made(i * 20, hashes[i], i == 1 ? 2 : 1);
		assert_int_equal(swarms_add(&set, s[i]), 0);
	}
	assert_ptr_equal(swarms_find(&set, hashes[1][0]), s[1]);
	assert_ptr_equal(swarms_find(&set, hashes[1][1]), s[1]);
	assert_ptr_equal(swarms_find(&set, hashes[2][0]), s[2]);
	assert_null(swarms_find(&set, hashes[0][1]));
	assert_ptr_equal(set.by_book[40], s[2]);
	swarms_remove(&set, s[1]);
	assert_null(set.by_book[20]);
	assert_null(swarms_find(&set, hashes[1][1]));
	assert_int_equal(set.count, 2);
	swarms_remove(&set, s[2]);
	swarms_remove(&set, s[0]);
	assert_null(set.first);
	for (int i = 0; i < 3; i++)
		swarm_free(s[i]);
}

static void test_selftest(void **state)
{
	char folder[] = "/tmp/sw-key-XXXXXX", file[64], *path;
	struct note_key key;
	struct json j;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/key", folder);
	assert_int_equal(note_key_open(&key, file, &path), 0);
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	assert_true(selftest(&key, &j));
	json_close(&j, '}');
	assert_non_null(strstr(json_done(&j), "{\"ok\":true,\"tests\":["));
	json_reset(&j);
	key.public[0] ^= 1;	/* what is signed no longer checks */
	json_open(&j, NULL, '{');
	assert_false(selftest(&key, &j));
	json_close(&j, '}');
	assert_non_null(strstr(json_done(&j),
	    "{\"name\":\"key\",\"ok\":false}"));
	json_fini(&j);
	note_key_close(&key);
	free(path);
	unlink(file);
	rmdir(folder);
}

#define V1 "00112233445566778899aabbccddeeff00112233"
#define V2 "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static void test_links(void **state)
{
	static const struct {
		const char *text;
		bool link;
		const char *swarm;	/* NULL: refused */
		int hashes;
	} cases[] = {
		{ V1, true, V1, 1 },
		{ V2, true, V2, 1 },
		{ "magnet:?xt=urn:btih:" V1, true, V1, 1 },
		{ "MAGNET:?xt=urn:btmh:1220" V2, true, V2, 1 },
		{ "magnet:?xt=urn:btih:" V1 "&xt=urn:btmh:1220" V2, true, V1,
		    2 },
		{ "magnet:?dn=x", true, NULL, 0 },
		{ "a.torrent", false, NULL, 0 },
		{ V1 "0", false, NULL, 0 },
		{ "0x112233445566778899aabbccddeeff00112233", false, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct swarm *s;

		assert_int_equal(swarm_is_link(cases[i].text), cases[i].link);
		if (!cases[i].link)
			continue;
		s = swarm_new_magnet(cases[i].text);
		assert_int_equal(s != NULL, cases[i].swarm != NULL);
		if (!s)
			continue;
		assert_string_equal(s->ref.swarm, cases[i].swarm);
		assert_int_equal(s->ref.wire_hashes, cases[i].hashes);
		assert_int_equal(s->policy.hashes, cases[i].hashes);
		assert_int_equal(s->policy.pieces, 0);
		assert_int_equal(swarm_left(s), 1);
		swarm_free(s);
	}
}

static void test_same(void **state)
{
	struct swarm *a = swarm_new_magnet("magnet:?xt=urn:btih:" V1
	    "&xt=urn:btmh:1220" V2);
	struct swarm *b = swarm_new_magnet(V1);
	struct swarm *c = swarm_new_magnet(V2), *one, *two;
	struct wanted w = { 0 };

	(void)state;
	assert_int_equal(wanted_add(&w, "magnet:?xt=urn:btih:" V1, 0), 0);
	assert_true(wanted_has(&w, a) && wanted_has(&w, b));
	assert_false(wanted_has(&w, c));
	assert_int_equal(wanted_add(&w, V1, 0), 0);	/* once is enough */
	assert_int_equal(wanted_add(&w, V2, 0), 0);
	assert_true(wanted_has(&w, c));
	assert_int_equal(wanted_add(&w, "/no/such/file", 0), -1);
	one = wanted_take(&w);
	two = wanted_take(&w);
	assert_string_equal(one->ref.swarm, V1);
	assert_string_equal(two->ref.swarm, V2);
	assert_null(wanted_take(&w));
	assert_true(wanted_has(&w, b));
	wanted_fini(&w);
	assert_false(wanted_has(&w, b));
	swarm_free(a);
	swarm_free(b);
	swarm_free(c);
	swarm_free(one);
	swarm_free(two);
}

static void test_link_says(void **state)
{
	struct swarm *s = swarm_new_magnet("magnet:?xt=urn:btih:" V1
	    "&tr=http%3A%2F%2Fa%2Fx&x.pe=192.0.2.1:6881&tr=udp://b:1"
	    "&x.pe=host:1&x.pe=[2001:db8::1]:2");
	struct swarm_urls u = { .swarm = s };
	struct endpoint at;
	struct span url;
	unsigned tier;

	(void)state;
	assert_true(swarm_url(&u, &url, &tier));
	assert_true(span_is(url, "http://a/x"));
	assert_int_equal(tier, 0);
	assert_true(swarm_url(&u, &url, &tier));
	assert_true(span_is(url, "udp://b:1"));
	assert_int_equal(tier, 1);
	assert_false(swarm_url(&u, &url, &tier));
	assert_true(swarm_named(s, 0, &at));
	assert_int_equal(at.family, 4);
	assert_true(swarm_named(s, 1, &at));
	assert_int_equal(at.family, 0);	/* a name */
	assert_true(swarm_named(s, 2, &at));
	assert_int_equal(at.family, 6);
	assert_false(swarm_named(s, 3, &at));
	swarm_free(s);
}

static void test_decoys_do_not_count(void **state)
{
	uint8_t hash[20] = { 7 };
	struct swarms set = { 0 };
	struct swarm *d = swarm_new_decoy(hash);
	struct swarm *s = swarm_new_magnet(V1);

	(void)state;
	d->book = 0;
	s->book = 1;
	assert_int_equal(swarms_add(&set, d), 0);
	assert_int_equal(swarms_add(&set, s), 0);
	assert_int_equal(set.count, 1);
	assert_ptr_equal(swarms_find(&set, hash), d);
	swarms_remove(&set, s);
	assert_int_equal(set.count, 0);
	assert_ptr_equal(set.by_book[0], d);
	swarms_remove(&set, d);
	swarm_free(s);
	swarm_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_selftest),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_link_says),
		cmocka_unit_test(test_decoys_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
