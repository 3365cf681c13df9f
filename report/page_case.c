#include "report/page.h"

#include "report/html.h"
#include "report/ladder.h"
#include "report/markup.h"
#include "report/rows.h"
#include "report/sections.h"

static void write_intro(FILE *f)
{
	fputs("<section>\n"
	    "<h2 id=what>What this is, and what it is not</h2>\n"
	    "<p>An observer joined the swarms below as one peer among others "
	    "and wrote down, in a ledger, what it was sent and what it did. "
	    "This report states those observations, never "
	    "conclusions. It speaks of <em>endpoints</em>, that is, of an "
	    "address and a port on one UTC day, because an address can change "
	    "hands from one day to the next and can be shared by many at "
	    "once. It does not speak of persons.</p>\n"
	    "<p>How far the evidence about an endpoint goes is its "
	    "<em>level</em>. Every statement below is worded from the level "
	    "and goes no further.</p>\n"
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

static void write_case(FILE *f, const struct subject *s, size_t i)
{
	const struct facts *c = &s->cases[i];

	fprintf(f, "<section>\n<h2 id=case%zu>Case ", i + 1);
	html_text(f, c->name);
	fputs("</h2>\n", f);
	section_ledger(f, c);
	for (size_t k = 0; k < c->runs; k++)
		section_run(f, c, k);
	if (c->runs == 0)
		fputs("<p>The ledger holds no run.</p>\n", f);
	fputs("<h3>The newest signed checkpoint</h3>\n", f);
	if (c->checkpoint) {
		fputs("<p>It covers ", f);
		html_count(f, c->checkpoint_size, "record", "records");
		fputs(".</p>\n<pre>", f);
		html_plain(f, c->checkpoint);
		fputs("</pre>\n", f);
	} else {
		fputs("<p>There is none: nothing in this case is signed."
		    "</p>\n", f);
	}
	fputs("</section>\n", f);
}

static int write_swarms(FILE *f, const struct subject *s,
    const struct facts *c, int *number)
{
	struct rows q;
	int r = 0, had = *number;

	rows_open(&q, c->db, SUBJECT_SWARMS, s->swarm ? s->swarm : "");
	while (r == 0 && rows_next(&q))
		r = page_swarm(f, s, c, rows_text(&q, 0), ++*number);
	if (rows_close(&q))
		r = -1;
	if (r == 0 && *number == had)
		fputs("<p>No swarm was watched.</p>\n", f);
	return r;
}

int page_write(FILE *f, const struct subject *s)
{
	int number = 0;

	markup_head(f, s, "A", "What was observed in BitTorrent swarms",
	    "Observations, never conclusions.");
	write_intro(f);
	for (size_t i = 0; i < s->n; i++) {
		write_case(f, s, i);
		if (write_swarms(f, s, &s->cases[i], &number))
			return -1;
	}
	section_cautions(f);
	section_databases(f, s);
	section_checking(f);
	markup_foot(f);
	return 0;
}
