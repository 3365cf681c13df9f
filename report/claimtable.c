#include "report/claimtable.h"

#include <stdlib.h>

#include "report/text.h"

/* --- encodings -------------------------------------------------------------------- */

static bool utf8(struct span s)
{
	struct text t = { .left = s };
	uint32_t v;
	bool odd;

	/* text_next gives U+FFFD for what is none; one written out is three
	 * bytes, so only one that took a single byte is a fault. */
	while (t.left.n) {
		size_t before = t.left.n;

		text_next(&t, &v, &odd);
		if (v == 0xfffd && before - t.left.n == 1)
			return false;
	}
	return true;
}

/* Text of two-byte units without a mark: nearly every other byte is NUL. */
static int looks_utf16(struct span s)
{
	size_t nul[2] = { 0, 0 }, n = s.n < 4096 ? s.n & ~(size_t)1 : 4096;

	for (size_t i = 0; i < n; i++)
		nul[i & 1] += s.p[i] == 0;
	if (n >= 8 && nul[1] > n / 4 && nul[0] < n / 64)
		return 'l';
	return n >= 8 && nul[0] > n / 4 && nul[1] < n / 64 ? 'b' : 0;
}

static size_t from_utf16(struct span s, bool little, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < s.n; i += 2) {
		uint32_t v = little ? s.p[i] | (uint32_t)s.p[i + 1] << 8 :
		    s.p[i + 1] | (uint32_t)s.p[i] << 8;

		if (v >= 0xd800 && v < 0xdc00 && i + 3 < s.n) {
			uint32_t w = little ? s.p[i + 2] |
			    (uint32_t)s.p[i + 3] << 8 : s.p[i + 3] |
			    (uint32_t)s.p[i + 2] << 8;

			if (w >= 0xdc00 && w < 0xe000) {
				v = 0x10000 + ((v - 0xd800) << 10) +
				    (w - 0xdc00);
				i += 2;
			}
		}
		if (v >= 0xd800 && v < 0xe000)
			v = 0xfffd;
		n += text_utf8(v, out + n);
	}
	return n;
}

static size_t from_latin1(struct span s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += text_utf8(s.p[i], out + n);
	return n;
}

static bool begins(struct span s, const char *mark, size_t n)
{
	return s.n >= n && memcmp(s.p, mark, n) == 0;
}

static void decode(struct claimtable *t, struct span s)
{
	int wide = looks_utf16(s);

	if (begins(s, "\xef\xbb\xbf", 3)) {
		s = span_of(s.p + 3, s.n - 3);
		t->bom = true;
		t->encoding = "UTF-8";
	} else if (begins(s, "\xff\xfe", 2) || begins(s, "\xfe\xff", 2)) {
		wide = s.p[0] == 0xff ? 'l' : 'b';
		s = span_of(s.p + 2, s.n - 2);
		t->bom = true;
	}
	if (wide && t->encoding == NULL) {
		t->encoding = wide == 'l' ? "UTF-16LE" : "UTF-16BE";
		t->n = from_utf16(s, wide == 'l', t->text);
	} else if (t->encoding || utf8(s)) {
		t->encoding = "UTF-8";
		if (s.n)
			memcpy(t->text, s.p, s.n);
		t->n = s.n;
	} else {
		t->encoding = "Latin-1";
		t->n = from_latin1(s, t->text);
	}
}

/* --- separators -------------------------------------------------------------------- */

/* Length of the line end at i, 0 if there is none. */
static size_t line_end(const struct claimtable *t, size_t i)
{
	if (t->text[i] == '\n')
		return 1;
	if (t->text[i] != '\r')
		return 0;
	return i + 1 < t->n && t->text[i + 1] == '\n' ? 2 : 1;
}

/* Whichever stands most often in the first line, outside quotes. */
static void find_separator(struct claimtable *t)
{
	static const char candidates[] = ",;\t|";
	size_t count[4] = { 0 }, best = 0;
	bool quoted = false;

	for (size_t i = 0; i < t->n && (quoted || !line_end(t, i)); i++) {
		const char *c = t->text[i] ? strchr(candidates, t->text[i]) :
		    NULL;

		if (t->text[i] == '"')
			quoted = !quoted;
		else if (c && !quoted)
			count[c - candidates]++;
	}
	for (size_t i = 1; i < 4; i++)
		if (count[i] > count[best])
			best = i;
	t->separator = candidates[best];
}

/* A spreadsheet's own hint, "sep=;" alone in the first line. */
static void take_hint(struct claimtable *t)
{
	if (t->n >= 5 && memcmp(t->text, "sep=", 4) == 0 && (t->n == 5 ||
	    line_end(t, 5)) && strchr(",;\t|", t->text[4]) && t->text[4]) {
		t->separator = t->text[4];
		t->at = 5 + (t->n > 5 ? line_end(t, 5) : 0);
		t->line++;
	}
}

static void find_ends(struct claimtable *t)
{
	t->ends = "LF";
	for (size_t i = 0; i < t->n; i++) {
		size_t n = line_end(t, i);

		if (n == 0)
			continue;
		if (t->text[i] == '\r')
			t->ends = n == 2 ? "CRLF" : "CR";
		return;
	}
}

bool claimtable_init(struct claimtable *t, struct span file)
{
	*t = (struct claimtable){ .line = 1 };
	if (file.n > CLAIMTABLE_MOST)
		return false;
	t->text = malloc(2 * file.n + 4);	/* Latin-1 and UTF-16 grow */
	if (t->text == NULL)
		return false;
	decode(t, file);
	find_separator(t);
	find_ends(t);
	take_hint(t);
	return true;
}

void claimtable_fini(struct claimtable *t)
{
	free(t->text);
	*t = (struct claimtable){ 0 };
}

/* --- rows --------------------------------------------------------------------------- */

static struct span trimmed(const char *p, size_t n)
{
	while (n && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	/* a no-break space, which spreadsheets leave */
	while (n >= 2 && (uint8_t)p[0] == 0xc2 && (uint8_t)p[1] == 0xa0) {
		p += 2;
		n -= 2;
	}
	while (n) {
		if (p[n - 1] == ' ' || p[n - 1] == '\t')
			n--;
		else if (n >= 2 && (uint8_t)p[n - 2] == 0xc2 &&
		    (uint8_t)p[n - 1] == 0xa0)
			n -= 2;
		else
			break;
	}
	return span_of(p, n);
}

static void add_cell(struct claimrow *r, const char *p, size_t n)
{
	if (r->cells == CLAIMTABLE_CELLS)
		r->fault = "it has more than 100 cells";
	else
		r->cell[r->cells++] = trimmed(p, n);
}

/* Where the quote that opens a cell closes, 0 and why if it does not. */
static size_t closing(const struct claimtable *t, size_t from,
    const char **why)
{
	for (size_t i = from; i < t->n; i++) {
		if (i - from > CLAIMTABLE_CELL) {
			*why = "a quote is not closed within 65536 bytes";
			return 0;
		}
		if (t->text[i] != '"')
			continue;
		if (i + 1 >= t->n || t->text[i + 1] != '"')
			return i;
		i++;
	}
	*why = "a quote is opened and not closed";
	return 0;
}

/* A quoted cell, its doubled quotes made single in place; leaves t->at behind
 * the closing quote. False, why in r->fault, and nothing else touched, if that
 * is missing. */
static bool quoted_cell(struct claimtable *t, struct claimrow *r, size_t *lines)
{
	size_t from = t->at + 1, to = from, end = closing(t, from, &r->fault);

	if (end == 0)
		return false;
	for (size_t i = from; i < end; i++) {
		if (t->text[i] == '\n' || (t->text[i] == '\r' &&
		    line_end(t, i) == 1))
			++*lines;
		if (t->text[i] == '"')
			i++;
		t->text[to++] = t->text[i];
	}
	add_cell(r, t->text + from, to - from);
	t->at = end + 1;
	return true;
}

static void skip_line(struct claimtable *t)
{
	while (t->at < t->n && line_end(t, t->at) == 0)
		t->at++;
	if (t->at < t->n)
		t->at += line_end(t, t->at);
	t->line++;
}

/* A quote that never ends would swallow the rest: its line alone is lost. */
static void lose_line(struct claimtable *t, size_t end)
{
	t->at = end;
	skip_line(t);
}

static bool read_row(struct claimtable *t, struct claimrow *r)
{
	size_t lines = 1, end = t->at;

	*r = (struct claimrow){ .line = t->line };
	while (end < t->n && line_end(t, end) == 0)
		end++;
	for (;;) {
		size_t from = t->at;

		while (from < t->n && t->text[from] == ' ')
			from++;
		if (from < t->n && t->text[from] == '"') {
			t->at = from;
			if (!quoted_cell(t, r, &lines)) {
				lose_line(t, end);
				return true;
			}
			from = t->at;
			while (t->at < t->n && t->text[t->at] != t->separator &&
			    line_end(t, t->at) == 0)
				t->at++;
			if (trimmed(t->text + from, t->at - from).n)
				r->fault = "something stands behind a closing "
				    "quote";
		} else {
			from = t->at;
			while (t->at < t->n && t->text[t->at] != t->separator &&
			    line_end(t, t->at) == 0)
				t->at++;
			if (t->at - from > CLAIMTABLE_CELL)
				r->fault = "a cell is longer than 64 KiB";
			else
				add_cell(r, t->text + from, t->at - from);
		}
		if (t->at >= t->n || line_end(t, t->at))
			break;
		t->at++;	/* the separator */
	}
	if (t->at < t->n)
		t->at += line_end(t, t->at);
	t->line += (int64_t)lines;
	return true;
}

bool claimtable_next(struct claimtable *t, struct claimrow *r)
{
	while (t->at < t->n) {
		bool empty = true;

		read_row(t, r);
		for (size_t i = 0; i < r->cells && empty; i++)
			empty = r->cell[i].n == 0;
		if (!empty || r->fault)
			return true;
	}
	return false;
}
