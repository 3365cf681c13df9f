#include "wire/lsd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/exact.h"

#define TOP "BT-SEARCH * HTTP/1.1\r\n"
#define HOST "Host: 239.192.152.143:6771\r\n"
#define HEX "0123456789abcdef0123456789ABCDEF01234567"
#define HASH "Infohash: " HEX "\r\n"
#define END "\r\n\r\n"

static const struct {
	const char *in;
	const char *want;	/* NULL: refused */
	const char *reason;
} cases[] = {
	{ TOP HOST "Port: 6881\r\n" HASH "cookie: name\r\n" END,
	    "6881 1 host=239.192.152.143:6771 cookie=name", 0 },
	{ TOP HOST "Port: 6881\r\n" HASH "\r\n",
	    "6881 1 host=239.192.152.143:6771", 0 },
	{ TOP "PORT:1\r\nINFOHASH:" HEX "\r\ninfohash:  " HEX " \r\n" END,
	    "1 2", 0 },
	{ TOP "Host: [ff15::efc0:988f]:6771\r\nport: 65535\r\n" HASH
	    "Cookie:\r\nX-Other: 1\r\n" END,
	    "65535 1 host=[ff15::efc0:988f]:6771 cookie=", 0 },
	{ TOP "Port: 6881\r\n" HASH "Infohash: 0123\r\nInfohash: "
	    "x123456789abcdef0123456789abcdef01234567\r\n" END, "6881 1 odd2",
	    0 },
	{ TOP "Port: 6881\r\nPort: 6882\r\n" HASH END, "6881 1 odd4", 0 },
	{ TOP "Port: 6881\n" HASH END, "6881 1 odd1", 0 },
	{ TOP "Port: 6881\r\n" HASH, "6881 1 odd1", 0 },
	{ TOP "Port: 6881\r\nnonsense\r\n" HASH END, "6881 1 odd1", 0 },
	{ "BT-SEARCH * HTTP/1.1\nPort: 6881\n" HASH END, "6881 1 odd1", 0 },
	/* What follows the empty line is not read. */
	{ TOP "Port: 6881\r\n" HASH "\r\n" HASH, "6881 1", 0 },
	{ "", NULL, "not a BT-SEARCH" },
	{ "M-SEARCH * HTTP/1.1\r\n" END, NULL, "not a BT-SEARCH" },
	{ "BT-SEARCH * HTTP/1.0\r\nPort: 1\r\n" HASH END, NULL,
	    "not a BT-SEARCH" },
	{ TOP, NULL, "no port from 1 to 65535" },
	{ TOP HASH END, NULL, "no port from 1 to 65535" },
	{ TOP "Port: 0\r\n" HASH END, NULL, "no port from 1 to 65535" },
	{ TOP "Port: 65536\r\n" HASH END, NULL, "no port from 1 to 65535" },
	{ TOP "Port: 99999999999999999999\r\n" HASH END, NULL,
	    "no port from 1 to 65535" },
	{ TOP "Port: -1\r\n" HASH END, NULL, "no port from 1 to 65535" },
	{ TOP "Port:\r\n" HASH END, NULL, "no port from 1 to 65535" },
	{ TOP "Port: 6881\r\n" END, NULL, "no infohash" },
	{ TOP "Port: 6881\r\nInfohash: abc\r\n" END, NULL, "no infohash" },
};

static void say(char *buf, size_t n, const struct lsd_msg *m)
{
	static const uint8_t want[20] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
		0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0x01, 0x23, 0x45, 0x67 };
	struct cur c = cur_of(m->lines);
	uint8_t hash[20];
	uint32_t seen = 0;
	int len = snprintf(buf, n, "%u %u", m->port, m->hashes);

#define ADD(...) len += snprintf(buf + len, n - (size_t)len, __VA_ARGS__)
	while (lsd_hash(&c, hash)) {
		assert_memory_equal(hash, want, 20);
		seen++;
	}
	assert_int_equal(seen, m->hashes);
	if (m->host.p)
		ADD(" host=%.*s", (int)m->host.n, (const char *)m->host.p);
	if (m->cookie.p)
		ADD(" cookie=%.*s", (int)m->cookie.n,
		    (const char *)m->cookie.p);
	if (m->odd)
		ADD(" odd%u", m->odd);
#undef ADD
}

static void datagrams(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = strlen(cases[i].in);

		for (size_t cut = 0; cut <= n; cut++) {
			struct span in = exact(cases[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct lsd_msg m;
			char got[256] = "";
			enum wire_status st = lsd_read(in, &m, &err);

			if (st == WIRE_OK)
				say(got, sizeof(got), &m);
			else
				assert_true(err.reason && err.offset <= cut);
			if (cut < n) {
				unexact(in);
				continue;
			}
			if (cases[i].want ? strcmp(got, cases[i].want) :
			    st == WIRE_OK || strcmp(err.reason,
			    cases[i].reason))
				fail_msg("case %zu: %s, %s", i, got,
				    err.reason ? err.reason : "");
			unexact(in);
		}
	}
}

static void written(void **state)
{
	static const uint8_t hash[2][20] = { { 0x01, 0x23 }, { [19] = 0xff } };
	static const char want[] = TOP HOST "Port: 6881\r\n"
	    "Infohash: 0123000000000000000000000000000000000000\r\n"
	    "Infohash: 00000000000000000000000000000000000000ff\r\n"
	    "cookie: sw1\r\n" END;
	struct wire_error err;
	struct lsd_msg m;
	uint8_t got[20];

	(void)state;
	for (size_t room = 0; room <= sizeof(want); room++) {
		uint8_t *out = malloc(room ? room : 1);
		size_t n = lsd_put(out, room, 4, 6881, span_str("sw1"), hash,
		    2);

		assert_int_equal(n, room < sizeof(want) - 1 ? 0 :
		    sizeof(want) - 1);
		if (n)
			assert_memory_equal(out, want, n);
		free(out);
	}
	uint8_t out[LSD_SENT_MAX];
	assert_int_equal(lsd_put(out, sizeof(out), 4, 1, span_str("x"), hash,
	    0), 0);
	size_t n = lsd_put(out, sizeof(out), 6, 1, span_of(NULL, 0), hash, 2);
	assert_int_equal(lsd_read(span_of(out, n), &m, &err), WIRE_OK);
	assert_int_equal(m.odd, 0);
	assert_int_equal(m.hashes, 2);
	assert_null(m.cookie.p);
	assert_memory_equal(m.host.p, "[ff15::efc0:988f]:6771", m.host.n);
	struct cur c = cur_of(m.lines);
	assert_true(lsd_hash(&c, got));
	assert_memory_equal(got, hash[0], 20);
	assert_true(lsd_hash(&c, got));
	assert_memory_equal(got, hash[1], 20);
	assert_false(lsd_hash(&c, got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams),
		cmocka_unit_test(written)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
