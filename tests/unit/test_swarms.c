#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/selftest.h"
#include "monitor/swarm.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_selftest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
