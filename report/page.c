#include "report/page.h"

#include <string.h>
#include <time.h>

#include "report/caution.h"
#include "report/html.h"
#include "report/ladder.h"
#include "report/rows.h"
#include "report/when.h"
#include "style_css.h"
#include "version.h"

/* --- pieces of markup ------------------------------------------------------- */

static void term(FILE *f, const char *name)
{
	fprintf(f, "<dt>%s</dt><dd>", name);
}

/* A term whose text somebody else wrote; nothing if there is none. */
static void given(FILE *f, const char *name, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	term(f, name);
	html_text(f, text);
	fputs("</dd>\n", f);
}

static void code(FILE *f, const char *text)
{
	fputs("<code>", f);
	html_text(f, text);
	fputs("</code>", f);
}

static void moment(FILE *f, int64_t utc_ns, int64_t bound_ns)
{
	char t[WHEN_MAX];

	fprintf(f, "<time>%s</time>", when_text(utc_ns, bound_ns, t));
}

static void bound(FILE *f, int64_t bound_ns)
{
	char t[WHEN_MAX];

	fprintf(f, "<span class=bound>%s</span>", when_bound(bound_ns, t));
}

/* --- the frame --------------------------------------------------------------- */

static void write_head(FILE *f, const struct subject *s)
{
	fputs("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
	    "<meta name=viewport content=\"width=device-width, "
	    "initial-scale=1\">\n"
	    "<meta name=color-scheme content=\"light dark\">\n"
	    "<meta http-equiv=Content-Security-Policy content=\"default-src "
	    "'none'; style-src 'unsafe-inline'\">\n<title>swarmwitness report: ",
	    f);
	for (size_t i = 0; i < s->n; i++) {
		fputs(i ? ", " : "", f);
		html_plain(f, s->cases[i].name);
	}
	fprintf(f, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n",
	    (const char *)style_css);
}

static void write_intro(FILE *f, const struct subject *s)
{
	fputs("<header>\n<p class=kicker>swarmwitness report</p>\n"
	    "<h1>What was observed in BitTorrent swarms</h1>\n<p class=lead>",
	    f);
	for (size_t i = 0; i < s->n; i++) {
		fputs(i ? ", case " : "Case ", f);
		html_text(f, s->cases[i].name);
	}
	fputs("</p>\n</header>\n<section>\n"
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

/* --- the case --------------------------------------------------------------- */

static void write_clock(FILE *f, const struct run_fact *r)
{
	term(f, "Clock");
	if (r->bound_ns < 0) {
		fputs("no time source was ever reached: the bound of every "
		    "time is unknown", f);
	} else {
		fputs("all times of this run are UTC by the observer’s clock, ",
		    f);
		bound(f, r->bound_ns);
		fputs(" (the widest bound measured)", f);
	}
	fprintf(f, "; %lld of %lld questions to time sources gave a bound",
	    (long long)r->clock_answered, (long long)r->clock_asked);
	if (r->clock_steps) {
		fputs("; the clock was set or the host slept ", f);
		html_count(f, r->clock_steps, "time", "times");
	}
	fputs("</dd>\n", f);
}

static void write_packets(FILE *f, const struct run_fact *r)
{
	term(f, "Packets");
	if (r->savefiles == 0) {
		fputs("none were kept", f);
		if (r->no_packets) {
			fputs(": ", f);
			html_text(f, r->no_packets);
		}
	} else {
		html_count(f, r->packets, "packet", "packets");
		fputs(" in ", f);
		html_count(f, r->savefiles, "savefile", "savefiles");
		fputs(", ", f);
		html_count(f, r->packet_bytes, "byte", "bytes");
		fputs("; dropped by the kernel ", f);
		html_number(f, r->dropped_kernel);
		fputs(", by the interface ", f);
		html_number(f, r->dropped_interface);
		if (r->salvaged) {
			fputs("; ", f);
			html_count(f, r->salvaged, "file", "files");
			fputs(" salvaged after a crash", f);
		}
	}
	fputs("</dd>\n", f);
	term(f, "Stalls");
	if (r->stalls == 0) {
		fputs("none", f);
	} else {
		char t[WHEN_MAX];

		html_count(f, r->stalls, "time", "times");
		fprintf(f, " the observer lagged, %s in all; datagrams "
		    "dropped: %lld. What stayed silent meanwhile proves "
		    "nothing.", when_span(r->stalled_ns, t),
		    (long long)r->stall_dropped);
	}
	fputs("</dd>\n", f);
}

static void write_run(FILE *f, const struct facts *c, size_t i)
{
	const struct run_fact *r = &c->run[i];
	char t[WHEN_MAX];

	fprintf(f, "<h3>Run %zu of %zu</h3>\n<dl>\n", i + 1, c->runs);
	term(f, "Time");
	moment(f, r->from_utc_ns, r->bound_ns);
	fputs(" to ", f);
	moment(f, r->to_utc_ns, r->bound_ns);
	fprintf(f, " (%s)</dd>\n",
	    when_span(r->to_utc_ns - r->from_utc_ns, t));
	term(f, "How it ended");
	if (r->ended) {
		html_text(f, r->end_why);
		fputs(r->ended_ok ? "" : " (not cleanly)", f);
	} else if (i + 1 < c->runs || c->sealed) {
		fputs("<strong>it has no end record: it crashed or was "
		    "killed.</strong> The ledger holds what was committed "
		    "until then.", f);
	} else {
		fputs("no end record: it still goes on, or was cut short", f);
	}
	fputs("</dd>\n", f);
	given(f, "Operator", r->operator);
	given(f, "Purpose", r->purpose);
	given(f, "Legal ground, as given", r->ground);
	given(f, "Retention, as given", r->retention);
	term(f, "Program");
	html_text(f, r->program);
	fputs(" ", f);
	html_text(f, r->version);
	fputs(", commit ", f);
	html_text(f, r->commit);
	if (r->executable_sha256) {
		fputs(", SHA-256 of the executable ", f);
		code(f, r->executable_sha256);
	}
	fputs("</dd>\n", f);
	given(f, "Command", r->command);
	given(f, "Host", r->host);
	given(f, "Observer’s addresses", r->vantage);
	write_clock(f, r);
	write_packets(f, r);
	if (r->ended) {
		term(f, "Content sent to peers");
		html_count(f, r->piece_bytes_sent, "byte", "bytes");
		fputs(" of pieces</dd>\n", f);
	}
	if (r->fingerprint) {
		term(f, "Signing key");
		code(f, r->fingerprint);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n", f);
}

static void write_ledger(FILE *f, const struct facts *c)
{
	fputs("<dl>\n", f);
	term(f, "Case id");
	code(f, c->case_id);
	fputs("</dd>\n", f);
	term(f, "Ledger");
	html_count(f, c->records, "record", "records");
	if (c->sealed) {
		fputs(", sealed; SHA-256 of evidence.db ", f);
		code(f, c->digest);
	} else {
		fputs(", not sealed: a run was writing, or was cut short", f);
	}
	fputs("</dd>\n", f);
	term(f, "Erasures");
	fprintf(f, "%lld</dd>\n", (long long)c->erased);
	if (c->strangers) {
		term(f, "Incoming conversations that named none of these "
		    "torrents");
		html_number(f, c->strangers);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n", f);
}

static void write_case(FILE *f, const struct subject *s, size_t i)
{
	const struct facts *c = &s->cases[i];

	fprintf(f, "<section>\n<h2 id=case%zu>Case ", i + 1);
	html_text(f, c->name);
	fputs("</h2>\n", f);
	write_ledger(f, c);
	for (size_t k = 0; k < c->runs; k++)
		write_run(f, c, k);
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

/* --- what stands at the end --------------------------------------------------- */

static void write_cautions(FILE *f)
{
	fputs("<section>\n<h2 id=cautions>What the cautions mean</h2>\n<dl>\n",
	    f);
	for (int i = 0; i < CAUTION_COUNT; i++)
		fprintf(f, "<dt><span class=mark>%s</span></dt><dd>%s</dd>\n",
		    caution_mark((enum caution)i),
		    caution_meaning((enum caution)i));
	fputs("<dt>always</dt><dd>A client’s name and its peer id are what it "
	    "says of itself; anyone can say them. Countries and networks are "
	    "what a database’s makers believed of a block of addresses."
	    "</dd>\n</dl>\n</section>\n", f);
}

static bool recorded(const struct subject *s, const char *sha256)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->cases[i].geos; k++)
			if (!strcmp(s->cases[i].geo[k], sha256))
				return true;
	return false;
}

static void write_databases(FILE *f, const struct subject *s)
{
	fputs("<section>\n<h2 id=databases>Network databases</h2>\n", f);
	if (s->geo->n == 0)
		fputs("<p>None was given, so no country or network is named."
		    "</p>\n", f);
	for (size_t i = 0; i < s->geo->n; i++) {
		const struct geo_db *d = &s->geo->db[i];
		char t[WHEN_MAX];

		fputs("<h3>", f);
		html_text(f, d->file);
		fputs("</h3>\n<dl>\n", f);
		given(f, "Type", d->mmdb.metadata.database_type);
		term(f, "Built");
		fprintf(f, "<time>%s</time></dd>\n", when_text(
		    d->mmdb.metadata.build_epoch > INT64_MAX / 1000000000 ?
		    0 : (int64_t)d->mmdb.metadata.build_epoch * 1000000000,
		    BOUND_UNKNOWN, t));
		term(f, "Size");
		html_count(f, d->bytes, "byte", "bytes");
		fputs("</dd>\n", f);
		term(f, "SHA-256");
		fprintf(f, "<code>%s</code></dd>\n", d->sha256);
		term(f, "In the ledger");
		fputs(recorded(s, d->sha256) ?
		    "yes: a run recorded this digest" :
		    "no: the database was chosen for this report", f);
		fputs("</dd>\n</dl>\n", f);
	}
	fputs("</section>\n", f);
}

static void write_checking(FILE *f)
{
	fputs("<section>\n<h2 id=check>How to check this</h2>\n<ol>\n"
	    "<li>That this report’s files are as they were made: in its "
	    "folder, <code>sha256sum -c MANIFEST.sha256</code>.</li>\n"
	    "<li>That the ledger is whole and signed: <code>swarmwitness "
	    "verify --key FINGERPRINT CASE</code>, with the fingerprint got "
	    "from the operator by another way; or, without this program, "
	    "<code>sqlite3</code> and <code>sha256sum</code> as "
	    "docs/evidence-format.md says.</li>\n"
	    "<li>That this report follows from the ledger: run "
	    "<code>swarmwitness report</code> on the case again; the files "
	    "come out the same, byte for byte. The tables are made by "
	    "schema/derived.sql, which <code>sqlite3</code> runs too.</li>\n"
	    "<li>A number behind # is that of a record: <code>sqlite3 "
	    "evidence.db \"SELECT * FROM record WHERE seq = N OR conn = "
	    "N\"</code> shows it, and all of its conversation.</li>\n"
	    "</ol>\n</section>\n", f);
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

	write_head(f, s);
	write_intro(f, s);
	for (size_t i = 0; i < s->n; i++) {
		write_case(f, s, i);
		if (write_swarms(f, s, &s->cases[i], &number))
			return -1;
	}
	write_cautions(f);
	write_databases(f, s);
	write_checking(f);
	fputs("</main>\n<footer>Made by swarmwitness " SW_VERSION
	    ", commit " SW_COMMIT ", from the case and the databases "
	    "named above, and nothing else."
	    "</footer>\n</body>\n</html>\n", f);
	return 0;
}
