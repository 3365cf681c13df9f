#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "capture/intake.h"
#include "schema/json.h"
#include "schema/thread.h"

#define BYTES (27u << 20)	/* more than twice what an intake holds */

static uint8_t *all;
static char want[65];

static int setup(void **state)
{
	uint64_t x = 88172645463325252;
	uint8_t sum[32];

	(void)state;
	all = malloc(BYTES);
	if (!all)
		return -1;
	for (size_t i = 0; i < BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		all[i] = (uint8_t)x;
	}
	SHA256(all, BYTES, sum);
	hex_of(sum, sizeof(sum), want);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(all);
	return 0;
}

static int whole_file(void)
{
	int fd = memfd_create("intake", MFD_CLOEXEC);

	for (size_t at = 0; at < BYTES;) {
		ssize_t n = write(fd, all + at, BYTES - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Whoever reads the pipe gets portions of every size. */
static void *pour(void *arg)
{
	int fd = *(int *)arg;
	size_t at = 0;

	for (size_t i = 0; at < BYTES; i++) {
		size_t part = 1 + i * 7919 % 60000;
		ssize_t n = write(fd, all + at, part < BYTES - at ? part :
		    BYTES - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	close(fd);
	return NULL;
}

/* What is lent, digested and copied is what the file has, in spans of all sizes
 * up to the longest, also where nothing was taken from what is lent. */
static void holds(int fd, struct digester *g, bool copied)
{
	int copy = copied ? memfd_create("copy", MFD_CLOEXEC) : -1;
	struct intake *in = intake_open(fd, true, g, copy);
	char sha256[65];
	uint64_t bytes;
	size_t at = 0;

	assert_non_null(in);
	for (size_t i = 0; at < BYTES; i++) {
		size_t ask = i % 11 == 0 ? INTAKE_LEND_MAX : i % 5 == 0 ?
		    i * 104729 % INTAKE_LEND_MAX : 1 + i * 31 % 4000;
		struct span s = intake_peek(in, ask);
		size_t move = i % 3 == 0 ? s.n / 2 : s.n;

		assert_int_equal(s.n, ask < BYTES - at ? ask : BYTES - at);
		assert_memory_equal(s.p, all + at, s.n);
		assert_int_equal(intake_skip(in, move), move);
		at += move;
		assert_int_equal(intake_offset(in), at);
	}
	assert_int_equal(intake_peek(in, 1).n, 0);
	assert_int_equal(intake_failed(in), 0);
	assert_int_equal(intake_digest(in, sha256, &bytes), 0);
	assert_string_equal(sha256, want);
	assert_int_equal(bytes, BYTES);
	intake_close(in);
	if (!copied)
		return;
	uint8_t *p = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, copy, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(lseek(copy, 0, SEEK_END), BYTES);
	assert_memory_equal(p, all, BYTES);
	munmap(p, BYTES);
	close(copy);
}

static void files(void **state)
{
	struct digester *g = digester_new(1, 0);

	(void)state;
	assert_non_null(g);
	holds(whole_file(), NULL, false);
	holds(whole_file(), NULL, true);
	holds(whole_file(), g, false);
	holds(whole_file(), g, true);
	digester_free(g);
}

/* Reads that fill no block, while the digest is behind: two streams are hashed,
 * the other one first. */
static void pipes(void **state)
{
	struct digester *g = digester_new(1, 0);
	struct hashing other;
	SHA256_CTX c;
	pthread_t thread;
	int fd[2];

	(void)state;
	assert_non_null(g);
	SHA256_Init(&c);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fd), 0);
		assert_int_equal(thread_start(&thread, pour, &fd[1]), 0);
		hashing_sha256(&other, g, &c);
		hashing_lend(&other, all, BYTES);
		holds(fd[0], g, i);
		hashing_wait(&other);
		pthread_join(thread, NULL);
	}
	digester_free(g);
}

/* A copy that cannot be written ends the reading. */
static void full(void **state)
{
	int copy = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct intake *in = intake_open(whole_file(), true, NULL, copy);
	char sha256[65];
	uint64_t bytes;

	(void)state;
	assert_non_null(in);
	assert_true(intake_skip(in, UINT64_MAX) < BYTES);
	assert_int_equal(intake_failed(in), ENOSPC);
	assert_int_equal(intake_digest(in, sha256, &bytes), ENOSPC);
	intake_close(in);
	close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(pipes),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
