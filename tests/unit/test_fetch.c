#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "monitor/fetch.h"

#define INFO "d6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:" \
	"aaaaaaaaaaaaaaaaaaaae"

/* The faults on record, as "conn why;". */
struct ledger {
	char text[1024];
};

static int64_t add(void *ctx, const struct record *r)
{
	struct ledger *l = ctx;
	const char *why = strstr(r->detail, "\"why\":\"") + 7;
	size_t n = strlen(l->text);

	assert_string_equal(r->kind, "metadata_fault");
	assert_string_equal(r->swarm, "swarm");
	snprintf(l->text + n, sizeof(l->text) - n, "%lld %.*s;",
	    (long long)r->conn, (int)strcspn(why, "\""), why);
	return 0;
}

static struct stamp at_s(int64_t s)
{
	return (struct stamp){ s * 1000000000, s * 1000000000 };
}

static struct fetch *begin(struct ledger *l, const char *info, bool v2)
{
	uint8_t hash[32];
	struct fetch_conf conf = { .swarm = "swarm", .ctx = l, .add = add,
		.hash_v1 = v2 ? NULL : hash, .hash_v2 = v2 ? hash : NULL };
	struct fetch *f;

	l->text[0] = '\0';
	if (v2)
		SHA256((const uint8_t *)info, strlen(info), hash);
	else
		SHA1((const uint8_t *)info, strlen(info), hash);
	f = fetch_new(&conf);
	assert_non_null(f);
	return f;
}

static int join(struct fetch *f, int64_t size, int64_t conn)
{
	struct endpoint who = { .addr = { 192, 0, 2, 1 }, .port = 6881,
		.family = 4 };

	return fetch_join(f, size, conn, &who, at_s(1));
}

/* Asks for the first block and gets this. */
static void give(struct fetch *f, int slot, const char *data, int64_t s)
{
	struct metadata_msg m = { .type = METADATA_DATA, .total_size = -1,
		.data = span_str(data) };
	uint32_t piece = 9;

	assert_true(fetch_next(f, slot, at_s(s), &piece));
	assert_int_equal(piece, 0);
	fetch_answer(f, slot, &m, at_s(s));
}

static void test_true_metadata(void **state)
{
	struct ledger l;

	(void)state;
	for (int v2 = 0; v2 < 2; v2++) {
		struct fetch *f = begin(&l, INFO, v2);
		int slot = join(f, (int64_t)strlen(INFO), 77);
		char *source = NULL;
		struct torrent *t;

		assert_null(fetch_take(f, at_s(2), &source));
		give(f, slot, INFO, 3);
		t = fetch_take(f, at_s(4), &source);
		assert_non_null(t);
		assert_int_equal(t->mi.total_bytes, 5);
		assert_true(span_is(t->mi.file, "d4:info" INFO "e"));
		assert_string_equal(source,
		    "peers: conn 77");
		assert_string_equal(l.text, "");
		torrent_free(t);
		free(source);
		fetch_free(f);
	}
}

static void test_liars(void **state)
{
	static const char other[] = "d6:lengthi6e4:name1:a12:piece length"
	    "i16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
	struct ledger l;
	struct fetch *f = begin(&l, INFO, false);
	int64_t size = (int64_t)strlen(INFO);
	struct torrent *t;
	char *source;
	int liar, honest;

	(void)state;
	assert_int_equal(join(f, INT64_C(2) << 30, 1), FETCH_NONE);
	assert_int_equal(join(f, 0, 2), FETCH_NONE);
	assert_string_equal(l.text, "1 metadata_size is more than is taken;"
	    "2 metadata_size of no metadata;");
	l.text[0] = '\0';
	liar = join(f, size, 3);
	give(f, liar, "short", 2);
	assert_string_equal(l.text, "3 metadata block of the wrong size;");
	l.text[0] = '\0';
	honest = join(f, size, 4);
	give(f, liar, other, 70);
	assert_null(fetch_take(f, at_s(71), &source));
	assert_string_equal(l.text,
	    "3 gave all the metadata, and it is wrong;");
	assert_null(fetch_take(f, at_s(72), &source));
	give(f, honest, INFO, 73);
	t = fetch_take(f, at_s(74), &source);
	assert_non_null(t);
	assert_non_null(strstr(source, "conn 4"));
	assert_null(strstr(source, "conn 3"));
	assert_string_equal(l.text,	/* said once */
	    "3 gave all the metadata, and it is wrong;");
	torrent_free(t);
	free(source);
	fetch_free(f);
}

static void test_no_torrent(void **state)
{
	struct ledger l;
	struct fetch *f = begin(&l, "d4:name1:ae", false);
	int slot = join(f, 11, 5);
	uint32_t piece;
	char *source;

	(void)state;
	give(f, slot, "d4:name1:ae", 2);
	assert_null(fetch_take(f, at_s(3), &source));
	assert_int_equal(strncmp(l.text, "-1 ", 3), 0);
	assert_false(fetch_next(f, slot, at_s(500), &piece));
	fetch_leave(f, slot);
	fetch_free(f);
	fetch_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_true_metadata),
		cmocka_unit_test(test_liars),
		cmocka_unit_test(test_no_torrent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
