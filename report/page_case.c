#include "report/page.h"

#include <string.h>

#include "report/html.h"
#include "report/ladder.h"
#include "report/markup.h"
#include "report/method.h"
#include "report/queries.h"
#include "report/rows.h"
#include "report/sections.h"

static void write_contents(FILE *f, const struct subject *s)
{
	fputs("<nav class=contents aria-label=\"On this page\"><a href=\"#what\">"
	    "What this is</a> <a href=\"#swarms\">The swarms</a> ", f);
	for (size_t i = 0; i < s->n; i++) {
		fprintf(f, "<a href=\"#case%zu\">Case ", i + 1);
		html_clip(f, s->cases[i].name, 40);
		fputs("</a> ", f);
	}
	fputs("<a href=\"#limits\">Known limits</a> <a href=\"#cautions\">"
	    "Cautions</a> <a href=\"#check\">How to check this</a> <a href="
	    "\"#exhibits\">Exhibits</a> <a href=\"#glossary\">Words</a> <a href=\"#queries\">SQL</a></nav>"
	    "\n", f);
}

static void write_intro(FILE *f)
{
	fputs("<section>\n"
	    "<h2 id=what>What this is, and what it is not</h2>\n"
	    "<p>An observer joined the swarms below as one peer among others, "
	    "or read packets that were recorded of them, "
	    "and wrote down, in a ledger, what was sent and what it did. "
	    "This report states those observations, never "
	    "conclusions. It speaks of <em>endpoints</em>, that is, of an "
	    "address and a port on one UTC day, because an address can change "
	    "hands from one day to the next and can be shared by many at "
	    "once. It does not speak of persons.</p>\n"
	    "<p>How far the evidence about an endpoint goes is its "
	    "<em>level</em>. Every statement is worded from the level "
	    "and goes no further. Words that may be new are explained <a "
	    "href=\"#glossary\">at the end</a>.</p>\n"
	    "<table class=ladder><caption>The levels</caption>\n<thead><tr>"
	    "<th scope=col>Level</th><th scope=col>What was observed</th>"
	    "<th scope=col>What that does not show</th></tr></thead>\n<tbody>",
	    f);
	for (int i = 0; i <= LADDER_TOP; i++) {
		const struct ladder *l = ladder_at(i);

		fprintf(f, "<tr><th scope=row><span class=\"level l%d\">%d"
		    "</span> %s</th><td>%s</td><td>%c%s.</td></tr>\n", i, i,
		    l->name, l->observed, l->not_shown[0] - 'a' + 'A',
		    l->not_shown + 1);
	}
	fprintf(f, "</tbody></table>\n<p>%s</p>\n</section>\n", ladder_never);
}

/* --- the swarms in short ---------------------------------------------------------- */

/* The same numbers of all swarms at once, however many there are; ?1 chooses
 * one, or is empty. */
#define ALL_ADDRESSES "SELECT swarm, count(DISTINCT ip) FROM endpoint WHERE ?1 " \
	"IN ('', swarm) GROUP BY swarm"
#define ALL_LEVELS "SELECT e.swarm, e.level, count(*) FROM endpoint AS e WHERE " \
	"?1 IN ('', e.swarm) AND " ENDPOINTS_STAND "GROUP BY e.swarm, e.level"

static int write_swarm(FILE *f, const struct facts *c, const char *swarm,
    const char *name, int number)
{
	int64_t over[LADDER_TOP + 1], addresses;

	if (endpoints_count(c, swarm, over, &addresses))
		return -1;
	fprintf(f, "<tr><th scope=row><a href=\"swarm-%d.html\">Swarm %d</a>"
	    "<br>", number, number);
	html_clip(f, name ? name : swarm, 60);
	fputs("</th>", f);
	markup_cell(f, addresses);
	for (int i = LADDER_TOP; i >= 0; i--)
		markup_cell(f, over[i]);
	fputs("</tr>\n", f);
	return 0;
}

static int write_swarms(FILE *f, const struct subject *s,
    struct queries *cited)
{
	int number = 0, r = 0;

	fputs("<section>\n<h2 id=swarms>The swarms</h2>\n", f);
	for (size_t i = 0; i < s->n && r == 0; i++) {
		struct rows q;
		int had = number;

		rows_open(&q, s->cases[i].db, SUBJECT_SWARMS,
		    s->swarm ? s->swarm : "");
		while (r == 0 && rows_next(&q)) {
			if (number == had) {
				markup_table(f, "counts", "Swarms of case %zu",
				    i + 1);
				fputs("<caption>Case ", f);
				html_text(f, s->cases[i].name);
				fputs(": endpoints by the highest level "
				    "observed", f);
				queries_cite_sql(cited, f, "Each swarm’s "
				    "endpoints by level", s->cases[i].db,
				    ALL_LEVELS, s->swarm ? s->swarm : "");
				fputs(", and addresses", f);
				queries_cite_sql(cited, f, "Each swarm’s "
				    "addresses", s->cases[i].db, ALL_ADDRESSES,
				    s->swarm ? s->swarm : "");
				fputs(". The observer’s own are among them "
				    "where a source named them: each swarm’s "
				    "page says how many.</caption>\n<thead>"
				    "<tr><th "
				    "scope=col>Torrent, as it names itself"
				    "</th><th scope=col class=n>Addresses"
				    "</th>", f);
				for (int k = LADDER_TOP; k >= 0; k--)
					fprintf(f, "<th scope=col class=n>"
					    "%d %s</th>", k,
					    ladder_at(k)->name);
				fputs("</tr></thead>\n<tbody>\n", f);
			}
			r = write_swarm(f, &s->cases[i], rows_text(&q, 0),
			    rows_text(&q, 1), ++number);
		}
		if (number > had)
			markup_table_end(f);
		else
			fputs("<p>No swarm was watched.</p>\n", f);
		if (rows_close(&q))
			r = -1;
	}
	fputs("</section>\n", f);
	return r;
}

/* --- exhibits --------------------------------------------------------------------- */

static void write_exhibits(FILE *f, const struct manifest *m)
{
	fputs("<section>\n<h2 id=exhibits>Exhibits</h2>\n<p>This page is Exhibit "
	    "A. Each file’s SHA-256 is in MANIFEST.sha256; its first 16 digits "
	    "are here.</p>\n<table class=exhibits><thead><tr><th scope=col>"
	    "Exhibit</th><th scope=col>What it is</th><th scope=col>File</th>"
	    "<th scope=col>SHA-256 begins</th></tr></thead>\n<tbody>\n", f);
	for (size_t i = 0; i < m->names; i++) {
		const char *what = m->what[i];
		size_t n = strcspn(what, ":");

		if (m->digest[i] == NULL)
			continue;
		fprintf(f, "<tr><th scope=row>%.*s</th><td>", (int)n, what);
		html_plain(f, what + n + (what[n] == ':' ? 2 : 0));
		fprintf(f, "</td><td><a href=\"%s\">%s</a></td><td><code>%.16s"
		    "</code></td></tr>\n", m->name[i], m->name[i],
		    m->digest[i]);
	}
	fputs("</tbody></table>\n</section>\n", f);
}

/* --- the cases -------------------------------------------------------------------- */

#define CHECKPOINT "SELECT size, note FROM evidence.checkpoint ORDER BY size " \
	"DESC LIMIT 1"

static void write_checkpoint(FILE *f, const struct facts *c,
    struct queries *cited)
{
	fputs("<h3>The newest signed checkpoint</h3>\n", f);
	if (c->checkpoint == NULL) {
		fputs("<p>There is none: nothing in this case is signed."
		    "</p>\n", f);
		return;
	}
	fputs("<p>It covers ", f);
	html_count(f, c->checkpoint_size, "record", "records");
	fputs(".", f);
	queries_cite_sql(cited, f, "The newest checkpoint", c->db, CHECKPOINT,
	    NULL);
	fputs("</p>\n<pre>", f);
	html_plain(f, c->checkpoint);
	fputs("</pre>\n", f);
}

static int write_case(FILE *f, const struct subject *s, size_t i,
    struct queries *cited)
{
	const struct facts *c = &s->cases[i];

	fprintf(f, "<section>\n<h2 id=case%zu>Case ", i + 1);
	html_text(f, c->name);
	fputs("</h2>\n", f);
	section_ledger(f, c, cited);
	for (size_t k = 0; k < c->runs; k++) {
		section_run(f, c, k, cited);
		if (method_run(f, c, k, cited) ||
		    method_outcome(f, c, k, cited))
			return -1;
	}
	if (c->runs == 0)
		fputs("<p>The ledger holds no run.</p>\n", f);
	fputs("<h3>Sources, and what of theirs never answered</h3>\n", f);
	if (method_sources(f, s, c, cited))
		return -1;
	write_checkpoint(f, c, cited);
	fputs("<h3>Time stamps</h3>\n", f);
	if (method_stamps(f, c, cited))
		return -1;
	fputs("</section>\n", f);
	return 0;
}

int page_write(FILE *f, const struct subject *s, const struct manifest *m)
{
	struct queries cited = { 0 };
	int r;

	markup_head(f, s, "A", "What was observed in BitTorrent swarms",
	    s->n > 1 ? "Each case is named where it speaks." :
	    "Observations, never conclusions.");
	write_contents(f, s);
	write_intro(f);
	r = write_swarms(f, s, &cited);
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = write_case(f, s, i, &cited);
	if (r) {
		queries_free(&cited);
		return -1;
	}
	method_limits(f, s);
	section_cautions(f);
	section_databases(f, s);
	section_checking(f);
	write_exhibits(f, m);
	method_glossary(f);
	queries_write(&cited, f, s);
	markup_foot(f);
	return 0;
}
