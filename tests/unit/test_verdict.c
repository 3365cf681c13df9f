/* What is said of a claim, by what was seen and when. */
#include "report/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define T 1767225600LL		/* the claimed second: midnight */

/* One sight: what, level, from and to in seconds beside the claim. */
struct row {
	enum seen what;
	int level;
	int from, to;
};

#define L(level, from, to) { SEEN_LEVEL, level, from, to }

static const struct {
	const char *name;
	struct row seen[6];
	int require, within, bound;
	bool unwatched;
	int bytes, held;	/* 0: not claimed */
	const char *want;	/* verdict, level, distance in s */
} cases[] = {
	{ "nothing, watched", { { 0 } }, 5, 60, 0, false, 0, 0,
	    "not supported -1 none" },
	{ "nothing, not watched", { { 0 } }, 5, 60, 0, true, 0, 0,
	    "outside coverage -1 none" },
	{ "matched then", { L(5, 3, 3) }, 5, 60, 0, false, 0, 0,
	    "supported 5 3" },
	{ "matched before midnight", { L(5, -3, -3) }, 5, 60, 0, false, 0, 0,
	    "supported 5 -3" },
	{ "just within", { L(5, 60, 60) }, 5, 60, 0, false, 0, 0,
	    "supported 5 60" },
	{ "just beyond", { L(5, 61, 61) }, 5, 60, 0, false, 0, 0,
	    "not supported -1 61" },
	{ "within by the clock's bound", { L(5, 61, 61) }, 5, 60, 1, false, 0,
	    0, "supported 5 61" },
	{ "beyond the bound", { L(5, -62, -62) }, 5, 60, 1, false, 0, 0,
	    "not supported -1 -62" },
	{ "within nothing, on the dot", { L(5, 0, 0) }, 5, 0, 0, false, 0, 0,
	    "supported 5 0" },
	{ "within nothing, a second off", { L(5, 1, 1) }, 5, 0, 0, false, 0, 0,
	    "not supported -1 1" },
	{ "a conversation that covers it", { L(2, -500, 500) }, 2, 60, 0,
	    false, 0, 0, "supported 2 0" },
	{ "too low", { L(2, -500, 500), L(3, -400, 500) }, 5, 60, 0, false, 0,
	    0, "not supported 3 0" },
	{ "low is enough where asked for", { L(3, -400, 500) }, 2, 60, 0,
	    false, 0, 0, "supported 3 0" },
	{ "high far away, low here", { L(5, 4000, 4000), L(1, 0, 5) }, 5, 60,
	    0, false, 0, 0, "not supported 1 0" },
	{ "the nearest of two", { L(5, -50, -50), L(5, 20, 20) }, 5, 60, 0,
	    false, 0, 0, "supported 5 20" },
	{ "nearest that supports, not the lowest", { L(0, 1, 1), L(5, 20, 20) },
	    5, 60, 0, false, 0, 0, "supported 5 20" },
	{ "watched elsewhere only, but evidence is here", { L(5, 1, 1) }, 5,
	    60, 0, true, 0, 0, "supported 5 1" },
	{ "level 0 asked for and seen", { L(0, 2, 2) }, 0, 60, 0, false, 0, 0,
	    "supported 0 2" },
	/* against */
	{ "another torrent", { { SEEN_OTHER_TORRENT, 0, -5, 5 } }, 5, 60, 0,
	    false, 0, 0, "contradicted -1 none" },
	{ "another torrent, this not watched", { { SEEN_OTHER_TORRENT, 0, -5,
	    5 } }, 5, 60, 0, true, 0, 0, "contradicted -1 none" },
	{ "another torrent, at another time", { { SEEN_OTHER_TORRENT, 0, -500,
	    -400 } }, 5, 60, 0, false, 0, 0, "not supported -1 none" },
	{ "another torrent beside this one", { { SEEN_OTHER_TORRENT, 0, -5,
	    5 }, L(2, -5, 5) }, 5, 60, 0, false, 0, 0, "not supported 2 0" },
	{ "failed", { L(3, -5, 5), { SEEN_FAILED, 0, 1, 1 } }, 5, 60, 0, false,
	    0, 0, "contradicted 3 0" },
	{ "failed, but a handshake was asked for", { L(3, -5, 5),
	    { SEEN_FAILED, 0, 1, 1 } }, 2, 60, 0, false, 0, 0,
	    "supported 3 0" },
	{ "failed and matched", { L(5, 2, 2), { SEEN_FAILED, 0, 1, 1 } }, 5,
	    60, 0, false, 0, 0, "supported 5 2" },
	{ "failed long ago", { L(3, -5, 5), { SEEN_FAILED, 0, -900, -900 } }, 5,
	    60, 0, false, 0, 0, "not supported 3 0" },
	{ "dialled in vain", { { SEEN_VAIN, 0, -3, 3 } }, 5, 60, 0, false, 0,
	    0, "contradicted -1 none" },
	{ "listed, dialled in vain", { L(0, -9, -9), { SEEN_VAIN, 0, -3,
	    3 } }, 5, 60, 0, false, 0, 0, "contradicted 0 -9" },
	{ "in vain once, reached then", { { SEEN_VAIN, 0, -30, -20 },
	    L(1, 1, 9) }, 5, 60, 0, false, 0, 0, "not supported 1 1" },
	{ "in vain before", { { SEEN_VAIN, 0, -300, -200 } }, 5, 60, 0, false,
	    0, 0, "not supported -1 none" },
	{ "more than was held", { L(5, 1, 1) }, 5, 60, 0, false, 101, 100,
	    "contradicted 5 1" },
	{ "as much as was held", { L(5, 1, 1) }, 5, 60, 0, false, 100, 100,
	    "supported 5 1" },
	{ "how much is not known", { L(5, 1, 1) }, 5, 60, 0, false, 100, -1,
	    "supported 5 1" },
	{ "much claimed where nothing was held", { L(0, 1, 1) }, 5, 60, 0,
	    false, 100, 0, "not supported 0 1" },
	/* ports */
	{ "another port", { { SEEN_OTHER_PORT, 5, 1, 1 } }, 5, 60, 0, false, 0,
	    0, "not supported -1 none" },
};

static void verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sight s[6];
		struct verdict_of v = {
			.from_ns = T * 1000000000, .to_ns = T * 1000000000,
			.within_ns = cases[i].within * 1000000000LL,
			.bound_ns = cases[i].bound * 1000000000LL,
			.require = cases[i].require,
			.watched = !cases[i].unwatched,
			.sight = s,
			.claimed_bytes = cases[i].bytes ? cases[i].bytes : -1,
			.held_bytes = cases[i].held,
			.claimed_pieces = -1,
		};
		struct verdict_is r;
		char got[80], far[24] = "none";

		for (; v.n < 6; v.n++) {
			const struct row *w = &cases[i].seen[v.n];

			if (v.n && w->what == 0 && w->level == 0 &&
			    w->from == 0 && w->to == 0)
				break;
			if (v.n == 0 && memcmp(w, &(struct row){ 0 },
			    sizeof(*w)) == 0)
				break;
			s[v.n] = (struct sight){ w->what, w->level,
			    (T + w->from) * 1000000000,
			    (T + w->to) * 1000000000, (int64_t)v.n };
		}
		verdict_find(&v, &r);
		if (r.nearest >= 0)
			snprintf(far, sizeof(far), "%s%lld", r.before ? "-" :
			    "", (long long)(r.distance_ns / 1000000000));
		snprintf(got, sizeof(got), "%s %d %s",
		    verdict_name(r.verdict), r.level, far);
		if (strcmp(got, cases[i].want))
			fail_msg("%s: %s, not %s", cases[i].name, got,
			    cases[i].want);
	}
}

/* A session is as long as it says. */
static void sessions(void **state)
{
	struct sight s = { SEEN_LEVEL, 5, 500, 500, 1 };
	struct verdict_of v = { .from_ns = 100, .to_ns = 600, .require = 5,
	    .watched = true, .sight = &s, .n = 1, .claimed_bytes = -1,
	    .claimed_pieces = -1 };
	struct verdict_is r;

	(void)state;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_SUPPORTED);
	assert_int_equal(r.distance_ns, 0);
	assert_int_equal(r.nearest_ns, 500);
	v.to_ns = 499;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_NOT_SUPPORTED);
	assert_int_equal(r.distance_ns, 1);
}

/* A ledger may state any time at all. */
static void extremes(void **state)
{
	struct sight s[] = { { SEEN_LEVEL, 5, INT64_MIN, INT64_MIN, 1 },
	    { SEEN_LEVEL, 5, INT64_MAX, INT64_MAX, 2 } };
	struct verdict_of v = { .from_ns = T * 1000000000, .to_ns = T *
	    1000000000, .within_ns = INT64_MAX, .bound_ns = INT64_MAX,
	    .require = 5, .sight = s, .n = 2, .claimed_bytes = -1,
	    .claimed_pieces = -1 };
	struct verdict_is r;

	(void)state;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_SUPPORTED);
	v.within_ns = v.bound_ns = 0;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_OUTSIDE);
	assert_int_equal(r.level, -1);
	assert_true(r.distance_ns > 0);
}

/* Where the level was not reached then, when it was. */
static void another_time(void **state)
{
	struct sight s[] = { { SEEN_LEVEL, 2, -5, 5, 1 },
	    { SEEN_LEVEL, 5, 9000, 9000, 2 }, { SEEN_LEVEL, 5, -800, -800,
	    3 } };
	struct verdict_of v = { .within_ns = 60, .require = 5, .watched = true,
	    .sight = s, .n = 3, .claimed_bytes = -1, .claimed_pieces = -1 };
	struct verdict_is r;

	(void)state;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_NOT_SUPPORTED);
	assert_int_equal(r.level, 2);
	assert_int_equal(r.nearest, 0);
	assert_int_equal(r.elsewhen, 2);
	assert_int_equal(r.elsewhen_distance_ns, 800);
}

static void pieces(void **state)
{
	struct sight s = { SEEN_LEVEL, 5, 0, 0, 1 };
	struct verdict_of v = { .require = 5, .watched = true, .sight = &s,
	    .n = 1, .claimed_bytes = -1, .claimed_pieces = 3,
	    .held_pieces = 2 };
	struct verdict_is r;

	(void)state;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_CONTRADICTED);
	assert_true(r.too_many_pieces);
	v.held_pieces = 3;
	verdict_find(&v, &r);
	assert_int_equal(r.verdict, VERDICT_SUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts), cmocka_unit_test(sessions),
		cmocka_unit_test(extremes), cmocka_unit_test(another_time),
		cmocka_unit_test(pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
