#include "schema/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "schema/utf8.h"

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

/* What moves a terminal's cursor, or what stands on it: controls, and the
 * characters that break lines, turn the direction of text or have no width. */
static bool moves(uint32_t v)
{
	return v < ' ' || (v >= 0x7f && v < 0xa0) || v == 0xad ||
	    (v >= 0x200b && v <= 0x200f) || (v >= 0x2028 && v <= 0x202e) ||
	    (v >= 0x2060 && v <= 0x206f) || v == 0x61c || v == 0xfeff ||
	    (v >= 0xfff9 && v <= 0xfffb) || v >= 0xe0000;
}

static void put_text(FILE *f, struct span s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t v;

		n = utf8_next(span_of(s.p + i, s.n - i), &v);
		if (n && !moves(v)) {
			fwrite(s.p + i, 1, n, f);
			continue;
		}
		n = n ? n : 1;
		for (size_t k = 0; k < n; k++)
			fprintf(f, "\\x%02x", s.p[i + k]);
	}
}

/* With its newline; NULL: out of memory. */
__attribute__((format(printf, 1, 0)))
static char *line_of(const char *fmt, va_list ap, size_t *n)
{
	char *text = NULL, *out = NULL;
	int length = vasprintf(&text, fmt, ap);
	FILE *f = length < 0 ? NULL : open_memstream(&out, n);

	if (f) {
		fputs("swarmwitness: ", f);
		put_text(f, span_of(text, (size_t)length));
		fputc('\n', f);
		if (fclose(f) != 0) {
			free(out);
			out = NULL;
		}
	}
	if (length >= 0)
		free(text);
	return out;
}

/* In one write, or lines of several processes would mingle. */
__attribute__((format(printf, 1, 0)))
static void line(const char *fmt, va_list ap)
{
	size_t n;
	char *text = line_of(fmt, ap, &n);

	flockfile(stderr);
	wipe();
	if (text)
		fwrite(text, 1, n, stderr);
	else
		fputs("swarmwitness: out of memory\n", stderr);
	free(text);
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
