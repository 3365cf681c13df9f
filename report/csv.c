#include "report/csv.h"

#include "report/text.h"

/* A spreadsheet whose language separates cells by semicolons begins one behind
 * each, whatever quotes stand around. s is within a string. */
static void run(FILE *f, struct text *t)
{
	struct span s = text_run(t, SIZE_MAX);
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *next = (const char *)s.p + i + 1;

		if (s.p[i] != ';')
			continue;
		next += strspn(next, " ");
		if (*next == '\0' || strchr("=+-@\"", *next) == NULL)
			continue;
		fwrite(s.p + from, 1, i + 1 - from, f);
		fputc('\'', f);
		from = i + 1;
	}
	fwrite(s.p + from, 1, s.n - from, f);
}

void csv_text(FILE *f, const char *s)
{
	struct text t = { .left = span_str(s) };
	uint32_t v;
	bool odd, quote = strpbrk(s, ",\"") != NULL || *s == ' ' ||
	    (*s && s[strlen(s) - 1] == ' ');

	if (quote)
		fputc('"', f);
	if (*s && strchr("=+-@\t\r", *s))
		fputc('\'', f);
	while (run(f, &t), text_next(&t, &v, &odd)) {
		char utf8[4];

		if (odd && v > 0xffff)
			fprintf(f, "\\U%08x", (unsigned)v);
		else if (odd)
			fprintf(f, "\\u%04x", (unsigned)v);
		else if (v == '"')
			fputs("\"\"", f);
		else
			fwrite(utf8, 1, text_utf8(v, utf8), f);
	}
	if (quote)
		fputc('"', f);
}

int csv_write(FILE *f, struct rows *q)
{
	int columns = q->failed ? 0 : sqlite3_column_count(q->st);

	for (int i = 0; i < columns; i++)
		fprintf(f, "%s%s", i ? "," : "",
		    sqlite3_column_name(q->st, i));
	fputs("\r\n", f);
	while (rows_next(q)) {
		for (int i = 0; i < columns; i++) {
			if (i)
				fputc(',', f);
			if (rows_null(q, i))
				continue;
			if (sqlite3_column_type(q->st, i) == SQLITE_INTEGER)
				fprintf(f, "%lld", (long long)rows_int(q, i));
			else
				csv_text(f, rows_text(q, i));
		}
		fputs("\r\n", f);
	}
	return q->failed ? -1 : 0;
}
