#include "schema/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Guarded by stderr's own lock: the writer thread logs too. */
static bool status_shown;

static void wipe(void)
{
	if (status_shown)
		fputs("\r\033[K", stderr);
	status_shown = false;
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

void log_status(const char *fmt, ...)
{
	va_list ap;

	if (!isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	flockfile(stderr);
	wipe();
	vfprintf(stderr, fmt, ap);
	fflush(stderr);
	status_shown = true;
	funlockfile(stderr);
	va_end(ap);
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
