/*
 * Stalls as the loop really has them, and the kernel's clock. Servers are
 * asked in tests/interop/test_trackers.py.
 */
#include "monitor/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "schema/now.h"

#define MOST 64

static struct {
	char kind[16], detail[512];
	struct stamp at;
} seen[MOST];
static size_t count;
static bool done;

static int64_t add(void *ctx, const struct record *r)
{
	assert_ptr_equal(ctx, &count);
	assert_true(count < MOST);
	assert_null(r->swarm);
	assert_true(r->conn == CONN_NONE);
	snprintf(seen[count].kind, sizeof(seen[count].kind), "%s", r->kind);
	snprintf(seen[count].detail, sizeof(seen[count].detail), "%s",
	    r->detail);
	seen[count].at = r->at;
	return (int64_t)count++;
}

static void on_done(void *ctx)
{
	assert_ptr_equal(ctx, &count);
	done = true;
}

static size_t of_kind(const char *kind, const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += strcmp(seen[i].kind, kind) == 0 &&
		    strstr(seen[i].detail, part) != NULL;
	return n;
}

static void on_timer(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run_for(uv_loop_t *loop, uint64_t ms)
{
	uv_timer_t t;

	uv_timer_init(loop, &t);
	uv_timer_start(&t, on_timer, ms, 0);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

static struct clockwatch *begin(uv_loop_t *loop, const char *const *ntp,
    size_t ntps)
{
	struct clockwatch *c;

	count = 0;
	done = false;
	assert_int_equal(uv_loop_init(loop), 0);
	c = clockwatch_new(&(struct clockwatch_conf){ .loop = loop,
	    .ctx = &count, .add = add, .ntp = ntp, .ntps = ntps });
	assert_non_null(c);
	return c;
}

static void end(uv_loop_t *loop, struct clockwatch *c)
{
	clockwatch_stop(c, 500, on_done);
	assert_false(done);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_true(done);
	clockwatch_free(c);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void kernel_at_start_and_end(void **state)
{
	uv_loop_t loop;
	struct clockwatch *c = begin(&loop, NULL, 0);
	bool synchronised = of_kind("clock", "\"synchronised\":true") == 1;

	(void)state;
	assert_int_equal(of_kind("clock", "{\"source\":\"kernel\",\"server\":"
	    "null,\"outcome\":\"ok\",\"offset_ns\":"), 1);
	assert_int_equal(clockwatch_bound(c) >= 0, synchronised);
	run_for(&loop, 250);
	/* No step. (A stall may be true on a busy machine.) */
	assert_int_equal(of_kind("clock", ""), 1);
	end(&loop, c);
	assert_int_equal(of_kind("clock", "kernel"), 2);
	assert_int_equal(of_kind("clock", ""), 2);
}

static void a_stalled_loop(void **state)
{
	uv_loop_t loop;
	struct clockwatch *c = begin(&loop, NULL, 0);
	int64_t before, during, after;

	(void)state;
	run_for(&loop, 150);
	before = stamp_now().mono_ns;
	assert_false(clockwatch_stalled(c, before));
	usleep(600000);
	during = stamp_now().mono_ns - 100 * NS_PER_MS;
	/* Known before its record is there. */
	assert_true(clockwatch_stalled(c, before));
	run_for(&loop, 250);
	after = stamp_now().mono_ns;
	assert_true(of_kind("stall", "{\"cause\":\"loop\","
	    "\"from_utc_ns\":") >= 1);
	assert_true(of_kind("stall", "\"dropped\":0}") >= 1);
	assert_true(clockwatch_stalled(c, before));
	assert_true(clockwatch_stalled(c, during));
	assert_false(clockwatch_stalled(c, after));
	end(&loop, c);
}

static void stalls_that_others_noticed(void **state)
{
	uv_loop_t loop;
	struct clockwatch *c = begin(&loop, NULL, 0);
	struct stamp now;

	(void)state;
	run_for(&loop, 20);
	now = stamp_now();
	clockwatch_stall(c, "udp", now.utc_ns - 2 * NS_PER_S, now.utc_ns -
	    NS_PER_S, 0, 17);
	assert_int_equal(of_kind("stall", "{\"cause\":\"udp\""), 1);
	assert_int_equal(of_kind("stall", "\"lag_ms\":0,\"dropped\":17}"), 1);
	assert_true(clockwatch_stalled(c, now.mono_ns - 3 * NS_PER_S));
	assert_true(clockwatch_stalled(c, now.mono_ns - 1100 * NS_PER_MS));
	assert_false(clockwatch_stalled(c, now.mono_ns - 900 * NS_PER_MS));
	/* A bounded memory, and the newest is in it. */
	for (int i = 0; i < 50; i++)
		clockwatch_stall(c, "queue", now.utc_ns, now.utc_ns +
		    NS_PER_MS, NS_PER_MS, 0);
	assert_true(clockwatch_stalled(c, now.mono_ns));
	end(&loop, c);
}

/* Nobody there, no such name, no sense: on record, and the end is not kept. */
static void servers_that_are_none(void **state)
{
	static const char *const ntp[] = { "[::1]:9", "127.0.0.1:9",
		"256.1.1.1", "", ":", "[" };
	uv_loop_t loop;
	struct clockwatch *c = begin(&loop, ntp, 6);

	(void)state;
	run_for(&loop, 200);
	end(&loop, c);
	for (size_t i = 0; i < 6; i++) {
		char want[64];

		snprintf(want, sizeof(want), "\"server\":\"%s\",\"outcome\"",
		    ntp[i]);
		assert_in_range(of_kind("clock", want), 1, 2);
	}
	assert_int_equal(of_kind("clock", "\"outcome\":\"ok\""),
	    of_kind("clock", "kernel"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_at_start_and_end),
		cmocka_unit_test(a_stalled_loop),
		cmocka_unit_test(stalls_that_others_noticed),
		cmocka_unit_test(servers_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
