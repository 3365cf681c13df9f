#include "schema/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Guarded by stderr's own lock: the writer thread logs too. */
static int status_rows;

static void wipe(void)
{
	if (status_rows > 1)
		fprintf(stderr, "\033[%dA", status_rows - 1);
	if (status_rows > 0)
		fputs("\r\033[J", stderr);
	status_rows = 0;
}

/* A row that the terminal breaks in two could not be wiped. */
static void put_rows(const char *text)
{
	struct winsize w = { 0 };
	int most;

	ioctl(STDERR_FILENO, TIOCGWINSZ, &w);
	most = w.ws_col > 1 ? w.ws_col - 1 : 79;
	for (status_rows = 1; *text; status_rows++) {
		int n = (int)strcspn(text, "\n");

		fprintf(stderr, "%.*s", n < most ? n : most, text);
		text += n;
		if (*text == '\0')
			break;
		fputc('\n', stderr);
		text++;
	}
}

__attribute__((format(printf, 1, 0)))
static void line(const char *fmt, va_list ap)
{
	flockfile(stderr);
	wipe();
	fputs("swarmwitness: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	fflush(stderr);
	funlockfile(stderr);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
	/* Other threads still run: no exit handlers under their feet. */
	_exit(1);
}

void log_status(const char *rows)
{
	if (!isatty(STDERR_FILENO))
		return;
	flockfile(stderr);
	wipe();
	put_rows(rows);
	fflush(stderr);
	funlockfile(stderr);
}

const char *log_safe(struct span text, char *buf, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		bool odd = c < ' ' || c > '~';

		if (at + (odd ? 4 : 1) >= n)
			break;
		if (odd)
			at += (size_t)snprintf(buf + at, n - at, "\\x%02x", c);
		else
			buf[at++] = (char)c;
	}
	if (n)
		buf[at] = '\0';
	return buf;
}
