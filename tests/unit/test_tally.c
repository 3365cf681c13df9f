/* What two witnesses say of one conversation, and where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "capture/tally.h"

/* A request is 17 bytes, a have 9; n of either, from the first on. */
static struct span messages(char id, unsigned first, unsigned n)
{
	static uint8_t raw[1024];
	size_t one = id == 4 ? 9 : 17;

	memset(raw, 0, sizeof(raw));
	for (unsigned i = 0; i < n; i++) {
		raw[i * one + 3] = (uint8_t)(one - 4);
		raw[i * one + 4] = (uint8_t)id;
		raw[i * one + 8] = (uint8_t)(first + i);
	}
	return span_of(raw, n * one);
}

struct two {
	struct tally t;
	struct told ledger[LANES], packets[LANES];
};

static void begin(struct two *w)
{
	memset(w, 0, sizeof(*w));
	tally_init(&w->t);
}

static void end(struct two *w)
{
	tally_free(w->ledger);
	tally_free(w->packets);
	tally_fini(&w->t);
}

static void add(struct two *w, struct told *to, const char *kind,
    const char *detail, struct span raw)
{
	char hex[65];

	tally_add(&w->t, to, kind, detail, raw, raw.n ?
	    tally_digest(raw, hex) : NULL, to == w->ledger ? 7 : -1);
}

static struct tally_result compare(struct two *w, bool cut)
{
	struct tally_result r;

	tally_end(w->ledger);
	tally_end(w->packets);
	tally_compare(w->ledger, w->packets, cut, &r);
	return r;
}

#define US "{\"by\":\"us\"}"
#define PEER "{\"by\":\"peer\"}"

static void runs(void **state)
{
	struct tally_result r;
	struct two w;

	(void)state;
	begin(&w);
	add(&w, w.ledger, "have", PEER, messages(4, 0, 3));
	add(&w, w.ledger, "have", PEER, messages(4, 3, 2));
	add(&w, w.packets, "have", PEER, messages(4, 0, 1));
	add(&w, w.packets, "have", PEER, messages(4, 1, 4));
	add(&w, w.ledger, "extended", "{\"by\":\"us\",\"heard\":80}",
	    span_str("x"));
	add(&w, w.packets, "extended", "{\"by\":\"us\",\"heard\":90}",
	    span_str("x"));
	r = compare(&w, false);
	assert_int_equal(r.missing + r.extra, 0);
	assert_int_equal(r.same, 2);
	end(&w);
}

/* What was written and not sent lacks at the end, in the midst of a run too; in
 * the midst of all, or with another in its place, it does not. */
static void unsent(void **state)
{
	struct tally_result r;
	struct two w;

	(void)state;
	for (unsigned sent = 0; sent <= 4; sent++) {
		begin(&w);
		add(&w, w.ledger, "request", US, messages(6, 0, 4));
		add(&w, w.packets, "request", US, messages(6, 0, sent));
		r = compare(&w, true);
		assert_int_equal(r.missing + r.extra, 0);
		assert_int_equal(r.same, sent);
		tally_compare(w.ledger, w.packets, false, &r);
		assert_int_equal(r.missing, 4 - sent);
		end(&w);
	}
	begin(&w);
	add(&w, w.ledger, "request", US, messages(6, 0, 4));
	add(&w, w.packets, "request", US, messages(6, 2, 2));
	r = compare(&w, true);
	assert_int_equal(r.missing, 2);
	assert_string_equal(r.missing_kind, "request");
	assert_int_equal(r.first_missing, 7);
	end(&w);
	begin(&w);
	add(&w, w.ledger, "request", US, messages(6, 0, 2));
	add(&w, w.packets, "request", US, messages(6, 1, 4));
	r = compare(&w, true);
	assert_int_equal(r.extra, 3);
	assert_string_equal(r.extra_kind, "request");
	end(&w);
}

/* What hinges on requests is what was not finished, and nothing else. */
static void hinges(void **state)
{
	static const char open[] = "{\"by\":\"peer\",\"piece\":3,"
	    "\"complete\":false,\"blocks\":[]}";
	static const char whole[] = "{\"by\":\"peer\",\"piece\":3,"
	    "\"complete\":true,\"blocks\":[]}";
	static const struct {
		const char *kind, *detail;
		bool hinges;
	} rows[] = {
		{ "piece", open, true }, { "piece", whole, false },
		{ "block", PEER, true }, { "choke", PEER, false },
		{ "have", PEER, false }, { "interested", US, true }
	};
	struct tally_result r;
	struct two w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&w);
		for (int k = 0; k < 2; k++)
			add(&w, k ? w.packets : w.ledger, "have", PEER,
			    messages(4, 0, 2));
		add(&w, w.ledger, rows[i].kind, rows[i].detail,
		    messages(6, 0, 1));
		add(&w, w.ledger, "have", PEER, messages(4, 2, 1));
		add(&w, w.packets, "have", PEER, messages(4, 2, 1));
		r = compare(&w, false);
		assert_true(r.missing > 0);
		assert_int_equal(tally_hinges(w.ledger, w.packets),
		    rows[i].hinges);
		end(&w);
	}
}

/* Which data was asked for, complete or not, and what an id meant may hang on
 * an order that nobody said; what was said may not. */
static void order_alone(void **state)
{
	static const struct {
		const char *kind, *detail;
		bool alone;
	} rows[] = {
		{ "piece", "{\"by\":\"peer\",\"complete\":true,"
		    "\"blocks\":[]}", true },
		{ "block", PEER, true }, { "have", PEER, false },
		{ "pex", PEER, true }, { "message", PEER, true },
		{ "choke", PEER, false }, { "encrypted", PEER, false },
		{ "interested", US, false }
	};
	struct two w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&w);
		add(&w, w.ledger, "interested", US, messages(4, 0, 1));
		add(&w, w.packets, "interested", US, messages(4, 0, 1));
		add(&w, w.packets, rows[i].kind, rows[i].detail,
		    messages(4, 0, 1));
		assert_true(compare(&w, false).extra > 0);
		assert_int_equal(tally_order_alone(w.ledger, w.packets),
		    rows[i].alone);
		end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs),
		cmocka_unit_test(unsent),
		cmocka_unit_test(hinges),
		cmocka_unit_test(order_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
