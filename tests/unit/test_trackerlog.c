#include "schema/trackerlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "schema/now.h"

#define CROWD 150000u		/* 6 bytes each: nearly a MiB */
#define CPU_S 4			/* sanitized, and on a slow machine */

static size_t names;
static uint32_t skipped;

static int64_t on_record(void *ctx, const struct record *r)
{
	(void)ctx;
	if (strcmp(r->kind, "listed") == 0) {
		const char *said = strstr(r->detail, "\"skipped\":");

		assert_non_null(said);
		skipped = (uint32_t)strtoul(said + 10, NULL, 10);
		names = r->names;
	}
	return 7;
}

static struct told tell(struct span body)
{
	static const struct tracker_ask ask;
	struct asked a = { .url = "http://t/announce", .swarm = "00",
	    .transport = "http", .family = 4, .ask = &ask };
	struct exchange x = { .outcome = EXCHANGE_OK, .sent = stamp_now(),
	    .http_status = 200, .body = body };
	struct trackerlog l = { .add = on_record };
	struct told t;

	x.at = x.sent;
	json_init(&l.json, JSON_MOST);
	trackerlog_announce(&l, &a, &x, &t);
	json_fini(&l.json);
	assert_int_equal(names, t.n);
	return t;
}

static void every_peer_once_in_order(void **state)
{
	static const char body[] = "d8:intervali1e5:peers30:"
	    "\12\0\0\2\0\1\12\0\0\1\0\2\12\0\0\2\0\1\12\0\0\1\0\1"
	    "\12\0\0\1\0\2""6:peers636:"
	    "\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\2\0\1"	/* the first again */
	    "\x20\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1""e";
	static const char *const want[] = { "10.0.0.2:1", "10.0.0.1:2",
	    "10.0.0.1:1", "[2001::1]:1" };
	struct told t = tell(span_of(body, sizeof(body) - 1));
	char at[ENDPOINT_TEXT_MAX];

	(void)state;
	assert_int_equal(t.outcome, EXCHANGE_OK);
	assert_int_equal(t.n, 4);
	for (size_t i = 0; i < t.n; i++)
		assert_string_equal(endpoint_text(&t.peers[i].at, at),
		    want[i]);
	free(t.peers);
}

static void nobody_named(void **state)
{
	struct told t = tell(span_str("d8:intervali60e5:peersld2:ip1:x"
	    "4:porti1eeee"));

	(void)state;
	assert_int_equal(t.outcome, EXCHANGE_OK);
	assert_int_equal(t.n, 0);
	assert_int_equal(skipped, 1);
	free(t.peers);
}

/* FNV-1a of an address and port, as a table of half a million places had it
 * here once: who names what falls together in it makes each wait for all. */
static bool collides(const uint8_t *at)
{
	uint64_t h = 1469598103934665603u;

	for (int i = 0; i < 16; i++)
		h = (h ^ (i < 4 ? at[i] : 0)) * 1099511628211u;
	h = (h ^ (uint64_t)(at[4] << 8 | at[5])) * 1099511628211u;
	return ((h ^ h >> 32) & 0x7ffff) < 4096;
}

static void a_crowd_is_told_apart_soon(void **state)
{
	static uint8_t body[64 + 6 * CROWD];
	size_t n = (size_t)snprintf((char *)body, 64,
	    "d8:intervali1e5:peers%u:", 6 * CROWD);
	struct told t;
	clock_t began;

	(void)state;
	for (uint64_t i = 0, found = 0; found < CROWD; i++) {
		put_u32(body + n, 0x0b000000 + (uint32_t)(i >> 16));
		put_u16(body + n + 4, (uint16_t)i);
		if (collides(body + n)) {
			n += 6;
			found++;
		}
	}
	body[n++] = 'e';
	began = clock();
	t = tell(span_of(body, n));
	assert_true(clock() - began < CPU_S * CLOCKS_PER_SEC);
	assert_int_equal(t.n, CROWD);
	free(t.peers);
}

/* Bytes that are longest when escaped. */
static void huge_words_fit(void **state)
{
	static const char *const heads[] = { "d14:failure reason",
	    "d8:intervali1e15:warning message" };
	size_t room = 1u << 20;
	char *body = malloc(room);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < 2; i++) {
		char head[64];
		size_t words = room - sizeof(head), n;

		snprintf(head, sizeof(head), "%s%zu:", heads[i], words);
		n = strlen(head);
		memcpy(body, head, n);
		memset(body + n, 1, words);
		body[n + words] = 'e';
		free(tell(span_of(body, n + words + 1)).peers);
	}
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_peer_once_in_order),
		cmocka_unit_test(nobody_named),
		cmocka_unit_test(a_crowd_is_told_apart_soon),
		cmocka_unit_test(huge_words_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
