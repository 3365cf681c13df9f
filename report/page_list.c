#include "report/page.h"

#include <stdlib.h>
#include <string.h>

#include "report/caution.h"
#include "report/html.h"
#include "report/markup.h"
#include "report/queries.h"
#include "report/when.h"

/* "23:44:31 – 23:59:02", the day standing before. */
static void moments(FILE *f, const struct endpoint_row *r)
{
	char a[WHEN_MAX], b[WHEN_MAX], t[WHEN_MAX];

	when_text(r->first_utc_ns, r->bound_ns, a);
	when_text(r->last_utc_ns, r->bound_ns, b);
	fprintf(f, "<span class=day>%.10s</span><br>", a);
	if (strcmp(a, b) == 0)
		fprintf(f, "<time>%s</time>", a + 11);
	else if (strncmp(a, b, 10) == 0)
		fprintf(f, "<time>%s</time> – <time>%s</time>", a + 11,
		    b + 11);
	else
		fprintf(f, "<time>%s</time> – <time>%s</time>", a + 11, b);
	fprintf(f, "<br><span class=bound>%s</span>",
	    when_bound(r->bound_ns, t));
}

static void cell_endpoint(FILE *f, const struct endpoint_row *r)
{
	fputs("<th scope=row><span class=ip>", f);
	html_plain(f, r->ip);
	fprintf(f, "</span> port&nbsp;%d<br><span class=how>", r->port);
	if (r->listed_only)
		fputs("named only, not tried that day", f);
	else if (r->level == 0)
		fputs("tried in vain", f);
	else if (r->dialled && r->came)
		fputs("called, and called in", f);
	else
		fputs(r->dialled ? "called by the observer" :
		    "called the observer", f);
	if (r->listen_port && r->listen_port != r->port)
		fprintf(f, "; says it listens on %d", r->listen_port);
	fputs("</span></th>", f);
}

static void cell_observed(FILE *f, const struct endpoint_row *r)
{
	fputs("<td>", f);
	moments(f, r);
	fputs("<br><span class=how>", f);
	if (r->named) {
		fputs("named ", f);
		html_count(f, r->named, "time", "times");
		if (r->first_seq >= 0)
			fprintf(f, " (first #%lld)", (long long)r->first_seq);
	}
	if (r->contacts) {
		fputs(r->named ? ", " : "", f);
		if (r->contacts > 1)
			html_number(f, r->contacts);
		fprintf(f, "%s%s%s", r->contacts > 1 ? " " : "", r->level ?
		    "conversation" : "attempt", r->contacts > 1 ? "s" : "");
		for (int i = 0; i < r->conns; i++)
			fprintf(f, "%s#%lld", i ? ", " : " ",
			    (long long)r->conn[i]);
		if (r->contacts > r->conns)
			fputs(" …", f);
	}
	fputs("</span></td>", f);
}

static void cell_pieces(FILE *f, const struct endpoint_row *r)
{
	fputs("<td>", f);
	if (r->level < 2) {
		fputs("–</td>", f);
		return;
	}
	if (r->claimed < 0) {
		fputs(r->claimed_else ? "claim on another day" : "no claim", f);
	} else {
		fputs("claims ", f);
		html_number(f, r->claimed);
		if (r->total >= 0) {
			fputs(" of ", f);
			html_number(f, r->total);
		}
	}
	if (r->matched + r->failed + r->incomplete == 0)
		fputs("<br>none received", f);
	if (r->matched) {
		fputs("<br><strong>", f);
		html_number(f, r->matched);
		fputs("&nbsp;matched</strong>", f);
	}
	if (r->failed) {
		fputs("<br><strong>", f);
		html_number(f, r->failed);
		fputs("&nbsp;failed</strong>", f);
	}
	if (r->incomplete) {
		fputs("<br>", f);
		html_number(f, r->incomplete);
		fputs("&nbsp;incomplete", f);
	}
	fputs("</td>", f);
}

static void cell_network(FILE *f, const struct geo *geo,
    const struct endpoint_row *r)
{
	struct geo_place p;

	geo_find(geo, r->ip, &p);
	fputs("<td>", f);
	if (p.country[0])
		fprintf(f, "%s", p.country);
	if (p.asn)
		fprintf(f, "%sAS%u", p.country[0] ? "<br>" : "", p.asn);
	if (p.org[0]) {
		fputs(p.asn ? " " : p.country[0] ? "<br>" : "", f);
		html_text(f, p.org);
	}
	fputs(p.country[0] || p.asn || p.org[0] ? "</td>" : "–</td>", f);
}

static void write_row(FILE *f, const struct geo *geo,
    const struct endpoint_row *r)
{
	fputs("<tr>", f);
	cell_endpoint(f, r);
	cell_observed(f, r);
	fputs("<td>", f);
	html_text(f, r->client[0] ? r->client : NULL);
	fputs("</td>", f);
	cell_pieces(f, r);
	if (geo->n)
		cell_network(f, geo, r);
	fputs("<td>", f);
	for (int i = 0; i < CAUTION_COUNT; i++)
		if (r->cautions & caution_bit((enum caution)i))
			fprintf(f, "<span class=mark>%s</span> ",
			    caution_mark((enum caution)i));
	fputs(r->cautions ? "</td></tr>\n" : "–</td></tr>\n", f);
}

static void open_level(FILE *f, int level, bool network)
{
	const struct ladder *l = ladder_at(level);

	fputs("<h2>", f);
	markup_level(f, level);
	fprintf(f, "</h2>\n<p>%s This does not show %s.</p>\n", l->observed,
	    l->not_shown);
	markup_table(f, "endpoints", "Endpoints of level %d", level);
	fprintf(f, "<thead><tr><th scope=col class=c1>Endpoint</th><th "
	    "scope=col class=c2>Observed (UTC)</th><th scope=col class=c3>"
	    "Client, as it says</th><th scope=col class=c4>Pieces</th>%s<th "
	    "scope=col>Cautions</th></tr></thead>\n<tbody>\n", network ?
	    "<th scope=col class=c5>Network</th>" : "");
}

void page_list_name(char name[PAGE_NAME_MAX], int swarm, int page)
{
	snprintf(name, PAGE_NAME_MAX, "swarm-%d-endpoints-%d.html", swarm,
	    page);
}

/* The other pages of the list, under its head and its foot. */
static void write_pager(FILE *f, int swarm, int page, int pages)
{
	if (pages < 2)
		return;
	fputs("<nav class=pager aria-label=\"Pages of this list\">", f);
	for (int i = 1; i <= pages; i++) {
		char name[PAGE_NAME_MAX];

		page_list_name(name, swarm, i);
		if (i == page)
			fprintf(f, "<span aria-current=page>%d</span> ", i);
		else
			fprintf(f, "<a href=\"%s\">%d</a> ", name, i);
	}
	fputs("</nav>\n", f);
}

int page_list(FILE *f, const struct subject *s, struct endpoints *e,
    struct endpoint_row *r, const struct page_of *of)
{
	char title[80], exhibit[24], *sql;
	struct queries cited = { 0 };
	int level = LADDER_TOP + 1;
	bool more = true;

	snprintf(title, sizeof(title), "Endpoints of swarm %d, page %d of %d",
	    of->swarm, of->page, of->pages);
	snprintf(exhibit, sizeof(exhibit), "B%d-%d", of->swarm, of->page);
	markup_head(f, s, exhibit, title, "The highest level first.");
	fprintf(f, "<p><a href=\"swarm-%d.html\">Swarm %d</a>", of->swarm,
	    of->swarm);
	if (s->n > 1) {
		fputs(" of case ", f);
		html_text(f, e->facts->name);
	}
	fputs(", <a href=\"index.html#cautions\">what the cautions mean</a>. "
	    "Rows of all pages:", f);
	sql = endpoints_rows_sql(e);
	queries_cite(&cited, f, "Rows of all pages; addresses of one level in "
	    "the order of their text, where the pages have that of their "
	    "numbers", sql);
	free(sql);
	fputs("; their conversations:", f);
	sql = endpoints_talks_sql(e);
	queries_cite(&cited, f, "Conversations of the swarm, and how many "
	    "pieces came only in part", sql);
	free(sql);
	fputs(". Cautions follow from these, and from the case’s stalls, "
	    "clocks and packet drops.</p>\n", f);
	write_pager(f, of->swarm, of->page, of->pages);
	for (int n = 0; more && n < PAGE_ROWS; n++) {
		if (r->level != level) {
			if (level <= LADDER_TOP)
				markup_table_end(f);
			level = r->level;
			open_level(f, level, s->geo->n > 0);
		}
		write_row(f, s->geo, r);
		more = endpoints_next(e, r);
	}
	markup_table_end(f);
	write_pager(f, of->swarm, of->page, of->pages);
	queries_write(&cited, f, s);
	markup_foot(f);
	return more ? 1 : 0;
}
