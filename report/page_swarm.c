#include "report/page.h"

#include <string.h>

#include "report/caution.h"
#include "report/endpoints.h"
#include "report/html.h"
#include "report/when.h"

#define ROWS_SHOWN 20000	/* a page beyond that opens slowly */

static void number_cell(FILE *f, int64_t n)
{
	fputs("<td class=n>", f);
	html_number(f, n);
	fputs("</td>", f);
}

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

/* --- the swarm --------------------------------------------------------------- */

static void write_torrent(FILE *f, const struct rows *q)
{
	fputs("<dl>\n<dt>Infohash</dt><dd><code>", f);
	html_plain(f, rows_text(q, 0));
	fputs("</code></dd>\n<dt>Torrent</dt><dd>", f);
	if (rows_null(q, 2)) {
		fputs("its metainfo is not in the ledger", f);
	} else {
		html_count(f, rows_int(q, 2), "byte", "bytes");
		fputs(" in ", f);
		html_count(f, rows_int(q, 4), "piece", "pieces");
		fputs(" of ", f);
		html_count(f, rows_int(q, 3), "byte", "bytes");
		fputs(", version ", f);
		html_text(f, rows_text(q, 5));
		fputs(rows_int(q, 6) ? ", private" : "", f);
	}
	fputs("</dd>\n<dt>Name</dt><dd>", f);
	html_text(f, rows_text(q, 1));
	fputs(" <span class=bound>(as the torrent says)</span></dd>\n</dl>\n",
	    f);
}

/* A tracker names the one who asks, too. */
static int64_t own_addresses(const struct facts *c, const char *swarm)
{
	struct rows q;
	int64_t n = 0;

	rows_open(&q, c->db, "SELECT DISTINCT ip FROM endpoint "
	    "WHERE swarm = ?1", swarm);
	while (rows_next(&q))
		n += facts_own(c, rows_text(&q, 0));
	rows_close(&q);
	return n;
}

static int write_levels(FILE *f, const struct facts *c, const char *swarm)
{
	int64_t over[LADDER_TOP + 1], addresses, own, all = 0;

	if (endpoints_count(c, swarm, over, &addresses))
		return -1;
	own = own_addresses(c, swarm);
	for (int i = 0; i <= LADDER_TOP; i++)
		all += over[i];
	fputs("<p class=lead>", f);
	html_count(f, addresses, "address", "addresses");
	fputs(", ", f);
	html_count(f, all, "endpoint", "endpoints");
	fputs(" (an address and port on one UTC day)", f);
	if (own > 0) {
		fputs("; of these the observer’s own: ", f);
		html_count(f, own, "address", "addresses");
	}
	fputs(".</p>\n<table class=counts><caption>Endpoints by the highest "
	    "level observed</caption>\n<thead><tr>", f);
	for (int i = LADDER_TOP; i >= 0; i--)
		fprintf(f, "<th scope=col><span class=\"level l%d\">%d</span> "
		    "%s</th>", i, i, ladder_at(i)->name);
	fputs("</tr></thead>\n<tbody><tr>", f);
	for (int i = LADDER_TOP; i >= 0; i--)
		number_cell(f, over[i]);
	fputs("</tr></tbody></table>\n", f);
	return 0;
}

/* For infohashes that nobody shares. */
static void cell_decoys(FILE *f, int64_t named, int64_t asked)
{
	if (asked == 0)
		fputs("<td class=n>", f);
	else
		fprintf(f, "<td class=n>%lld of %lld decoys",
		    (long long)named, (long long)asked);
	fputs("</td>", f);
}

static int write_sources(FILE *f, const struct facts *c, const char *swarm)
{
	struct rows q;
	int64_t came;
	bool any = false;

	rows_open(&q, c->db, SUBJECT_SOURCES, swarm);
	while (rows_next(&q)) {
		if (!any)
			fputs("<table><caption>Who named endpoints, and how "
			    "many of those answered at all</caption>\n<thead>"
			    "<tr><th scope=col>Source</th><th scope=col class=n>"
			    "Named</th><th scope=col class=n>Tried</th><th "
			    "scope=col class=n>Answered</th><th scope=col "
			    "class=n>Named peers for</th></tr></thead>\n"
			    "<tbody>", f);
		any = true;
		fputs("<tr><th scope=row>", f);
		html_text(f, rows_text(&q, 0));
		fputs(" ", f);
		html_text(f, rows_text(&q, 1));
		fputs("</th>", f);
		for (int i = 2; i < 5; i++)
			number_cell(f, rows_int(&q, i));
		cell_decoys(f, rows_int(&q, 5), rows_int(&q, 6));
		fputs("</tr>\n", f);
	}
	fputs(any ? "</tbody></table>\n" : "<p>No source named any endpoint."
	    "</p>\n", f);
	came = rows_number(c->db, "SELECT count(*) FROM sighting WHERE swarm "
	    "= ?1 AND source = 'incoming'", swarm, 0);
	if (came) {
		fputs("<p>", f);
		html_count(f, came, "endpoint", "endpoints");
		fputs(" connected to the observer unasked.</p>\n", f);
	}
	return rows_close(&q);
}

static int write_coverage(FILE *f, const struct facts *c, const char *swarm)
{
	struct rows q;
	bool any = false;

	rows_open(&q, c->db, SUBJECT_COVERAGE, swarm);
	while (rows_next(&q)) {
		char a[WHEN_MAX], b[WHEN_MAX];
		int64_t from = rows_int(&q, 1), to = rows_int(&q, 2);

		if (!any)
			fputs("<table><caption>When sources were asked. What "
			    "was not asked for cannot have been seen."
			    "</caption>\n<thead><tr><th scope=col>Source</th>"
			    "<th scope=col>From (UTC)</th><th scope=col>To "
			    "(UTC)</th><th scope=col class=n>Asked</th><th "
			    "scope=col class=n>Failed</th></tr></thead>\n"
			    "<tbody>", f);
		any = true;
		fputs("<tr><th scope=row>", f);
		html_text(f, rows_text(&q, 0));
		fprintf(f, "</th><td><time>%s</time></td><td><time>%s</time>"
		    "</td>", when_text(from, facts_bound(c, from), a),
		    when_text(to, facts_bound(c, to), b));
		number_cell(f, rows_int(&q, 3));
		number_cell(f, rows_int(&q, 4));
		fputs("</tr>\n", f);
	}
	fputs(any ? "</tbody></table>\n" : "<p>No source was asked.</p>\n", f);
	return rows_close(&q);
}

/* --- endpoints --------------------------------------------------------------- */

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

	fprintf(f, "<h4><span class=\"level l%d\">%d</span> %s</h4>\n"
	    "<p>%s This does not show %s.</p>\n"
	    "<table class=endpoints>\n<thead><tr>"
	    "<th scope=col class=c1>Endpoint</th><th scope=col class=c2>"
	    "Observed (UTC)</th><th scope=col class=c3>Client, as it says</th>"
	    "<th scope=col class=c4>Pieces</th>%s<th scope=col>Cautions</th>"
	    "</tr></thead>\n<tbody>\n", level, level, l->name, l->observed,
	    l->not_shown, network ? "<th scope=col class=c5>Network</th>" : "");
}

static int write_endpoints(FILE *f, const struct subject *s,
    const struct facts *c, const char *swarm)
{
	struct endpoints e;
	struct endpoint_row r;
	int level = LADDER_TOP + 1;
	int64_t n = 0;

	fputs("<h3>Endpoints</h3>\n", f);
	endpoints_open(&e, c, swarm, NULL);
	while (endpoints_next(&e, &r)) {
		if (n++ >= ROWS_SHOWN)
			continue;
		if (r.level != level) {
			if (level <= LADDER_TOP)
				fputs("</tbody></table>\n", f);
			level = r.level;
			open_level(f, level, s->geo->n > 0);
		}
		write_row(f, s->geo, &r);
	}
	fputs(n ? "</tbody></table>\n" : "<p>None.</p>\n", f);
	if (n > ROWS_SHOWN) {
		fputs("<p>The page ends here; ", f);
		html_number(f, n - ROWS_SHOWN);
		fputs(" more are in report.json and endpoint.csv.</p>\n", f);
	}
	return endpoints_close(&e);
}

int page_swarm(FILE *f, const struct subject *s, const struct facts *c,
    const char *swarm, int number)
{
	struct rows q;
	int r;

	rows_open(&q, c->db, SUBJECT_SWARMS, swarm);
	fprintf(f, "<section>\n<h2 id=swarm%d>Swarm ", number);
	if (rows_next(&q)) {
		html_clip(f, rows_text(&q, 1) ? rows_text(&q, 1) : swarm, 80);
		fputs("</h2>\n", f);
		write_torrent(f, &q);
	}
	r = rows_close(&q);
	if (r || write_levels(f, c, swarm) || write_sources(f, c, swarm) ||
	    write_coverage(f, c, swarm) || write_endpoints(f, s, c, swarm))
		return -1;
	fputs("</section>\n", f);
	return 0;
}
