#include "report/page.h"

#include <string.h>

#include "report/composition.h"
#include "report/endpoints.h"
#include "report/html.h"
#include "report/markup.h"
#include "report/queries.h"
#include "report/when.h"

/* --- the swarm --------------------------------------------------------------- */

static void write_torrent(FILE *f, const struct rows *q,
    struct queries *cited)
{
	fputs("<dt>Infohash</dt><dd><code>", f);
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
	fputs(" <span class=bound>(as the torrent says)</span>", f);
	queries_cite_st(cited, f, "The torrent", q->st);
	fputs("</dd>\n", f);
}

/* Where the list of hashes came from: whoever made it chose what matches. */
static int write_origin(FILE *f, const struct facts *c, const char *swarm,
    struct queries *cited)
{
	struct rows q;
	bool any = false;

	rows_open(&q, c->db, "SELECT r.seq, r.detail ->> 'source' FROM about "
	    "AS a JOIN evidence.record AS r ON r.seq = a.seq WHERE a.kind = "
	    "'torrent' AND ?1 IN (r.swarm, r.detail ->> 'infohash_v1', "
	    "r.detail ->> 'infohash_v2') ORDER BY a.seq", swarm);
	while (rows_next(&q)) {
		fputs("<dt>Its hashes are from</dt><dd>", f);
		html_text(f, rows_text(&q, 1));
		fprintf(f, " <span class=rec>#%lld</span>",
		    (long long)rows_int(&q, 0));
		if (!any)
			queries_cite_st(cited, f, "Where the hashes are from",
			    q.st);
		fputs("</dd>\n", f);
		any = true;
	}
	fputs("</dl>\n", f);
	return rows_close(&q);
}

/* A tracker names the one who asks, too. */
#define OWN "SELECT count(DISTINCT ip) FROM endpoint WHERE swarm = ?1 AND ip " \
	"IN (SELECT v.value FROM about AS a JOIN evidence.record AS r ON r.seq " \
	"= a.seq, json_each(r.detail, '$.vantage') AS v WHERE a.kind = 'run')"

static int write_counts(FILE *f, const struct facts *c, const char *swarm,
    struct queries *cited)
{
	int64_t over[LADDER_TOP + 1], addresses, own, all = 0;

	if (endpoints_count(c, swarm, over, &addresses))
		return -1;
	own = rows_number(c->db, OWN, swarm, 0);
	for (int i = 0; i <= LADDER_TOP; i++)
		all += over[i];
	fputs("<p class=lead>", f);
	html_count(f, addresses, "address", "addresses");
	queries_cite_sql(cited, f, "Addresses", c->db, ENDPOINTS_ADDRESSES,
	    swarm);
	fputs(", ", f);
	html_count(f, all, "endpoint", "endpoints");
	queries_cite_sql(cited, f, "Endpoints by level", c->db,
	    ENDPOINTS_BY_LEVEL, swarm);
	fputs(" (an address and port on one UTC day)", f);
	if (own > 0) {
		fputs("; of these the observer’s own: ", f);
		html_count(f, own, "address", "addresses");
		queries_cite_sql(cited, f, "The observer’s own addresses",
		    c->db, OWN, swarm);
	}
	fputs(".</p>\n", f);
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

#define CAME "SELECT count(*) FROM sighting WHERE swarm = ?1 AND source = " \
	"'incoming'"

static int write_sources(FILE *f, const struct facts *c, const char *swarm,
    struct queries *cited)
{
	struct rows q;
	int64_t came;
	bool any = false;

	rows_open(&q, c->db, SUBJECT_SOURCES, swarm);
	while (rows_next(&q)) {
		if (!any) {
			markup_table(f, NULL, "Sources");
			fputs("<caption>Who named endpoints, and how "
			    "many of those answered at all", f);
			queries_cite_st(cited, f, "Sources", q.st);
			fputs("</caption>\n<thead><tr><th scope=col>Source</th><th scope=col class=n>"
			    "Named</th><th scope=col class=n>Tried</th><th "
			    "scope=col class=n>Answered</th><th scope=col "
			    "class=n>Named peers for</th></tr></thead>\n"
			    "<tbody>", f);
		}
		any = true;
		fputs("<tr><th scope=row>", f);
		html_text(f, rows_text(&q, 0));
		fputs(" ", f);
		html_text(f, rows_text(&q, 1));
		fputs("</th>", f);
		for (int i = 2; i < 5; i++)
			markup_cell(f, rows_int(&q, i));
		cell_decoys(f, rows_int(&q, 5), rows_int(&q, 6));
		fputs("</tr>\n", f);
	}
	if (any)
		markup_table_end(f);
	else
		fputs("<p>No source named any endpoint.</p>\n", f);
	came = rows_number(c->db, CAME, swarm, 0);
	if (came) {
		fputs("<p>", f);
		html_count(f, came, "endpoint", "endpoints");
		fputs(" connected to the observer unasked.", f);
		queries_cite_sql(cited, f, "Endpoints that connected", c->db,
		    CAME, swarm);
		fputs("</p>\n", f);
	}
	return rows_close(&q);
}

static int write_coverage(FILE *f, const struct facts *c, const char *swarm,
    struct queries *cited)
{
	struct rows q;
	bool any = false;

	rows_open(&q, c->db, SUBJECT_COVERAGE, swarm);
	while (rows_next(&q)) {
		char a[WHEN_MAX], b[WHEN_MAX];
		int64_t from = rows_int(&q, 1), to = rows_int(&q, 2);

		if (!any) {
			markup_table(f, NULL, "Coverage");
			fputs("<caption>When sources were asked. What "
			    "was not asked for cannot have been seen.", f);
			queries_cite_st(cited, f, "Coverage", q.st);
			fputs("</caption>\n<thead><tr><th scope=col>Source</th>"
			    "<th scope=col>From (UTC)</th><th scope=col>To "
			    "(UTC)</th><th scope=col class=n>Asked</th><th "
			    "scope=col class=n>Failed</th></tr></thead>\n"
			    "<tbody>", f);
		}
		any = true;
		fputs("<tr><th scope=row>", f);
		html_text(f, rows_text(&q, 0));
		fprintf(f, "</th><td><time>%s</time></td><td><time>%s</time> ",
		    when_text(from, facts_bound(c, from), a),
		    when_text(to, facts_bound(c, to), b));
		markup_bound(f, facts_bound(c, from));
		fputs("</td>", f);
		markup_cell(f, rows_int(&q, 3));
		markup_cell(f, rows_int(&q, 4));
		fputs("</tr>\n", f);
	}
	if (any)
		markup_table_end(f);
	else
		fputs("<p>No source was asked.</p>\n", f);
	return rows_close(&q);
}

/* Of all runs together; unknown if one has none. */
static int64_t widest_bound(const struct facts *c)
{
	int64_t widest = 0;

	for (size_t i = 0; i < c->runs; i++) {
		if (c->run[i].bound_ns < 0)
			return BOUND_UNKNOWN;
		if (c->run[i].bound_ns > widest)
			widest = c->run[i].bound_ns;
	}
	return c->runs ? widest : BOUND_UNKNOWN;
}

/* --- its size, and what was not seen ------------------------------------------- */

static void write_size(FILE *f, const struct facts *c,
    const struct composition *m, struct queries *cited)
{
	fputs("<h2 id=size>How large the swarm may be</h2>\n", f);
	if (!m->estimated) {
		fprintf(f, "<p>No estimate is given: %s", m->refusal);
		queries_cite(cited, f, "Two counts of the swarm, and both",
		    m->count_sql);
		fputs("</p>\n", f);
		return;
	}
	fputs("<p class=lead>About ", f);
	html_number(f, m->size.size);
	fputs(" endpoints; with 95 % confidence ", f);
	html_number(f, m->size.low);
	if (m->size.high < 0) {
		fputs(" or more", f);
	} else {
		fputs(" to ", f);
		html_number(f, m->size.high);
	}
	fputs(", if the assumptions below hold.</p>\n<dl>\n", f);
	markup_term(f, "First count");
	html_number(f, m->a);
	fprintf(f, " %s</dd>\n", m->first);
	markup_term(f, "Second count");
	html_number(f, m->b);
	fprintf(f, " %s</dd>\n", m->second);
	markup_term(f, "In both");
	html_number(f, m->both);
	queries_cite(cited, f, "Two counts of the swarm, and both",
	    m->count_sql);
	fputs("</dd>\n", f);
	markup_term(f, "Time");
	markup_moment(f, m->from_utc_ns, BOUND_UNKNOWN);
	fputs(" to ", f);
	markup_moment(f, m->to_utc_ns, BOUND_UNKNOWN);
	fputs(", each ", f);
	markup_bound(f, facts_bound(c, m->from_utc_ns));
	queries_cite(cited, f, "When sources were asked", m->window_sql);
	fputs("</dd>\n</dl>\n<p>Capture and recapture: Chapman’s estimator, "
	    "(a + 1)(b + 1) / (m + 1) − 1, for counts a and b with m in both. "
	    "The interval holds every size under which an overlap as small or "
	    "as large as m has a probability of at least 2.5 % "
	    "(hypergeometric). It assumes that the swarm did not change "
	    "meanwhile, that being in one count made being in the other "
	    "neither likelier nor less likely, and that every endpoint was "
	    "as likely to be counted as any other. None of this holds quite: "
	    "a peer that is found in one way is often found in the other, "
	    "which makes the estimate too low; peers that come and go make it "
	    "too high. An endpoint that is named may not exist.</p>\n", f);
}

static void write_unseen(FILE *f, const struct facts *c)
{
	int64_t stalls = 0, drops = 0;

	for (size_t i = 0; i < c->runs; i++) {
		stalls += c->run[i].stalls;
		drops += c->run[i].dropped_kernel +
		    c->run[i].dropped_interface;
	}
	fputs("<h2 id=unseen>What was not seen</h2>\n<ul>\n"
	    "<li>What peers gave to each other. The observer sees only what is "
	    "sent to itself.</li>\n"
	    "<li>Peers that no source named while it was asked, and that did "
	    "not call. When each source was asked stands above.</li>\n"
	    "<li>Peers that accept no connections and did not call: they are "
	    "named here at most.</li>\n"
	    "<li>What happened before the first and after the last "
	    "question, and between questions.</li>\n"
	    "<li>Pieces beyond the small sample asked of each peer.</li>\n",
	    f);
	if (stalls) {
		fputs("<li>What fell into ", f);
		html_count(f, stalls, "stall", "stalls");
		fputs(" of the observer itself.</li>\n", f);
	}
	if (drops) {
		fputs("<li>", f);
		html_count(f, drops, "packet", "packets");
		fputs(" that the capture dropped (the records do not depend on "
		    "them).</li>\n", f);
	}
	fputs("</ul>\n", f);
}

static void write_lists(FILE *f, const struct page_of *of, int64_t rows)
{
	fputs("<h2 id=endpoints>Endpoints</h2>\n", f);
	if (of->pages == 0) {
		fputs("<p>None.</p>\n", f);
		return;
	}
	fputs("<p>", f);
	html_count(f, rows, "row", "rows");
	fputs(", the highest level first:", f);
	for (int i = 1; i <= of->pages; i++) {
		char name[PAGE_NAME_MAX];

		page_list_name(name, of->swarm, i);
		fprintf(f, " <a href=\"%s\">page&nbsp;%d</a>%s", name, i,
		    i < of->pages ? "," : ".");
	}
	if (rows > (int64_t)of->pages * PAGE_ROWS)
		fputs(" The pages end before the rows do: the rest is in "
		    "endpoint.csv and report.json.", f);
	fputs("</p>\n", f);
}

int page_swarm(FILE *f, const struct subject *s, const struct facts *c,
    const char *swarm, const struct composition *m, const struct page_of *of,
    int64_t rows)
{
	char title[32], exhibit[16], prefix[24];
	struct queries cited = { 0 };
	struct rows q;
	int r;

	snprintf(title, sizeof(title), "Swarm %d", of->swarm);
	snprintf(exhibit, sizeof(exhibit), "B%d", of->swarm);
	snprintf(prefix, sizeof(prefix), "swarm-%d-", of->swarm);
	markup_head(f, s, exhibit, title, "What it was made of, and how that "
	    "changed.");
	fputs("<p><a href=\"index.html\">The case report</a></p>\n"
	    "<section>\n<h2 id=torrent>The torrent</h2>\n", f);
	fputs("<dl>\n", f);
	if (s->n > 1)
		markup_given(f, "Case", c->name);
	rows_open(&q, c->db, SUBJECT_SWARM, swarm);
	if (rows_next(&q))
		write_torrent(f, &q, &cited);
	r = rows_close(&q);
	if (r || write_origin(f, c, swarm, &cited) ||
	    write_counts(f, c, swarm, &cited))
		goto fail;
	write_lists(f, of, rows);
	fputs("</section>\n<section>\n<h2 id=made>What it was made of</h2>\n"
	    "<p>Times are UTC by the observer’s clock, each ", f);
	markup_bound(f, widest_bound(c));
	fputs(".</p>\n", f);
	for (int i = 0; i < VIEWS; i++)
		if (m->view[i].rows || (i != VIEW_COUNTRIES &&
		    i != VIEW_NETWORKS))
			chart_html(f, &m->view[i], prefix, &cited);
	if (s->geo->n > 0)
		fputs("<p>The query behind countries and networks gives the "
		    "addresses that were looked up; what a database says of "
		    "one, <code>mmdblookup --file FILE --ip A</code> "
		    "shows.</p>\n", f);
	else
		fputs("<p>No network database was given, so countries and "
		    "networks are not told.</p>\n", f);
	fputs("</section>\n<section>\n<h2 id=sources>Sources and coverage"
	    "</h2>\n", f);
	if (write_sources(f, c, swarm, &cited) ||
	    write_coverage(f, c, swarm, &cited))
		goto fail;
	fputs("</section>\n<section>\n", f);
	write_size(f, c, m, &cited);
	fputs("</section>\n<section>\n", f);
	write_unseen(f, c);
	fputs("</section>\n", f);
	queries_write(&cited, f, s);
	markup_foot(f);
	return 0;
fail:
	queries_free(&cited);
	return -1;
}
