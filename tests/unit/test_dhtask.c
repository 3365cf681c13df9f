/* Time here is the real one: what a step is told may run ahead of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/dhtask.h"
#include "schema/now.h"

static struct seen {
	char text[256];
	unsigned sent;
	bool refuse;
} seen;
static struct dht_asks *asks;
static int owner;

static void on_done(void *ctx, const struct dht_ask *ask,
    const struct dht_answer *a)
{
	static const char *const word[] = { "answered", "malformed", "silent",
		"unsent" };
	size_t n = strlen(seen.text);

	(void)ctx;
	snprintf(seen.text + n, sizeof(seen.text) - n, "%s%s%u%s ",
	    word[a->end], a->end == DHT_ANSWERED && a->msg->type == KRPC_ERROR
	    ? "!" : "", ask->slot, ask->owner ? "" : "-");
}

static bool on_send(void *ctx, const struct endpoint *to, struct span bytes)
{
	(void)ctx;
	(void)to;
	assert_true(bytes.n > 20);
	seen.sent++;
	return !seen.refuse;
}

static int begin(void **state)
{
	struct dht_asks_conf conf = { .done = on_done, .send = on_send };

	(void)state;
	seen = (struct seen){ .sent = 0 };
	asks = dht_asks_new(&conf);
	return asks ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	dht_asks_free(asks);
	return 0;
}

static int64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

static struct endpoint host(unsigned i)
{
	return (struct endpoint){ .family = 4, .port = 6881,
		.addr = { 1, 2, (uint8_t)(i >> 8), (uint8_t)i } };
}

static const struct dht_ask *ask(unsigned i, unsigned slot, int64_t at_ms)
{
	struct endpoint at = host(i);
	struct krpc_ask q = { .method = KRPC_PING };

	return dht_asks_put(asks, &at, &q, &owner, slot, 0x61620000 + slot,
	    at_ms);
}

static void hear(const struct endpoint *from, const void *bytes, size_t n)
{
	void *copy = malloc(n ? n : 1);
	struct sock_datagram d = { .bytes = span_of(copy, n), .from = *from,
		.utc_ns = 1, .mono_ns = clock_ns(CLOCK_MONOTONIC) };

	memcpy(copy, bytes, n);
	dht_asks_take(asks, &d);
	free(copy);
}

/* head, the transaction of that slot, tail. */
static void say(unsigned i, unsigned slot, const char *head, const char *tail)
{
	struct endpoint from = host(i);
	char out[256];
	int n = snprintf(out, sizeof(out), "%sab%c%c%s", head, 0, (char)slot,
	    tail);

	hear(&from, out, (size_t)n);
}

#define REPLY "d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:", "1:y1:re"
#define ERROR "d1:eli201e1:xe1:t4:", "1:y1:ee"
#define QUERY "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t4:", "1:y1:qe"
#define JUNK "d1:rd2:id3:aaae1:t4:", "1:y1:re"

static void test_answers(void **state)
{
	struct dht_asks_state s;
	struct endpoint other = host(1);
	int64_t t = now();

	(void)state;
	assert_non_null(ask(1, 1, t));
	say(1, 1, REPLY);		/* before it was asked */
	dht_asks_step(asks, t);
	assert_int_equal(seen.sent, 1);
	say(2, 1, REPLY);		/* a stranger */
	other.port = 1;
	hear(&other, "d1:y1:re", 8);	/* its neighbour */
	say(1, 2, REPLY);		/* another transaction */
	say(1, 1, QUERY);
	assert_string_equal(seen.text, "");
	say(1, 1, JUNK);
	say(1, 1, REPLY);
	say(1, 1, REPLY);		/* twice */
	assert_string_equal(seen.text, "malformed1 answered1 ");
	dht_asks_state(asks, &s);
	assert_int_equal(s.strangers, 4);
	assert_int_equal(s.wrong, 1);
	assert_int_equal(s.queries, 1);
	assert_int_equal(s.answers, 1);
	dht_asks_step(asks, t);
	dht_asks_state(asks, &s);
	assert_int_equal(s.live, 0);
	assert_int_equal(seen.sent, 1);	/* nobody was answered */
}

static void test_error(void **state)
{
	int64_t t = now();

	(void)state;
	assert_non_null(ask(1, 7, t));
	dht_asks_step(asks, t);
	say(1, 7, ERROR);
	assert_string_equal(seen.text, "answered!7 ");
}

static void test_silence(void **state)
{
	int64_t t = now();

	(void)state;
	assert_non_null(ask(1, 1, t));
	assert_non_null(ask(2, 2, t));
	dht_asks_step(asks, t + 100);
	dht_asks_step(asks, t + DHTASK_WAIT_MS - 100);
	assert_string_equal(seen.text, "");
	dht_asks_step(asks, t + DHTASK_WAIT_MS + 100);
	dht_asks_step(asks, t + DHTASK_WAIT_MS + 200);
	assert_true(strcmp(seen.text, "silent1 silent2 ") == 0 ||
	    strcmp(seen.text, "silent2 silent1 ") == 0);
	seen.text[0] = '\0';
	say(1, 1, REPLY);		/* late */
	assert_string_equal(seen.text, "answered1 ");
	dht_asks_step(asks, t + DHTASK_LATE_MS + 100);
	say(2, 2, REPLY);		/* too late */
	assert_string_equal(seen.text, "answered1 ");
}

static void test_rates(void **state)
{
	int64_t t = now();
	const struct dht_ask *q[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(q[i] = ask(i == 3 ? 2 : 1, i, t));
	assert_int_equal(q[0]->due_ms, t);
	assert_int_equal(q[1]->due_ms, t + DHTASK_GAP_MS);
	assert_int_equal(q[2]->due_ms, t + 2 * DHTASK_GAP_MS);
	assert_true(q[3]->due_ms - t >= DHTASK_ALL_GAP_MS);
	assert_true(q[3]->due_ms - t < DHTASK_GAP_MS);
	dht_asks_step(asks, t);
	assert_int_equal(seen.sent, 1);
	dht_asks_step(asks, t + DHTASK_GAP_MS);
	assert_int_equal(seen.sent, 2);
	/* The first has not answered: until then nothing more goes there. */
	say(1, 0, REPLY);
	dht_asks_step(asks, t + DHTASK_GAP_MS + DHTASK_LOOK_MS);
	assert_int_equal(seen.sent, 3);
	/* Not without end. */
	for (unsigned i = 0; i < 100; i++)
		if (ask(1, i, t) == NULL)
			return;
	fail();
}

/* Named with any ports by anybody, and silent: once a minute, and the rest is
 * given back to whoever asked. */
static void test_victim(void **state)
{
	struct endpoint at = host(9);
	struct krpc_ask q = { .method = KRPC_PING };
	int64_t t = now(), sent = 0;
	unsigned refused = 0;

	(void)state;
	for (int64_t ms = 0; ms < 180000; ms += 50) {
		at.port++;
		if (!dht_asks_put(asks, &at, &q, &owner, 1,
		    (uint32_t)ms, t + ms))
			refused++;
		seen.text[0] = '\0';
		dht_asks_step(asks, t + ms);
		if (ms < 60000)
			sent = seen.sent;
		assert_true(seen.sent <= 1 + ms / 60000);
	}
	assert_int_equal(sent, 1);
	assert_int_equal(seen.sent, 3);
	assert_true(refused < 180000 / 50);
	/* A lab's address may be that of many nodes. */
	dht_asks_forget(asks, &owner);
	at.addr[0] = 10;
	for (int i = 0; i < 2; i++) {
		at.port++;
		assert_non_null(dht_asks_put(asks, &at, &q, &owner, 1,
		    (uint32_t)i, t + 300000));
	}
	for (int i = 0; i <= DHTASK_GAP_MS; i += DHTASK_GAP_MS)
		dht_asks_step(asks, t + 301000 + i);
	assert_int_equal(seen.sent, 5);
}

/* A step that comes late sends one of those that became due meanwhile; the
 * others come behind those that are due later. */
static void test_late(void **state)
{
	struct endpoint at = { .family = 4, .port = 6881, .addr = { 10 } };
	struct krpc_ask q = { .method = KRPC_PING };
	int64_t t = now(), last = 0;
	unsigned before = 0, near = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_non_null(dht_asks_put(asks, &at, &q, &owner, 1, i, t));
	for (int64_t ms = 5000; ms < 20000; ms += 50) {
		dht_asks_step(asks, t + ms);
		if (seen.sent == before)
			continue;
		assert_int_equal(seen.sent, ++before);
		assert_true(ms - last >= DHTASK_LEAST_MS);
		near += ms - last < DHTASK_GAP_MS;
		last = ms;
	}
	assert_int_equal(seen.sent, 20);
	assert_int_equal(near, 1);
}

/* All addresses of a /64 count as one, until somebody there answers. */
static void test_network(void **state)
{
	struct endpoint at = { .family = 6, .port = 6881,
		.addr = { 0x2a, 1, [7] = 1 } };
	struct krpc_ask q = { .method = KRPC_PING };
	int64_t t = now();
	static const char reply[] = "d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:"
	    "\0\0\0\0" "1:y1:re";

	(void)state;
	assert_non_null(dht_asks_put(asks, &at, &q, &owner, 1, 0, t));
	dht_asks_step(asks, t);
	assert_int_equal(seen.sent, 1);
	put_u32(at.addr + 12, 1);
	assert_non_null(dht_asks_put(asks, &at, &q, &owner, 1, 0, t + 1000));
	dht_asks_step(asks, t + 1000);
	assert_int_equal(seen.sent, 1);
	put_u32(at.addr + 12, 0);	/* who was asked */
	hear(&at, reply, sizeof(reply) - 1);
	dht_asks_step(asks, t + 2000);
	assert_int_equal(seen.sent, 2);
	at.addr[7] = 2;		/* another network does not wait */
	seen.sent = 0;
	for (int64_t ms = 3000; ms < 183000; ms += 50) {
		put_u32(at.addr + 12, (uint32_t)ms);
		dht_asks_put(asks, &at, &q, &owner, 1, 0, t + ms);
		seen.text[0] = '\0';
		dht_asks_step(asks, t + ms);
		assert_in_range(seen.sent, 1, 1 + (ms - 3000) / 60000);
	}
	assert_int_equal(seen.sent, 3);
}

static void test_refused(void **state)
{
	int64_t t = now();

	(void)state;
	seen.refuse = true;
	assert_non_null(ask(1, 3, t));
	dht_asks_step(asks, t);
	assert_string_equal(seen.text, "unsent3 ");
	say(1, 3, REPLY);
	assert_string_equal(seen.text, "unsent3 ");
}

static void test_forgotten(void **state)
{
	int64_t t = now();

	(void)state;
	assert_non_null(ask(1, 1, t));
	dht_asks_step(asks, t);
	assert_non_null(ask(2, 2, t + 100));
	dht_asks_forget(asks, &owner);
	dht_asks_step(asks, t + 1000);
	assert_int_equal(seen.sent, 1);	/* the other never is */
	say(1, 1, REPLY);
	assert_string_equal(seen.text, "answered1- ");
}

static void test_floods(void **state)
{
	struct dht_asks_state s;
	struct endpoint from = host(1);
	static uint8_t big[DHTASK_REPLY_MAX + 1];
	int64_t t = now();

	(void)state;
	assert_non_null(ask(1, 1, t));
	dht_asks_step(asks, t);
	memset(big, 'd', sizeof(big));
	hear(&from, big, sizeof(big));
	assert_string_equal(seen.text, "malformed1 ");
	for (unsigned i = 0; i < 1000; i++)
		say(1, 2, REPLY);
	dht_asks_state(asks, &s);
	assert_int_equal(s.wrong, DHTASK_HEARD - 1);
	assert_int_equal(s.surplus, 1000 - (DHTASK_HEARD - 1));
	for (unsigned i = 0; i < 3 * DHTASK_MOST; i++)
		ask(1000 + i, 1, t);
	dht_asks_state(asks, &s);
	assert_true(s.live <= DHTASK_MOST);
	assert_int_equal(seen.sent, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(test_answers), T(test_error), T(test_silence),
		T(test_rates), T(test_victim), T(test_late), T(test_network),
		T(test_refused), T(test_forgotten), T(test_floods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
