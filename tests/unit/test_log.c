/* Lines for operators, into which strangers' text was put. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "schema/log.h"

static const struct {
	const char *text, *want;
} cases[] = {
	{ "plain, 100 %", "plain, 100 %" },
	{ "", "" },
	{ "a\nb\r\tc", "a\\x0ab\\x0d\\x09c" },
	{ "\033[2J\033]0;x\a", "\\x1b[2J\\x1b]0;x\\x07" },
	{ "\x7f\x80\xff", "\\x7f\\x80\\xff" },
	/* UTF-8 stays, but for what turns text, breaks it or has no width. */
	{ "F\xc3\xa4lle \xe6\xbc\xa2 \xf0\x9f\x98\x80",
	    "F\xc3\xa4lle \xe6\xbc\xa2 \xf0\x9f\x98\x80" },
	{ "\xe2\x80\xae" "gnp.exe", "\\xe2\\x80\\xaegnp.exe" },
	{ "\xc2\x85\xe2\x80\xa8\xe2\x80\x8b\xef\xbb\xbf", "\\xc2\\x85"
	    "\\xe2\\x80\\xa8\\xe2\\x80\\x8b\\xef\\xbb\\xbf" },
	/* Too long, a surrogate, above U+10FFFF, cut short. */
	{ "\xc0\x8a", "\\xc0\\x8a" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "x\xe2\x82", "x\\xe2\\x82" },
};

static char *said(const char *text)
{
	FILE *was = stderr;
	char *out = NULL;
	size_t n;

	stderr = open_memstream(&out, &n);
	log_warn("%s", text);
	fclose(stderr);
	stderr = was;
	return out;
}

static void one_line(void **state)
{
	char want[200], *got;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(want, sizeof(want), "swarmwitness: %s\n",
		    cases[i].want);
		got = said(cases[i].text);
		assert_string_equal(got, want);
		free(got);
	}
}

/* A pipe of packets gives what one write wrote. */
static void one_write(void **state)
{
	int was = dup(STDERR_FILENO), end[2];
	char got[200];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(end, O_DIRECT | O_NONBLOCK), 0);
	assert_true(was >= 0 && dup2(end[1], STDERR_FILENO) >= 0);
	log_warn("%s", "a line\nwith a control in it");
	assert_true(dup2(was, STDERR_FILENO) >= 0);
	n = read(end[0], got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got,
	    "swarmwitness: a line\\x0awith a control in it\n");
	close(end[0]);
	close(end[1]);
	close(was);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(one_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
