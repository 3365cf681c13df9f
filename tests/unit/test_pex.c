#include "wire/pex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/exact.h"

#define P1 "\300\0\2\1\x1a\xe1"
#define P2 "\300\0\2\2\0\0"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x1a\xe1"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\5\0\7"

static const struct {
	const char *in;
	size_t n;
	const char *want;	/* NULL: refused */
} cases[] = {
	{ B("d5:added12:" P1 P2 "7:added.f2:\x13\0006:added618:" V6
	    "8:added6.f1:\2" "7:dropped6:" P2 "8:dropped618:" V6 "e"),
	    "3/2 +192.0.2.1:6881=13 +192.0.2.2:0=0 +[2001:db8::1]:6881=2 "
	    "-192.0.2.2:0 -[2001:db8::1]:6881" },
	{ B("de"), "0/0" },			/* aria2, every minute */
	{ B("d5:added0:7:added.f0:7:dropped0:e"), "0/0" },
	{ B("d5:added6:" P1 "e"), "1/0 +192.0.2.1:6881" },
	{ B("d5:added6:" P1 "7:added.f0:e"), "1/0 +192.0.2.1:6881 odd4" },
	{ B("d5:added12:" P1 P2 "7:added.f1:\1e"),
	    "2/0 +192.0.2.1:6881=1 +192.0.2.2:0 odd4" },
	{ B("d5:added6:" P1 "7:added.f2:\1\2e"),
	    "1/0 +192.0.2.1:6881=1 odd4" },
	{ B("d5:added7:" P1 "xe"), "1/0 +192.0.2.1:6881 odd2" },
	{ B("d5:added5:12345e"), "0/0 odd2" },
	{ B("d6:added617:1234567812345678xe"), "0/0 odd2" },
	{ B("d6:added618:" MAPPED "e"), "1/0 +192.0.2.5:7" },
	{ B("d7:dropped1:xe"), "0/0 odd2" },
	{ B("d8:dropped61:xe"), "0/0 odd2" },
	{ B("d5:addedle7:dropped6:" P1 "e"), "0/1 -192.0.2.1:6881 odd1" },
	{ B("d5:addedi6e7:added.fdee"), "0/0 odd1" },
	{ B("d5:added6:" P1 "5:added6:" P2 "e"),
	    "1/0 +192.0.2.1:6881 odd1 notes2" },
	{ B("d7:dropped6:" P1 "5:added6:" P2 "e"),
	    "1/1 +192.0.2.2:0 -192.0.2.1:6881 notes1" },
	{ B("de.."), "0/0 notes8" },
	{ B("d1:x5:12345e"), "0/0" },
	{ B(""), NULL },
	{ B("le"), NULL },
	{ B("i1e"), NULL },
	{ B("4:abcd"), NULL },
	{ B("d5:added6:" P1), NULL },
	{ B("d5:added99999999:" P1 "e"), NULL },
	{ B("d5:addede"), NULL }
};

static void say(char *buf, size_t n, const struct pex_msg *m)
{
	struct pex_peers it = { 0 };
	struct pex_peer p;
	char at[ENDPOINT_TEXT_MAX];
	uint32_t seen = 0;
	int len;

	len = snprintf(buf, n, "%u/%u", m->n_added, m->n_dropped);
#define ADD(...) len += snprintf(buf + len, n - (size_t)len, __VA_ARGS__)
	while (pex_peer(m, &it, &p)) {
		seen++;
		ADD(" %c%s", p.dropped ? '-' : '+', endpoint_text(&p.at, at));
		if (p.has_flags)
			ADD("=%x", p.flags);
	}
	assert_false(pex_peer(m, &it, &p));
	assert_int_equal(seen, m->n_added + m->n_dropped);
	if (m->odd)
		ADD(" odd%u", m->odd);
	if (m->notes)
		ADD(" notes%u", m->notes);
#undef ADD
}

static void messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t cut = 0; cut <= cases[i].n; cut++) {
			struct span in = exact(cases[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct pex_msg m;
			char got[256];
			enum wire_status st = pex_read(in, &m, &err);
			bool whole = cut == cases[i].n ||
			    (cases[i].in[cases[i].n - 1] == '.' && cut >= 2);

			if (st != (whole && cases[i].want ? WIRE_OK :
			    WIRE_BAD))
				fail_msg("case %zu at %zu", i, cut);
			if (st == WIRE_OK && cut == cases[i].n) {
				say(got, sizeof(got), &m);
				assert_string_equal(got, cases[i].want);
			} else if (st == WIRE_BAD) {
				assert_non_null(err.reason);
				assert_true(err.offset <= cut);
			}
			unexact(in);
		}
}

static void floods(void **state)
{
	char buf[8192];
	struct pex_msg m;
	struct wire_error err;

	(void)state;
	for (unsigned n = 49; n <= 1000; n = n < 52 ? n + 1 : n * 2) {
		int head = snprintf(buf, sizeof(buf), "d7:dropped%u:", 6 * n);
		size_t len = (size_t)head + 6 * n;

		memset(buf + head, 1, 6 * n);
		buf[len++] = 'e';
		assert_int_equal(pex_read(span_of(buf, len), &m, &err),
		    WIRE_OK);
		assert_int_equal(m.n_dropped, n);
		assert_int_equal(m.odd, n > 50 ? PEX_ODD_MANY : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(floods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
