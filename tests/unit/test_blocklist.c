#include "monitor/blocklist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static int read_text(struct blocklist *b, const char *text, size_t n)
{
	char name[] = "/tmp/blocklist-XXXXXX";
	int fd = mkstemp(name), rc;

	assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	close(fd);
	rc = blocklist_read(b, name);
	unlink(name);
	return rc;
}

static bool has(const struct blocklist *b, const char *ip)
{
	struct endpoint e;

	assert_true(endpoint_parse_ip(span_str(ip), &e));
	return blocklist_has(b, &e);
}

static const struct {
	const char *line;
	int rc;				/* 0: it is taken */
	const char *in, *out;		/* addresses it blocks, and not */
} lines[] = {
	{ "192.0.2.7\n", 0, "192.0.2.7", "192.0.2.8" },
	{ "  192.0.2.7 \r\n", 0, "192.0.2.7", "192.0.2.6" },
	{ "192.0.2.0/24", 0, "192.0.2.255", "192.0.3.0" },
	{ "192.0.2.77/24", 0, "192.0.2.0", "192.0.1.255" },
	{ "192.0.2.7/32", 0, "192.0.2.7", "192.0.2.8" },
	{ "0.0.0.0/0", 0, "255.255.255.255", "2001:db8::1" },
	{ "192.0.2.7-192.0.2.9", 0, "192.0.2.9", "192.0.2.10" },
	{ "192.0.2.7 - 192.0.2.9", 0, "192.0.2.8", "192.0.2.6" },
	{ "Some: firm:192.0.2.7-192.0.2.9", 0, "192.0.2.7", "192.0.2.10" },
	{ "192.000.002.007 - 192.000.002.009 , 000 , A firm", 0, "192.0.2.8",
	    "192.0.2.10" },
	{ "192.000.002.007 - 192.000.002.009 , 127 , A firm", 0, "192.0.2.8",
	    "192.0.2.10" },
	{ "192.000.002.007 - 192.000.002.009 , 128 , A firm", 0, NULL,
	    "192.0.2.8" },
	{ "2001:db8::/32", 0, "2001:db8:ffff::1", "2001:db9::" },
	{ "2001:db8::5", 0, "2001:db8::5", "2001:db8::6" },
	{ "2001:db8::5-2001:db8::7", 0, "2001:db8::7", "2001:db8::8" },
	{ "::/0", 0, "2001:db8::7", NULL },
	{ "# a remark\n; another\n\n", 0, NULL, "192.0.2.7" },
	{ "", 0, NULL, "192.0.2.7" },
	{ "192.0.2.9-192.0.2.7", -1, NULL, "192.0.2.8" },
	{ "192.0.2.7-2001:db8::1", -1, NULL, "192.0.2.8" },
	{ "192.0.2.0/33", -1, NULL, "192.0.2.0" },
	{ "2001:db8::/129", -1, NULL, "2001:db8::" },
	{ "192.0.2.0/", -1, NULL, "192.0.2.0" },
	{ "192.0.2.256", -1, NULL, "192.0.2.2" },
	{ "host.example", -1, NULL, "192.0.2.2" },
	{ "firm:192.0.2.7", -1, NULL, "192.0.2.7" },
	{ "192.0.2.7-", -1, NULL, "192.0.2.7" },
	{ "-192.0.2.7", -1, NULL, "192.0.2.7" },
	{ "192.0.2.7 - 192.0.2.9 , x , A firm", -1, NULL, "192.0.2.8" },
	{ "192.0.2.7\n<html>\n192.0.2.9\n", -1, "192.0.2.9", "192.0.2.8" }
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct blocklist b = { 0 };

		if (read_text(&b, lines[i].line, strlen(lines[i].line)) !=
		    lines[i].rc)
			fail_msg("\"%s\": not %d", lines[i].line, lines[i].rc);
		blocklist_ready(&b);
		if (lines[i].in && !has(&b, lines[i].in))
			fail_msg("\"%s\" lets %s through", lines[i].line,
			    lines[i].in);
		if (lines[i].out && has(&b, lines[i].out))
			fail_msg("\"%s\" blocks %s", lines[i].line,
			    lines[i].out);
		blocklist_fini(&b);
	}
}

static void test_bytes(void **state)
{
	static const char nul[] = "192.0.2.7\0x\n192.0.2.9\n";
	struct blocklist b = { 0 };

	(void)state;
	assert_int_equal(read_text(&b, nul, sizeof(nul) - 1), -1);
	blocklist_ready(&b);
	assert_false(has(&b, "192.0.2.7"));
	assert_true(has(&b, "192.0.2.9"));
	blocklist_fini(&b);
	assert_int_equal(blocklist_read(&b, "/no/such/file"), -1);
	assert_int_equal(blocklist_read(&b, "/"), -1);
	assert_false(has(&b, "192.0.2.9"));
}

/* Ranges that overlap, touch, repeat and contain each other, held against
 * asking each of them. */
static void test_many(void **state)
{
	enum { N = 400 };
	unsigned from[N], to[N], seed = 7;
	struct blocklist b = { 0 };
	char text[N * 40];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		seed = seed * 1103515245 + 12345;
		from[i] = seed >> 8 & 0xffff;
		to[i] = from[i] + (seed >> 24 & 0x7f);
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "10.%u.%u.%u-10.%u.%u.%u\n", from[i] >> 16,
		    from[i] >> 8 & 255, from[i] & 255, to[i] >> 16,
		    to[i] >> 8 & 255, to[i] & 255);
	}
	assert_int_equal(read_text(&b, text, n), 0);
	assert_int_equal(b.ranges, N);
	blocklist_ready(&b);
	assert_true(b.ranges < N);
	for (unsigned a = 0; a < 0x10100; a++) {
		struct endpoint e = { .family = 4, .addr = { 10,
			(uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a } };
		bool want = false;

		for (int i = 0; i < N; i++)
			want |= a >= from[i] && a <= to[i];
		if (blocklist_has(&b, &e) != want)
			fail_msg("%#x: %d expected", a, want);
	}
	blocklist_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_many)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
