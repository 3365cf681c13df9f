#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/sock.h"
#include "monitor/tcpstream.h"
#include "tests/loop_kit.h"

static struct seen {
	unsigned opened, failed, ended, room;
	const char *why;
	char bytes[64];
	size_t n;
	size_t most;		/* may be read at once; 0: reading is stopped */
} seen;
static uv_loop_t loop;
static struct tcpset *set;
static struct stream *s;
static struct endpoint there;
static int listener, peer;

static void on_opened(void *ctx, struct stamp at)
{
	(void)ctx;
	(void)at;
	seen.opened++;
}

static void over(const char *why)
{
	seen.why = why;
	stream_close(s);
	s = NULL;
}

static void on_failed(void *ctx, const char *why, const char *error,
    struct stamp at)
{
	(void)ctx;
	(void)error;
	(void)at;
	seen.failed++;
	over(why);
}

static void on_bytes(void *ctx, struct span bytes, struct stamp at)
{
	(void)ctx;
	(void)at;
	assert_true(bytes.n <= sizeof(seen.bytes) - seen.n);
	memcpy(seen.bytes + seen.n, bytes.p, bytes.n);
	seen.n += bytes.n;
}

static size_t on_may(void *ctx, struct stamp at)
{
	(void)ctx;
	(void)at;
	if (seen.most == 0)
		stream_read(s, false);
	return seen.most;
}

static void on_room(void *ctx, struct stamp at)
{
	(void)ctx;
	(void)at;
	seen.room++;
}

static void on_ended(void *ctx, const char *by, const char *why,
    struct stamp at)
{
	(void)ctx;
	(void)why;
	(void)at;
	seen.ended++;
	over(by);
}

static const struct stream_hooks hooks = { .opened = on_opened,
	.failed = on_failed, .bytes = on_bytes, .may = on_may,
	.room = on_room, .ended = on_ended };

/* A socket that listens, and a stream that has dialled it; the loop has not
 * turned yet. */
static int begin(void **state)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	(void)state;
	seen = (struct seen){ .most = SIZE_MAX };
	endpoint_parse_ip(span_str("127.0.0.1"), &there);
	listener = sock_open(4, SOCK_STREAM, &there, 0, 0);
	assert_true(listener >= 0);
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&ss, &n), 0);
	assert_true(sock_endpoint((struct sockaddr *)&ss, &there));
	uv_loop_init(&loop);
	set = tcpset_open(&loop);
	assert_non_null(set);
	s = tcpstream_dial(set, &there, NULL, 0, 0);
	assert_non_null(s);
	stream_start(s, &hooks, NULL);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	if (s)
		stream_close(s);
	tcpset_close(set);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(peer);
	close(listener);
	return 0;
}

static void say(const char *text, int flags)
{
	assert_int_equal(send(peer, text, strlen(text), flags), strlen(text));
}

static void heard(const char *text)
{
	for (int i = 0; i < 200 && seen.n < strlen(text); i++)
		loop_run_ms(&loop, 10);
	assert_int_equal(seen.n, strlen(text));
	assert_memory_equal(seen.bytes, text, seen.n);
}

static void test_in_turn(void **state)
{
	(void)state;
	loop_run_ms(&loop, 20);
	assert_int_equal(seen.opened, 1);
	say("one ", 0);
	heard("one ");
	say("two", 0);
	heard("one two");
	close(peer);
	peer = -1;
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.ended, 1);
	assert_string_equal(seen.why, "peer");
	assert_int_equal(seen.room, 0);
}

static void test_spoken_to_at_once(void **state)
{
	(void)state;
	say("at once", 0);
	heard("at once");
	assert_int_equal(seen.opened, 1);
}

/* A read stops before the urgent byte. */
static void test_urgent(void **state)
{
	(void)state;
	loop_run_ms(&loop, 20);
	say("urgent", MSG_OOB);
	say(" and not", 0);
	heard("urgent and not");
}

static void test_last_words(void **state)
{
	(void)state;
	loop_run_ms(&loop, 20);
	say("goodbye", 0);
	close(peer);
	peer = -1;
	heard("goodbye");
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.ended, 1);
	assert_string_equal(seen.why, "peer");
}

static void test_sips(void **state)
{
	(void)state;
	seen.most = 3;
	loop_run_ms(&loop, 20);
	say("sip by sip by sip", 0);
	heard("sip by sip by sip");
}

static void test_stopped(void **state)
{
	(void)state;
	seen.most = 0;
	loop_run_ms(&loop, 20);
	say("later", 0);
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.n, 0);
	seen.most = SIZE_MAX;
	stream_read(s, true);
	heard("later");
	stream_read(s, false);
	say(" still", 0);
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.n, 5);
	stream_read(s, true);
	heard("later still");
}

/* More than the peer takes: room is told once it takes again, and until then
 * nothing is heard. */
static void test_full(void **state)
{
	static uint8_t much[1 << 20], in[1 << 16];
	size_t put = 0, got = 0;
	ssize_t n;

	(void)state;
	loop_run_ms(&loop, 20);
	do {
		n = stream_write(s, much, sizeof(much));
		assert_true(n >= 0);
		put += (size_t)n;
	} while ((size_t)n == sizeof(much));
	say("wait", 0);
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.room, 0);
	assert_int_equal(seen.n, 0);
	for (int i = 0; i < 1000 && got < put; i++) {
		n = recv(peer, in, sizeof(in), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
		if (n < 0)
			loop_run_ms(&loop, 5);
	}
	assert_int_equal(got, put);
	heard("wait");
	assert_int_equal(seen.room, 1);
}

static void test_refused(void **state)
{
	struct stream *first = s;

	(void)state;
	close(listener);
	s = tcpstream_dial(set, &there, NULL, 0, 0);
	assert_non_null(s);
	stream_start(s, &hooks, NULL);
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.failed, 1);
	assert_string_equal(seen.why, "refused");
	s = first;
	listener = -1;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(test_in_turn), T(test_spoken_to_at_once), T(test_urgent),
		T(test_last_words), T(test_sips), T(test_stopped),
		T(test_full), T(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
