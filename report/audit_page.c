/* index.html of an audit, and the page of each claim. */
#include "report/audit_impl.h"

#include <string.h>

#include "report/html.h"
#include "report/ladder.h"
#include "report/markup.h"
#include "report/queries.h"
#include "report/sections.h"
#include "report/when.h"

static const struct {
	enum verdict verdict;
	const char *means;
} meanings[] = {
	{ VERDICT_SUPPORTED, "The case holds evidence of that address, port "
	    "(where one is claimed) and torrent that reaches the level asked "
	    "for, near enough in time, and holds no less data than claimed. "
	    "What limits it stands with each claim." },
	{ VERDICT_CONTRADICTED, "Evidence of that address and time speaks "
	    "against the claim. What limits it stands with each claim." },
	{ VERDICT_NOT_SUPPORTED, "The torrent was watched at that time, and "
	    "the evidence does not reach the level asked for. That is no "
	    "evidence that the claim is false." },
	{ VERDICT_OUTSIDE, "The torrent or that time was not watched. Silence "
	    "where nothing was watched contradicts nothing." },
	{ VERDICT_UNREADABLE, "The row could not be read; the reason is "
	    "stated." },
};

static void address(FILE *f, const struct claim *c)
{
	fputs("<span class=ip>", f);
	html_clip(f, c->ip[0] ? c->ip : c->text[0], 60);
	fputs("</span>", f);
}

static void claimed_time(FILE *f, const struct claim *c)
{
	char t[48];

	if (c->timed)
		fprintf(f, "<time>%s</time>", audit_utc(c, t));
	else
		html_clip(f, c->text[2], 60);
}

static void port(FILE *f, const struct claim *c)
{
	if (c->port >= 0)
		fprintf(f, "%d", c->port);
	else if (c->text[1][0])
		html_clip(f, c->text[1], 20);
	else
		fputs("–", f);
}

static void page_name(size_t i, char name[32])
{
	snprintf(name, 32, "claim-%04zu.html", i + 1);
}

/* --- how the table was read ------------------------------------------------------ */

static const char *separator(char c)
{
	return c == '\t' ? "tab" : c == ';' ? "semicolon" : c == '|' ?
	    "vertical bar" : "comma";
}

static void write_columns(FILE *f, const struct audit *a)
{
	static const char *const names[] = {
#define X(id, name) name,
		CLAIM_FIELDS(X)
#undef X
	};
	bool first = true;

	markup_term(f, "Columns");
	for (int i = 0; i < CLAIM_FIELD_COUNT; i++) {
		if (a->claims.column[i] == NULL)
			continue;
		fputs(first ? "" : ", ", f);
		html_clip(f, a->claims.column[i], 60);
		fprintf(f, " as %s", names[i]);
		first = false;
	}
	if (a->claims.columns_unused) {
		fputs("; not used: ", f);
		html_number(f, (long long)a->claims.columns_unused);
	}
	fputs("</dd>\n", f);
}

static void write_dates(FILE *f, const struct audit *a)
{
	const struct claimlist *c = &a->claims;

	markup_term(f, "Times");
	fputs("without a zone of their own taken as ", f);
	if (a->zone)
		html_text(f, a->zone);
	else
		fputs("UTC", f);
	if (c->utc_named)
		fprintf(f, ", %s the column’s name says UTC or GMT", a->zone ?
		    "as --zone says, while" : "as");
	if (c->order_mixed)
		fputs("; <strong>some dates have the month first and others "
		    "the day</strong>: those that could be either are not "
		    "read", f);
	else if (c->order == DATES_MDY)
		fputs("; month before day", f);
	else if (c->order == DATES_DMY)
		fputs("; day before month", f);
	if (c->whole_minutes)
		fputs("; nearly all are whole minutes", f);
	fputs("</dd>\n", f);
}

static void write_table(FILE *f, const struct audit *a)
{
	const struct claimlist *c = &a->claims;

	fputs("<section>\n<h2>The table of claims</h2>\n<dl>\n", f);
	markup_given(f, "File", a->file);
	markup_term(f, "Size");
	html_count(f, a->bytes, "byte", "bytes");
	fprintf(f, "; SHA-256 <code>%s</code></dd>\n", a->sha256);
	markup_term(f, "Read as");
	fprintf(f, "%s%s, separator %s, line ends %s</dd>\n",
	    c->table.encoding, c->table.bom ? " with a byte order mark" : "",
	    separator(c->table.separator), c->table.ends);
	write_columns(f, a);
	write_dates(f, a);
	markup_term(f, "Rows");
	html_number(f, (long long)c->n);
	fputs("; readable ", f);
	html_number(f, (long long)c->readable);
	fputs("; duplicates ", f);
	html_number(f, (long long)a->duplicates);
	fputs("; without a port ", f);
	html_number(f, (long long)a->portless);
	fputs("; sessions of no length ", f);
	html_number(f, (long long)a->zero_sessions);
	fputs("</dd>\n</dl>\n</section>\n", f);
}

/* --- the whole ---------------------------------------------------------------------- */

static void write_counts(FILE *f, const struct audit *a)
{
	char t[WHEN_MAX];

	fputs("<section>\n<h2>In short</h2>\n", f);
	markup_table(f, NULL, "Verdicts");
	fputs("<caption>Verdicts on ", f);
	html_count(f, (long long)a->claims.n, "claim", "claims");
	fprintf(f, ": level %d (%s) asked for, within %s plus the clock’s "
	    "bound</caption>\n<thead><tr><th scope=col>Verdict</th><th "
	    "scope=col class=n>Claims</th><th scope=col>What it means</th></tr>"
	    "</thead>\n<tbody>\n", a->require, ladder_at(a->require)->name,
	    when_span(a->within_ns, t));
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		fprintf(f, "<tr><th scope=row>%s</th>",
		    verdict_name(meanings[i].verdict));
		markup_cell(f, (int64_t)a->over[meanings[i].verdict]);
		fprintf(f, "<td>%s</td></tr>\n", meanings[i].means);
	}
	markup_table_end(f);
	fprintf(f, "<p>A claim that is supported is no more "
	    "than that: %s %s</p>\n</section>\n", "the evidence reaches the "
	    "level, and the level shows what it shows.", ladder_never);
}

static void write_shift(FILE *f, const struct audit *a)
{
	const struct shift *s = &a->shift;
	char t[64];

	if (!s->found)
		return;
	fputs("<section>\n<h2>One shift of all times</h2>\n<p>", f);
	fprintf(f, "Were all claimed times %s, ",
	    audit_shift_text(s->by_ns, t));
	html_number(f, (long long)s->fit);
	fputs(" of the ", f);
	html_number(f, (long long)s->of);
	fputs(" claims that have evidence within 26 hours would fit it; as "
	    "they stand, ", f);
	html_number(f, (long long)s->fit_now);
	fputs(" do. ", f);
	fprintf(f, "%s (Equally many fit from %s", s->zone ?
	    "A shift by a multiple of a quarter of an hour is what a mistaken "
	    "time zone, or summer time, gives." :
	    "A shift by no multiple of a quarter of an hour is what a clock "
	    "that was off gives.", audit_shift_text(s->least_ns, t));
	fprintf(f, " to %s.) <strong>It is not applied</strong>: the verdicts "
	    "are of the times as claimed. <code>--zone</code> would read times "
	    "without a zone in another.</p>\n</section>\n",
	    audit_shift_text(s->most_ns, t));
}

static void write_row(FILE *f, const struct audit *a, size_t i)
{
	const struct claim *c = &a->claims.at[i];
	const struct judged *j = &a->judged[i];
	char name[32], t[WHEN_MAX];

	page_name(i, name);
	if (i < AUDIT_PAGES)
		fprintf(f, "<tr><th scope=row><a href=\"%s\">line %lld</a>"
		    "</th>", name, (long long)c->line);
	else
		fprintf(f, "<tr><th scope=row>line %lld</th>",
		    (long long)c->line);
	fprintf(f, "<td><strong>%s</strong></td><td>",
	    verdict_name(j->verdict));
	address(f, c);
	fputs("</td><td class=n>", f);
	port(f, c);
	fputs("</td><td>", f);
	claimed_time(f, c);
	fputs("</td><td>", f);
	if (j->level >= 0)
		markup_level(f, j->level);
	else
		fputs("none then", f);
	fputs("</td><td>", f);
	if (j->has_nearest)
		fprintf(f, "%s%s", when_span(j->distance_ns, t),
		    j->distance_ns == 0 ? "" : j->before ? " earlier" :
		    " later");
	else
		fputs("–", f);
	fputs("</td></tr>\n", f);
}

static void write_rows(FILE *f, const struct audit *a)
{
	size_t shown = a->claims.n < AUDIT_ROWS ? a->claims.n : AUDIT_ROWS;

	fputs("<section>\n<h2>Every claim</h2>\n", f);
	markup_table(f, NULL, "Every claim");
	fputs("<caption>In the order of the table", f);
	if (shown < a->claims.n) {
		fputs(": the first ", f);
		html_number(f, (long long)shown);
		fputs("; audit.csv and audit.json hold all", f);
	}
	if (a->claims.n > AUDIT_PAGES) {
		fputs(". Pages of their own have the first ", f);
		html_number(f, AUDIT_PAGES);
	}
	fputs(".</caption>\n<thead><tr><th scope=col>Claim</th>"
	    "<th scope=col>Verdict</th><th scope=col>Address</th><th scope=col "
	    "class=n>Port</th><th scope=col>Claimed time (UTC)</th>"
	    "<th scope=col>Level within reach</th><th scope=col>Nearest "
	    "observation</th></tr></thead>\n<tbody>\n", f);
	for (size_t i = 0; i < shown; i++)
		write_row(f, a, i);
	markup_table_end(f);
	fputs("</section>\n", f);
}

int audit_index(FILE *f, const struct audit *a)
{
	struct queries cited = { 0 };

	markup_head(f, &a->subject, "A", "Audit of claims", "Somebody’s claims "
	    "that addresses shared torrents, each held against what this case "
	    "recorded.");
	write_counts(f, a);
	write_shift(f, a);
	write_table(f, a);
	write_rows(f, a);
	if (section_runs(f, a->subject.cases, &cited)) {
		queries_free(&cited);
		return -1;
	}
	section_checking(f);
	queries_write(&cited, f, &a->subject);
	markup_foot(f);
	return 0;
}

/* --- one claim ------------------------------------------------------------------------ */

/* The mark of a query, its text the one with this claim's values. */
static int cite(FILE *f, const struct audit *a, size_t i, enum asked which,
    struct queries *cited)
{
	struct rows q;

	audit_bind(a, i, which, &q);
	queries_cite_st(cited, f, audit_asks(which), q.st);
	return rows_close(&q);
}

/* When something was so, which may be one moment. */
static void write_when(FILE *f, const struct facts *c, int64_t from_ns,
    int64_t to_ns)
{
	int64_t bound = facts_bound(c, from_ns);

	markup_moment(f, from_ns, bound);
	if (to_ns > from_ns) {
		fputs(" to ", f);
		markup_moment(f, to_ns, bound);
		fputs(", each", f);
	}
	fputs(" ", f);
	markup_bound(f, bound);
}

/* What the query behind the grounds finds, as it stands. */
static int write_case(FILE *f, const struct audit *a, size_t i,
    struct queries *cited)
{
	char d[WHEN_MAX];
	struct rows q;

	audit_bind(a, i, ASK_CASE, &q);
	fputs("<section>\n<h2>What the case holds about it</h2>\n", f);
	markup_table(f, NULL, "What the case holds");
	fputs("<caption>Kind by kind, and of each kind what is nearest in time. "
	    "A level counts towards the verdict if it is within reach: ", f);
	fprintf(f, "%s, which is the distance allowed and the clock’s bound.",
	    when_span(a->judged[i].reach_ns, d));
	queries_cite_st(cited, f, audit_asks(ASK_CASE), q.st);
	fputs("</caption>\n<thead><tr><th scope=col>What</th><th scope=col "
	    "class=n>How many</th><th scope=col>The nearest, from and to (UTC)</th><th "
	    "scope=col>From the claimed time</th><th scope=col "
	    "class=n>Port</th><th scope=col class=n>Record</th></tr></thead>\n"
	    "<tbody>\n", f);
	while (rows_next(&q)) {
		fprintf(f, "<tr><th scope=row>%s", rows_text(&q, 0));
		if (!rows_null(&q, 1)) {
			fputs(" ", f);
			markup_level(f, (int)rows_int(&q, 1));
		}
		fputs("</th>", f);
		if (rows_null(&q, 2))
			fputs("<td class=n>not known</td>", f);
		else
			markup_cell(f, rows_int(&q, 2));
		fputs("<td>", f);
		if (rows_null(&q, 3))
			fputs("–", f);
		else
			write_when(f, a->subject.cases, rows_int(&q, 3),
			    rows_int(&q, 4));
		fprintf(f, "</td><td>%s</td><td class=n>", rows_null(&q, 5) ?
		    "–" : rows_int(&q, 5) == 0 ? "covers it" :
		    when_span(rows_int(&q, 5), d));
		fputs(rows_null(&q, 7) ? "–" : rows_text(&q, 7), f);
		if (rows_null(&q, 6))
			fputs("</td><td class=n>–</td></tr>\n", f);
		else
			fprintf(f, "</td><td class=n><span class=rec>#%lld"
			    "</span></td></tr>\n",
			    (long long)rows_int(&q, 6));
	}
	markup_table_end(f);
	fputs("<p>Of a kind that has no row the case holds nothing about "
	    "this address, port and torrent.</p>\n"
	    "</section>\n", f);
	return rows_close(&q);
}

static int write_side(FILE *f, const struct audit *a, size_t of, bool against,
    struct queries *cited)
{
	const struct judged *j = &a->judged[of];

	size_t n = 0;
	int failed = 0;

	for (size_t i = 0; i < j->reasons; i++) {
		const struct reason *r = &j->reason[i];

		if (r->against != against)
			continue;
		n++;
		fputs("<li>", f);
		html_plain(f, r->text);
		if (r->seq >= 0)
			fprintf(f, " <span class=recs>Record <span class=rec>"
			    "#%lld</span></span>", (long long)r->seq);
		if (r->asked != ASK_NOTHING)
			failed |= cite(f, a, of, r->asked, cited);
		fputs("</li>\n", f);
	}
	if (n == 0)
		fprintf(f, "<li>nothing in this case</li>\n");
	return failed;
}

static void write_claimed(FILE *f, const struct claim *c)
{
	char t[WHEN_MAX];

	fputs("<section>\n<h2>What is claimed</h2>\n<dl>\n", f);
	markup_term(f, "Address");
	address(f, c);
	fputs("</dd>\n", f);
	markup_term(f, "Port");
	port(f, c);
	fputs("</dd>\n", f);
	markup_term(f, "Time");
	claimed_time(f, c);
	if (c->timed && c->session)
		fprintf(f, " to <time>%s</time>", when_text(c->to_utc_ns,
		    BOUND_UNKNOWN, t));
	fputs(", written ", f);
	html_clip(f, c->text[2], 80);
	fputs("</dd>\n", f);
	markup_term(f, "Infohash");
	markup_code(f, c->infohash[0] ? c->infohash : c->text[3]);
	fputs("</dd>\n", f);
	markup_given(f, "Client", c->client);
	markup_given(f, "File or title", c->file);
	if (c->pieces >= 0) {
		markup_term(f, "Pieces");
		html_number(f, c->pieces);
		fputs("</dd>\n", f);
	}
	if (c->bytes >= 0) {
		markup_term(f, "Bytes");
		html_number(f, c->bytes);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n</section>\n", f);
}

/* What it would take to go further than the level found. */
static const char *missing(int level)
{
	switch (level) {
	case -1:
		return "Records of that address, port and time: packets, a "
		    "ledger, or the claimant’s own logs.";
	case 0:
		return "A connection with that address and port: whoever named "
		    "it may have been wrong, or have named it long after it "
		    "was gone.";
	case 1:
		return "A handshake that bears this infohash.";
	case 2:
		return "A claim to hold pieces; better, data.";
	case 3:
		return "Data: one whole piece that matches the torrent’s hash.";
	case 4:
		return "The rest of a piece, so that it can be held against "
		    "the torrent’s hash.";
	default:
		return "Of what was delivered nothing is missing: the piece "
		    "matched.";
	}
}

static void write_missing(FILE *f, const struct audit *a,
    const struct judged *j)
{
	fprintf(f, "<section>\n<h2>What would be needed to go further</h2>\n"
	    "<ul>\n<li>%s</li>\n", missing(j->level));
	if (j->level >= 5)
		fputs("<li>That the torrent is the work: a comparison of a "
		    "lawful copy with it.</li>\n", f);
	fputs("<li>Who: the access provider’s records for this address, port "
	    "and time, with the bound of both clocks; and then the device. "
	    "Nothing here says who used it.</li>\n", f);
	if (a->subject.cases->imported)
		fputs("<li>Where the evidence is imported: who recorded the "
		    "packets, with what clock, and who kept them since.</li>\n",
		    f);
	fputs("</ul>\n</section>\n", f);
}

int audit_claim(FILE *f, const struct audit *a, size_t i)
{
	const struct claim *c = &a->claims.at[i];
	const struct judged *j = &a->judged[i];
	const struct ladder *l = ladder_at(j->level);
	struct queries cited = { 0 };
	int r = 0;
	char title[64], exhibit[32], t[WHEN_MAX], d[WHEN_MAX];

	snprintf(title, sizeof(title), "Claim %zu, line %lld", i + 1,
	    (long long)c->line);
	snprintf(exhibit, sizeof(exhibit), "A-%zu", i + 1);
	markup_head(f, &a->subject, exhibit, title, "One row of a table of "
	    "claims, held against what this case recorded.");
	fprintf(f, "<p><a href=\"index.html\">All claims</a></p>\n<section>\n"
	    "<h2>Verdict</h2>\n<p class=verdict><strong>%s</strong></p>\n",
	    verdict_name(j->verdict));
	for (size_t k = 0; k < sizeof(meanings) / sizeof(meanings[0]); k++)
		if (meanings[k].verdict == j->verdict)
			fprintf(f, "<p>%s</p>\n", meanings[k].means);
	fputs("<dl>\n", f);
	if (j->verdict != VERDICT_UNREADABLE) {
		markup_term(f, "Level");
		if (j->level >= 0) {
			markup_level(f, j->level);
			fprintf(f, ": %s This does not show %s.%s", l->observed,
			    l->not_shown, a->subject.cases->imported ?
			    " (Where the packets are somebody else’s, the "
			    "observer of these words is the other end of the "
			    "recorded conversation.)" : "");
		} else {
			fprintf(f, "none within %s of the claimed time",
			    when_span(a->within_ns, t));
		}
		r |= cite(f, a, i, ASK_CASE, &cited);
		fputs("</dd>\n", f);
	}
	if (j->has_nearest) {
		markup_term(f, "Nearest observation");
		write_when(f, a->subject.cases, j->from_ns, j->to_ns);
		fprintf(f, "; %s%s", j->distance_ns == 0 ?
		    "that covers the claimed time" :
		    when_span(j->distance_ns, d), j->distance_ns == 0 ? "" :
		    j->before ? " before the claimed time" :
		    " after the claimed time");
		if (j->nearest_seq >= 0)
			fprintf(f, " <span class=recs>Record <span class=rec>"
			    "#%lld</span></span>", (long long)j->nearest_seq);
		r |= cite(f, a, i, ASK_CASE, &cited);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n</section>\n<section>\n<h2>The grounds</h2>\n<div "
	    "class=scales>\n<div>\n<h3>For the claim</h3>\n<ul>\n", f);
	r |= write_side(f, a, i, false, &cited);
	fputs("</ul>\n</div>\n<div>\n<h3>Against it, or limiting it</h3>\n"
	    "<ul>\n", f);
	r |= write_side(f, a, i, true, &cited);
	fputs("</ul>\n</div>\n</div>\n</section>\n", f);
	if (j->verdict != VERDICT_UNREADABLE)
		r |= write_case(f, a, i, &cited);
	write_claimed(f, c);
	write_missing(f, a, j);
	queries_write(&cited, f, &a->subject);
	markup_foot(f);
	return r;
}
