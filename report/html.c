#include "report/html.h"

#include "report/text.h"

#define CUT 400

static void point_out(FILE *f, uint32_t v)
{
	char utf8[4];

	if (v == '<')
		fputs("&lt;", f);
	else if (v == '>')
		fputs("&gt;", f);
	else if (v == '&')
		fputs("&amp;", f);
	else if (v == '"')
		fputs("&quot;", f);
	else if (v == '\'')
		fputs("&#39;", f);
	else
		fwrite(utf8, 1, text_utf8(v, utf8), f);
}

static void odd_out(FILE *f, uint32_t v)
{
	fprintf(f, "<span class=odd>U+%04X</span>", (unsigned)v);
}

/* How many points that were. */
static size_t run(FILE *f, struct text *t, size_t most)
{
	struct span s = text_run(t, most);

	return fwrite(s.p, 1, s.n, f);
}

void html_clip(FILE *f, const char *s, size_t points)
{
	struct text t;
	uint32_t v;
	bool odd;
	size_t n = 0;

	if (s == NULL) {
		fputs("–", f);
		return;
	}
	t = (struct text){ .left = span_str(s) };
	fputs("<bdi>", f);
	while (n += run(f, &t, points - n), n < points &&
	    text_next(&t, &v, &odd)) {
		if (odd)
			odd_out(f, v);
		else
			point_out(f, v);
		n++;
	}
	fputs("</bdi>", f);
	if (t.left.n)
		fprintf(f, " <span class=odd>… %zu more bytes</span>",
		    t.left.n);
}

void html_text(FILE *f, const char *s)
{
	html_clip(f, s, CUT);
}

void html_plain(FILE *f, const char *s)
{
	struct text t = { .left = span_str(s ? s : "") };
	uint32_t v;
	bool odd;

	while (run(f, &t, SIZE_MAX), text_next(&t, &v, &odd)) {
		if (odd && v != '\n')
			odd_out(f, v);
		else
			point_out(f, v);
	}
}

void html_number(FILE *f, long long n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", n);

	for (int i = 0; i < len; i++) {
		fputc(digits[i], f);
		/* No space in 1234, nor after a minus sign. */
		if (len > 4 && i + 1 < len && (len - 1 - i) % 3 == 0 &&
		    digits[i] != '-')
			fputs("\u202f", f);
	}
}

void html_count(FILE *f, long long n, const char *one, const char *many)
{
	html_number(f, n);
	fputc(' ', f);
	html_plain(f, n == 1 ? one : many);
}
