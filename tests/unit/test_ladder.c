#include "monitor/ladder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ALL { .utp = true, .crypt = LADDER_ALLOW }
#define NO_UTP { .utp = false, .crypt = LADDER_ALLOW }

/* ends: s silent, c closed, m met; ways: u or t, and the offer. */
static const struct {
	const char *what;
	struct ladder_conf conf;
	unsigned known;
	const char *ends, *ways;
	unsigned learnt;
} cases[] = {
	{ "answers over TCP", ALL, 0, "m", "t0", LADDER_TCP | LADDER_PLAIN },
	{ "uTP only", ALL, 0, "sm", "t0 u0", LADDER_UTP | LADDER_PLAIN },
	{ "nobody there", ALL, 0, "ss", "t0 u0", 0 },
	{ "gone since", ALL, LADDER_TCP | LADDER_PLAIN, "ss", "t0 u0",
	    LADDER_PLAIN },
	{ "TCP, encrypted only", ALL, 0, "cm", "t0 t3",
	    LADDER_TCP | LADDER_ANY },
	{ "RC4 only", ALL, 0, "ccm", "t0 t3 t2", LADDER_TCP | LADDER_RC4 },
	{ "uTP, RC4 only", ALL, 0, "sccm", "t0 u0 u3 u2",
	    LADDER_UTP | LADDER_RC4 },
	{ "wants none of it", ALL, 0, "ccccc", "t0 t3 t2 t2",
	    LADDER_TCP | LADDER_SHUT },
	{ "again, keys anew, and plain at last", ALL,
	    LADDER_TCP | LADDER_SHUT, "cccm", "t3 t2 t2 t0",
	    LADDER_TCP | LADDER_PLAIN },
	{ "RC4 as before", ALL, LADDER_TCP | LADDER_RC4, "ccm", "t2 t2 t2",
	    LADDER_TCP | LADDER_RC4 },
	{ "TCP as before", ALL, LADDER_TCP | LADDER_PLAIN, "m", "t0",
	    LADDER_TCP | LADDER_PLAIN },
	{ "plain no more", ALL, LADDER_TCP | LADDER_PLAIN, "cm", "t0 t3",
	    LADDER_TCP | LADDER_ANY },
	{ "both worked: uTP first", ALL, LADDER_TCP | LADDER_UTP, "m", "u0",
	    LADDER_TCP | LADDER_UTP | LADDER_PLAIN },
	{ "they say it encrypts", ALL, LADDER_SAID_CRYPT, "sm", "t3 u3",
	    LADDER_SAID_CRYPT | LADDER_UTP | LADDER_ANY },
	{ "they say uTP", ALL, LADDER_SAID_UTP, "sm", "u0 t0",
	    LADDER_SAID_UTP | LADDER_TCP | LADDER_PLAIN },
	{ "they say uTP, but TCP worked", ALL, LADDER_SAID_UTP | LADDER_TCP,
	    "m", "t0", LADDER_SAID_UTP | LADDER_TCP | LADDER_PLAIN },
	{ "no uTP of ours", NO_UTP, 0, "s", "t0", 0 },
	{ "no uTP of ours, though it worked", NO_UTP, LADDER_UTP, "m", "t0",
	    LADDER_UTP | LADDER_TCP | LADDER_PLAIN },
	{ "off", { .utp = true, .crypt = LADDER_OFF },
	    LADDER_RC4 | LADDER_SAID_CRYPT, "sc", "t0 u0",
	    LADDER_RC4 | LADDER_SAID_CRYPT | LADDER_UTP | LADDER_SHUT },
	{ "require", { .utp = true, .crypt = LADDER_REQUIRE }, LADDER_PLAIN,
	    "cccc", "t3 t2 t2 t2", LADDER_PLAIN | LADDER_TCP },
	{ "TCP shuts, then is gone", ALL, 0, "csm", "t0 t3 u3",
	    LADDER_UTP | LADDER_ANY },
	{ "uTP shuts, then is gone", ALL, 0, "scs", "t0 u0 u3", LADDER_SHUT },
};

/* Nothing is lost of a visit that is put off. */
static void put_off(struct ladder *l)
{
	struct ladder was = *l;
	uint16_t mark = ladder_mark(l);

	assert_int_not_equal(mark, 0);
	ladder_resume(l, &was.conf, was.known, mark);
	assert_true(l->way.utp == was.way.utp && l->way.offer == was.way.offer);
	assert_true(l->tries == was.tries && l->known == was.known);
	assert_true(l->tried[0] == was.tried[0] && l->tried[1] == was.tried[1]);
	assert_int_equal(l->tried_plain, was.tried_plain);
}

static void visits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ladder l;
		char ways[64] = "";
		size_t n = 0;
		bool more = true;

		ladder_begin(&l, &cases[i].conf, (uint8_t)cases[i].known);
		for (const char *e = cases[i].ends; more && *e; e++) {
			n += (size_t)snprintf(ways + n, sizeof(ways) - n,
			    "%s%c%u", n ? " " : "", l.way.utp ? 'u' : 't',
			    l.way.offer);
			more = ladder_next(&l, *e == 's' ? LADDER_SILENT :
			    *e == 'c' ? LADDER_CLOSED : LADDER_MET);
			/* A minute may lie between. */
			put_off(&l);
		}
		if (more || strcmp(ways, cases[i].ways) != 0 ||
		    l.known != cases[i].learnt)
			fail_msg("%s: %s, %s, knows %u", cases[i].what, ways,
			    more ? "goes on" : "is over", l.known);
	}
}

/* Whatever is known and happens: few tries, and only ways that we allow. */
static void every_visit_ends(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 256 * 6 * 81; k++) {
		struct ladder_conf conf = { .utp = k / 256 % 2,
			.crypt = k / 512 % 3 };
		unsigned ends = k / 1536, tries = 0;
		struct ladder l;
		bool more = true;

		ladder_begin(&l, &conf, (uint8_t)k);
		for (; more; ends /= 3, tries++) {
			assert_true(conf.utp || !l.way.utp);
			assert_true(conf.crypt != LADDER_OFF || !l.way.offer);
			assert_true(conf.crypt != LADDER_REQUIRE ||
			    l.way.offer);
			more = ladder_next(&l, ends % 3);
			put_off(&l);
		}
		assert_in_range(tries, 1, LADDER_TRIES);
	}
}

/* Where a close without a word of ours would say something. */
static void hesitates(void **state)
{
	static const struct {
		struct ladder_conf conf;
		unsigned known;
		const char *ends;
		bool want;
	} rows[] = {
		{ ALL, 0, "", true },
		{ { .utp = true, .crypt = LADDER_REQUIRE }, 0, "", true },
		{ NO_UTP, 0, "", false },
		{ ALL, LADDER_TCP, "", false },
		{ ALL, LADDER_UTP, "", false },
		{ ALL, LADDER_UTP, "s", false },	/* TCP is what is left */
		{ ALL, 0, "s", false },
		{ ALL, 0, "c", false }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ladder l;

		ladder_begin(&l, &rows[i].conf, (uint8_t)rows[i].known);
		for (const char *e = rows[i].ends; *e; e++)
			ladder_next(&l, *e == 's' ? LADDER_SILENT :
			    LADDER_CLOSED);
		if (ladder_hesitates(&l) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(visits),
		cmocka_unit_test(every_visit_ends),
		cmocka_unit_test(hesitates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
