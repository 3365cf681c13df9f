#include "report/markup.h"

#include <stdarg.h>
#include <string.h>

#include "report/html.h"
#include "report/ladder.h"
#include "report/when.h"
#include "style_css.h"
#include "version.h"

void markup_term(FILE *f, const char *name)
{
	fprintf(f, "<dt>%s</dt><dd>", name);
}

void markup_given(FILE *f, const char *name, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	markup_term(f, name);
	html_text(f, text);
	fputs("</dd>\n", f);
}

void markup_code(FILE *f, const char *text)
{
	fputs("<code>", f);
	html_text(f, text);
	fputs("</code>", f);
}

void markup_moment(FILE *f, int64_t utc_ns, int64_t bound_ns)
{
	char t[WHEN_MAX];

	fprintf(f, "<time>%s</time>", when_text(utc_ns, bound_ns, t));
}

void markup_bound(FILE *f, int64_t bound_ns)
{
	char t[WHEN_MAX];

	fprintf(f, "<span class=bound>%s</span>", when_bound(bound_ns, t));
}

void markup_cell(FILE *f, int64_t n)
{
	fputs("<td class=n>", f);
	html_number(f, n);
	fputs("</td>", f);
}

void markup_table(FILE *f, const char *class, const char *label, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, label);
	vsnprintf(text, sizeof(text), label, ap);
	va_end(ap);
	fputs("<div class=wide tabindex=0 role=region aria-label=\"", f);
	html_plain(f, text);
	fputs("\">\n<table", f);
	if (class)
		fprintf(f, " class=%s", class);
	fputs(">\n", f);
}

void markup_table_end(FILE *f)
{
	fputs("</tbody></table>\n</div>\n", f);
}

void markup_percent(FILE *f, int64_t part, int64_t whole)
{
	int64_t tenths;

	if (whole <= 0)
		return;
	tenths = part < INT64_MAX / 1000 ? part * 1000 / whole :
	    part / (whole / 1000);
	fprintf(f, "%lld.%lld %%", (long long)tenths / 10,
	    (long long)tenths % 10);
}

void markup_records(FILE *f, const char *list, int most)
{
	int n = 0, more = 0;

	for (const char *p = list; p && *p; n++) {
		size_t len = strcspn(p, ",");

		if (n < most)
			fprintf(f, "%s<span class=rec>#%.*s</span>",
			    n ? ", " : "", (int)len, p);
		else
			more++;
		p += len + (p[len] == ',');
	}
	if (more) {
		fputs(" and ", f);
		html_number(f, more);
		fputs(" more", f);
	}
}

void markup_level(FILE *f, int level)
{
	fprintf(f, "<span class=\"level l%d\">%d</span> %s", level, level,
	    ladder_at(level)->name);
}

/* --- the frame --------------------------------------------------------------- */

/* A text for CSS: page margins repeat it. */
static void css_text(FILE *f, const char *s)
{
	for (; *s; s++)
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr(" .,-_:", *s))
			fputc(*s, f);
		else
			fputc('_', f);
}

static bool imported(const struct subject *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->cases[i].imported)
			return true;
	return false;
}

/* In the margins of printed pages: what page of what, out of which case. */
static void write_margins(FILE *f, const struct subject *s,
    const char *exhibit, const char *title)
{
	fputs("@media print { @page { @top-left { content: \"swarmwitness: ",
	    f);
	css_text(f, title);
	fputs("\"; } @top-right { content: \"Exhibit ", f);
	css_text(f, exhibit);
	fputs("\"; } @bottom-left { content: \"", f);
	for (size_t i = 0; i < s->n && i < 4; i++) {
		fputs(i ? ", " : "case ", f);
		css_text(f, s->cases[i].name);
		fprintf(f, " %.8s", s->cases[i].case_id ?
		    s->cases[i].case_id : "");
	}
	if (imported(s))
		fputs("; imported: custody from the import on, clock as given",
		    f);
	fputs("\"; } } }\n", f);
}

static void write_custody(FILE *f, const struct subject *s)
{
	if (s->pseudonyms)
		fprintf(f, "<p class=custody><strong>Pseudonyms.</strong> No address "
		    "in this report is the one that was observed. Each stands "
		    "for one, always the same, and those that begin alike stand "
		    "for addresses that begin alike. Peer ids and node ids are "
		    "replaced too. Nothing here can be held against the case "
		    "without the key; digests and checkpoints are those of the "
		    "case itself.%s</p>\n", s->geo && s->geo->n ? " Countries "
		    "and networks are those of the real addresses: they narrow "
		    "them down, and where a network has few blocks of addresses "
		    "they can tell how these begin, and how all begin that "
		    "begin alike here." : "");
	for (size_t i = 0; i < s->n; i++) {
		const struct facts *c = &s->cases[i];

		if (!c->imported)
			continue;
		fputs("<p class=custody><strong>Imported packets.</strong> "
		    "Case ", f);
		html_text(f, c->name);
		fputs(" holds packets that somebody else recorded. Custody is "
		    "proved from the import on only. The clock is as given in "
		    "the files, and its bound is unknown. Of their "
		    "conversations neither end is the observer: where the "
		    "words of a level speak of the observer who asked, it was "
		    "the other end.</p>\n", f);
	}
}

void markup_head(FILE *f, const struct subject *s, const char *exhibit,
    const char *title, const char *about)
{
	fputs("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
	    "<meta name=viewport content=\"width=device-width, "
	    "initial-scale=1\">\n"
	    "<meta name=color-scheme content=\"light dark\">\n"
	    "<meta http-equiv=Content-Security-Policy content=\"default-src "
	    "'none'; style-src 'unsafe-inline'\">\n<title>", f);
	html_plain(f, title);
	fputs(" – swarmwitness report: ", f);
	for (size_t i = 0; i < s->n; i++) {
		fputs(i ? ", " : "", f);
		html_plain(f, s->cases[i].name);
	}
	fprintf(f, "</title>\n<style>\n%s", (const char *)style_css);
	write_margins(f, s, exhibit, title);
	fputs("</style>\n</head>\n<body>\n<header>\n<p class=kicker>"
	    "swarmwitness report · Exhibit ", f);
	html_plain(f, exhibit);
	fputs("</p>\n<h1>", f);
	html_plain(f, title);
	fputs("</h1>\n<p class=lead>", f);
	for (size_t i = 0; i < s->n; i++) {
		fputs(i ? ", case " : "Case ", f);
		html_text(f, s->cases[i].name);
	}
	fputs(". ", f);
	html_plain(f, about);
	fputs("</p>\n", f);
	write_custody(f, s);
	fputs("</header>\n<main>\n", f);
}

void markup_foot_with(FILE *f, const char *sources)
{
	fprintf(f, "</main>\n<footer>Made by swarmwitness " SW_VERSION
	    ", commit " SW_COMMIT ", from the case%s and the databases "
	    "named in this report, and nothing else. It states observations, "
	    "never conclusions.</footer>\n</body>\n</html>\n", sources);
}

void markup_foot(FILE *f)
{
	markup_foot_with(f, "");
}
