#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/datagram.h"
#include "schema/now.h"
#include "tests/loop_kit.h"

static struct seen {
	unsigned dht, queue, udp;
	int64_t dropped, lag_ns, from_ns, to_ns;
	struct sock_datagram last;
	uint8_t first_byte;
	bool full;
} seen;
static uv_loop_t loop;
static struct datagrams *net;
static struct endpoint us, peer;
static int fd;

static void on_dht(void *ctx, const struct sock_datagram *d)
{
	(void)ctx;
	seen.dht++;
	seen.last = *d;
	seen.first_byte = d->bytes.p[0];
}

static bool on_full(void *ctx)
{
	(void)ctx;
	return seen.full;
}

static void on_stalled(void *ctx, const char *cause, int64_t from_utc_ns,
    int64_t to_utc_ns, int64_t lag_ns, int64_t dropped)
{
	(void)ctx;
	if (strcmp(cause, "queue") == 0)
		seen.queue++;
	else
		seen.udp++;
	seen.from_ns = from_utc_ns;
	seen.to_ns = to_utc_ns;
	seen.lag_ns = lag_ns;
	seen.dropped += dropped;
}

static struct endpoint bound(int s)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct endpoint e;

	assert_int_equal(getsockname(s, (struct sockaddr *)&ss, &n), 0);
	assert_true(sock_endpoint((struct sockaddr *)&ss, &e));
	return e;
}

static int begin(void **state)
{
	struct datagrams_conf conf = { .loop = &loop, .full = on_full,
		.stalled = on_stalled, .port = 0 };

	(void)state;
	seen = (struct seen){ .full = false };
	endpoint_parse_ip(span_str("127.0.0.1"), &conf.bind4);
	fd = sock_open(4, SOCK_DGRAM, &conf.bind4, 20000, 40000);
	assert_true(fd >= 0);
	peer = bound(fd);
	us = peer;
	uv_loop_init(&loop);
	for (int i = 1; net == NULL && i < 50; i++) {
		us.port = (uint16_t)(peer.port + i);
		conf.port = us.port;
		net = datagrams_open(&conf);
	}
	assert_non_null(net);
	assert_true(datagrams_has(net, 4));
	assert_false(datagrams_has(net, 6));
	datagrams_take(net, DATAGRAM_DHT, on_dht, NULL);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	datagrams_close(net);
	net = NULL;
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(fd);
	return 0;
}

static void send_n(const char *bytes, size_t n)
{
	assert_true(sock_send(fd, &us, span_of(bytes, n)));
}

static void test_kinds(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum datagram_kind kind;
	} cases[] = {
		{ "d1:y1:qe", 8, DATAGRAM_DHT },
		{ "d", 1, DATAGRAM_OTHER }, { "", 0, DATAGRAM_OTHER },
		{ "\x41\0aaaaaaaaaaaaaaaaaaa", 20, DATAGRAM_UTP },
		{ "\x41\0aaaaaaaaaaaaaaaaaaa", 19, DATAGRAM_OTHER },
		{ "\x01\0aaaaaaaaaaaaaaaaaaa", 20, DATAGRAM_UTP },
		{ "\x51\0aaaaaaaaaaaaaaaaaaa", 20, DATAGRAM_OTHER },
		{ "\x42\0aaaaaaaaaaaaaaaaaaa", 20, DATAGRAM_OTHER },
		{ "i1e", 3, DATAGRAM_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(datagram_kind(span_of(cases[i].bytes,
		    cases[i].n)), cases[i].kind);
}

static void test_both_ways(void **state)
{
	struct datagrams_state s;
	struct sock_datagram d;
	struct endpoint six = { .family = 6, .port = 9 };
	struct stamp before = stamp_now();
	uint8_t in[64];

	(void)state;
	send_n("de", 2);
	send_n("xx", 2);
	send_n("", 0);
	loop_run_ms(&loop, 50);
	assert_int_equal(seen.dht, 1);
	assert_int_equal(seen.first_byte, 'd');
	assert_int_equal(endpoint_cmp(&seen.last.from, &peer), 0);
	assert_true(seen.last.utc_ns >= before.utc_ns);
	assert_true(seen.last.mono_ns >= before.mono_ns - NS_PER_MS);
	assert_true(datagrams_send(net, &peer, span_of("abc", 3)));
	assert_true(sock_recv(fd, in, sizeof(in), &d));
	assert_int_equal(d.bytes.n, 3);
	assert_int_equal(endpoint_cmp(&d.from, &us), 0);
	assert_false(datagrams_send(net, &six, span_of("abc", 3)));
	datagrams_state(net, &s);
	assert_int_equal(s.received, 3);
	assert_int_equal(s.untaken, 2);
	assert_int_equal(s.sent, 1);
	assert_int_equal(s.unsent, 1);
	assert_int_equal(seen.udp + seen.queue, 0);
	/* More than a batch, and nobody who takes them. */
	datagrams_take(net, DATAGRAM_DHT, NULL, NULL);
	for (int i = 0; i < 100; i++)
		send_n("de", 2);
	loop_run_ms(&loop, 50);
	datagrams_state(net, &s);
	assert_int_equal(s.received, 103);
	assert_int_equal(s.untaken, 102);
}

static void test_full(void **state)
{
	(void)state;
	seen.full = true;
	send_n("de", 2);
	loop_run_ms(&loop, 120);
	assert_int_equal(seen.dht, 0);
	seen.full = false;
	loop_run_ms(&loop, 120);
	assert_int_equal(seen.dht, 1);
	assert_int_equal(seen.queue, 1);
	assert_true(seen.lag_ns >= 50 * NS_PER_MS);
	assert_true(seen.to_ns > seen.from_ns);
}

/* However long it takes: until a while brings no more. */
static void read_all(void)
{
	unsigned before;

	do {
		before = seen.dht;
		loop_run_ms(&loop, 100);
	} while (seen.dht != before);
}

static void test_drops(void **state)
{
	static char big[1400] = "d";
	struct datagrams_state s;

	(void)state;
	for (int i = 0; i < 20000; i++)
		(void)sock_send(fd, &us, span_of(big, sizeof(big)));
	read_all();
	send_n("de", 2);	/* it bears the count */
	read_all();
	datagrams_state(net, &s);
	assert_true(s.dropped > 0);
	assert_int_equal(s.dropped + seen.dht, 20001);
	assert_true(seen.udp >= 1);
	loop_run_ms(&loop, 1100);
	assert_int_equal(seen.dropped, s.dropped);
	assert_true(seen.to_ns >= seen.from_ns);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		T(test_both_ways), T(test_full), T(test_drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
