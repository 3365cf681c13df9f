#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/sock.h"

#define FROM 21000u
#define WIDTH 600u

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct endpoint e;

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	assert_true(sock_endpoint((struct sockaddr *)&ss, &e));
	return e.port;
}

/* At an address that no other test uses meanwhile. */
static int open_stream(uint16_t to)
{
	struct endpoint at;
	pid_t us = getpid();

	endpoint_parse_ip(span_str("127.0.0.9"), &at);
	at.addr[1] = (uint8_t)(us >> 8);
	at.addr[2] = (uint8_t)us;
	return sock_open(4, SOCK_STREAM, &at, FROM, to);
}

/* A range that is no power of two, twice over: streams may share a port, but
 * none comes again before all others did. */
static void test_each_port_once(void **state)
{
	static unsigned seen[WIDTH];
	uint16_t port;
	int fd;

	(void)state;
	for (unsigned round = 1; round <= 2; round++) {
		for (unsigned i = 0; i < WIDTH; i++) {
			fd = open_stream(FROM + WIDTH - 1);
			port = port_of(fd);
			close(fd);
			assert_in_range(port, FROM, FROM + WIDTH - 1);
			seen[port - FROM]++;
		}
		for (unsigned i = 0; i < WIDTH; i++)
			assert_int_equal(seen[i], round);
	}
}

/* One tracker may be asked about as many torrents at once as there are ports. */
static void test_one_for_all(void **state)
{
	int listener = open_stream(FROM + WIDTH - 1), fd[100];
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	(void)state;
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&ss, &n), 0);
	for (int i = 0; i < 100; i++) {
		fd[i] = open_stream(FROM + 127);
		assert_true(fd[i] >= 0);
		if (connect(fd[i], (struct sockaddr *)&ss, n) < 0)
			assert_int_equal(errno, EINPROGRESS);
	}
	for (int i = 0; i < 100; i++)
		close(fd[i]);
	close(listener);
}

/* Those of a listener are left out, down to the last. */
static void test_taken(void **state)
{
	int listener[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		listener[i] = open_stream(FROM + 3);
		assert_true(listener[i] >= 0);
		assert_int_equal(listen(listener[i], 1), 0);
	}
	assert_int_equal(open_stream(FROM + 3), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(listener[2]);
	listener[2] = open_stream(FROM + 3);
	assert_true(listener[2] >= 0);
	for (int i = 0; i < 4; i++)
		close(listener[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_port_once),
		cmocka_unit_test(test_one_for_all),
		cmocka_unit_test(test_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
