#include "wire/magnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define V1 "631a31dd0a46257d5078c0dee4e66e26f73e42ac"
#define B32 "MMNDDXIKIYSX2UDYYDPOJZTOE33T4QVM"	/* the same */
#define V2 "d8dd32ac93357c368556af3ac1d95c9d" \
	"76bd0dff6fa9833ecdac3d53134efabb"

/* want: "1", "2", "12", each with "?" for unread parameters, or a part of the
 * reason. */
static const struct {
	const char *link, *want;
} cases[] = {
	{ "magnet:?xt=urn:btih:" V1, "1" },
	{ "magnet:?xt=urn:btih:" B32, "1" },
	{ "MAGNET:?xt=URN:BTIH:" B32, "1" },
	{ "magnet:?xt=urn:btmh:1220" V2, "2" },
	{ "magnet:?xt=urn:btih:" V1 "&xt=urn:btmh:1220" V2, "12" },
	{ "magnet:?xt.1=urn:btih:" V1 "&xt.2=urn:btmh:1220" V2, "12" },
	{ "magnet:?dn=x&amp;xt=urn%3Abtih%3a" V1 "&amp;tr=u", "1" },
	{ "magnet:?xt=urn:btih:" V1 "&xt=urn:btih:" B32, "1" },
	{ "magnet:?xt=urn:btih:" V1 "&so=1-2", "1?" },
	{ "magnet:?xt=urn:btih:" V1 "&xt=urn:sha1:" B32, "1?" },
	{ "magnet:?&&xt=urn:btih:" V1 "&&", "1" },
	{ V1, "1" },
	{ V2, "2" },
	{ "magnet:?xt=urn:btih:" V1 "&xt=urn:btih:" V1 "0", "neither" },
	{ "magnet:?xt=urn:btih:" V1 "&xt=urn:btih:" "731a31dd0a46257d5078c0de"
	    "e4e66e26f73e42ac", "two different v1" },
	{ "magnet:?xt=urn:btih:MMNDDXIKIYSX2UDYYDPOJZTOE33T4QV1", "neither" },
	{ "magnet:?xt=urn:btih:", "neither" },
	{ "magnet:?xt=urn:btmh:1114" V1, "btmh" },
	{ "magnet:?xt=urn:btmh:1220" V1, "btmh" },
	{ "magnet:?xt=urn:sha1:" B32, "no infohash" },
	{ "magnet:?xt", "no infohash" },
	{ "magnet:?dn=x", "no infohash" },
	{ "magnet:?", "no infohash" },
	{ "magnet:", "neither a magnet" },
	{ "http://x/", "neither a magnet" },
	{ "", "neither a magnet" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t n = strlen(cases[i].link);

		for (size_t cut = 0; cut <= n; cut++) {
			uint8_t *p = malloc(cut ? cut : 1);
			struct magnet m;
			struct wire_error err = { 0 };
			char got[128] = "", buf[8];

			assert_non_null(p);
			memcpy(p, cases[i].link, cut);
			if (magnet_read(span_of(p, cut), &m, &err) == WIRE_OK)
				snprintf(got, sizeof(got), "%s%s%s",
				    m.v1 ? "1" : "", m.v2 ? "2" : "",
				    m.unsupported ? "?" : "");
			else if (cut == n && strstr(err.reason, cases[i].want))
				snprintf(got, sizeof(got), "%s",
				    cases[i].want);
			assert_true(err.offset <= cut);
			if (cut == n && strcmp(got, cases[i].want) != 0)
				fail_msg("%s: \"%s\" (%s), want \"%s\"",
				    cases[i].link, got, err.reason,
				    cases[i].want);
			for (unsigned k = 0; k < 3; k++)
				magnet_param(&m, "tr", k, buf, sizeof(buf));
			free(p);
		}
	}
}

static void test_hash(void **state)
{
	static const uint8_t want[20] = { 0x63, 0x1a, 0x31, 0xdd, 0x0a, 0x46,
	    0x25, 0x7d, 0x50, 0x78, 0xc0, 0xde, 0xe4, 0xe6, 0x6e, 0x26, 0xf7,
	    0x3e, 0x42, 0xac };
	struct magnet m;
	struct wire_error err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(magnet_read(span_str(cases[i].link), &m,
		    &err), WIRE_OK);
		assert_memory_equal(m.hash_v1, want, 20);
	}
}

static const struct {
	const char *key;
	unsigned i;
	const char *want;	/* NULL: there is none */
} params[] = {
	{ "dn", 0, "a b/c%" },
	{ "dn", 1, NULL },
	{ "tr", 0, "http://t/?a=b+c" },
	{ "tr", 1, "" },
	{ "tr", 2, "udp://u:1" },
	{ "tr", 3, NULL },
	{ "x.pe", 0, "1.2.3.4:5" },
	{ "x.pe", 1, "[::1]:6" },
	{ "x.pe", 2, NULL },
	{ "none", 0, NULL },
};

static void test_params(void **state)
{
	static const char link[] = "magnet:?xt=urn:btih:" V1 "&dn=a+b%2fc%"
	    "&tr=http://t/%3Fa=b+c&tr&tr.7=udp://u:1&x.pe=1.2.3.4:5"
	    "&x.pe=%5B::1%5D:6";
	struct magnet m, bare;
	struct wire_error err;

	(void)state;
	assert_int_equal(magnet_read(span_str(link), &m, &err), WIRE_OK);
	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++) {
		const char *want = params[i].want;
		long n = want ? (long)strlen(want) : -1;

		for (size_t room = 0; room < 20; room++) {
			char *buf = malloc(room ? room : 1);

			assert_int_equal(magnet_param(&m, params[i].key,
			    params[i].i, buf, room), n);
			if (n > 0)
				assert_memory_equal(buf, want,
				    (size_t)n < room ? (size_t)n : room);
			free(buf);
		}
	}
	struct magnet_values it = { .begun = false };

	for (size_t i = 2; i <= 5; i++)
		assert_int_equal(magnet_next(&m, &it, "tr", NULL, 0),
		    params[i].want ? (long)strlen(params[i].want) : -1);
	assert_int_equal(magnet_next(&m, &it, "tr", NULL, 0), -1);
	assert_int_equal(magnet_read(span_str(V1), &bare, &err), WIRE_OK);
	assert_int_equal(magnet_param(&bare, "dn", 0, NULL, 0), -1);
}

static void test_long(void **state)
{
	size_t n = MAGNET_MAX + 1;
	char *p = malloc(n);
	struct magnet m;
	struct wire_error err;

	(void)state;
	assert_non_null(p);
	memset(p, '&', n);
	memcpy(p, cases[0].link, strlen(cases[0].link));
	assert_int_equal(magnet_read(span_of(p, n - 1), &m, &err), WIRE_OK);
	assert_int_equal(magnet_read(span_of(p, n), &m, &err), WIRE_BAD);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
