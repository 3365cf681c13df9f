#include "report/sections.h"

#include <string.h>

#include "report/caution.h"
#include "report/html.h"
#include "report/markup.h"
#include "report/method.h"
#include "report/queries.h"
#include "report/rows.h"
#include "report/when.h"

/* --- what can be asked again --------------------------------------------------- */

/* The records of one kind of a run, ?1 its first, ?2 its last. */
#define OF_RUN(kind) " FROM about AS a JOIN evidence.record AS r ON r.seq = " \
	"a.seq WHERE a.kind = '" kind "' AND a.seq BETWEEN CAST(?1 AS " \
	"INTEGER) AND ?2"
#define D(key) "r.detail ->> '" key "'"
#define CLOCK(what) "count(*) FILTER (WHERE " what ")"

static const struct {
	const char *what, *sql;
} of_run[] = {
	{ "what it recorded of itself, and when it began and last wrote",
	    "SELECT a.utc_ns, z.utc_ns, a.detail FROM evidence.record AS a, "
	    "evidence.record AS z WHERE a.seq = CAST(?1 AS INTEGER) AND z.seq "
	    "= (SELECT max(seq) FROM evidence.record WHERE seq <= ?2)" },
	{ "how it ended", "SELECT r.seq, " D("why") ", " D("ok") ", "
	    D("piece_bytes_sent") OF_RUN("end") " ORDER BY a.seq LIMIT 1" },
	{ "its clock: questions to time sources, answers that gave a bound, "
	    "times it was set, times the host slept, the widest bound "
	    "measured, and the records", "SELECT " CLOCK("s NOT IN ('step', "
	    "'suspend')") ", " CLOCK("s NOT IN ('step', 'suspend') AND b >= 0")
	    ", " CLOCK("s = 'step'") ", " CLOCK("s = 'suspend'") ", max(b) "
	    "FILTER (WHERE s NOT IN ('step', 'suspend') AND b >= 0), "
	    "group_concat(seq) FROM (SELECT r.seq, " D("source") " AS s, "
	    D("bound_ns") " AS b" OF_RUN("clock") " AND " D("source")
	    " IS NOT NULL ORDER BY a.seq)" },
	{ "its packets: savefiles, packets, bytes, dropped by the kernel and "
	    "by the interface, salvaged, and the records", "SELECT count(*), "
	    "sum(p), sum(b), sum(k), sum(i), sum(s), group_concat(seq) FROM "
	    "(SELECT r.seq, " D("packets") " AS p, " D("bytes") " AS b, "
	    D("dropped_kernel") " AS k, " D("dropped_interface") " AS i, "
	    D("salvaged") " AS s" OF_RUN("packets") " ORDER BY a.seq)" },
	{ "its stalls: how many, ns in all, datagrams dropped, and the records",
	    "SELECT count(*), sum(z - a), sum(d), group_concat(seq) FROM "
	    "(SELECT r.seq, " D("from_utc_ns") " AS a, " D("to_utc_ns") " AS "
	    "z, " D("dropped") " AS d" OF_RUN("stall") " ORDER BY a.seq)" },
};
enum asked { ASK_RUN, ASK_END, ASK_CLOCK, ASK_PACKETS, ASK_STALLS };

static void cite(FILE *f, struct queries *cited, const struct facts *c,
    const struct run_fact *r, enum asked k)
{
	char from[24], what[256];
	struct rows q;

	snprintf(from, sizeof(from), "%lld", (long long)r->seq);
	snprintf(what, sizeof(what), "The run of record #%s: %s", from,
	    of_run[k].what);
	rows_open(&q, c->db, of_run[k].sql, from);
	if (!q.failed)
		sqlite3_bind_int64(q.st, 2, r->last_seq);
	queries_cite_st(cited, f, what, q.st);
	rows_close(&q);
}

/* --- the case --------------------------------------------------------------- */

static void write_clock(FILE *f, const struct facts *c,
    const struct run_fact *r, struct queries *cited)
{
	markup_term(f, "Clock");
	if (r->imported) {
		fputs("as the imported files have it: nobody here measured it, "
		    "and the bound of every time is unknown", f);
		cite(f, cited, c, r, ASK_CLOCK);
		fputs("</dd>\n", f);
		return;
	}
	if (r->bound_ns < 0) {
		fputs("no time source was ever reached: the bound of every "
		    "time is unknown", f);
	} else {
		fputs("all times of this run are UTC by the observer’s clock, ",
		    f);
		markup_bound(f, r->bound_ns);
		fputs(r->clock_steps ? " (the widest bound measured, and what "
		    "the clock was set by where nobody measured)" :
		    " (the widest bound measured)", f);
	}
	fprintf(f, "; %lld of %lld questions to time sources gave a bound",
	    (long long)r->clock_answered, (long long)r->clock_asked);
	if (r->clock_steps) {
		fputs("; <b>the clock was set ", f);
		html_count(f, r->clock_steps, "time", "times");
		fputs("</b>: the order of records is theirs in the ledger, not "
		    "that of their times", f);
	}
	if (r->clock_suspends) {
		fputs("; the host slept ", f);
		html_count(f, r->clock_suspends, "time", "times");
	}
	cite(f, cited, c, r, ASK_CLOCK);
	fputs("</dd>\n", f);
}

static void write_packets(FILE *f, const struct facts *c,
    const struct run_fact *r, struct queries *cited)
{
	markup_term(f, "Packets");
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
	cite(f, cited, c, r, ASK_PACKETS);
	fputs("</dd>\n", f);
	markup_term(f, "Stalls");
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
	cite(f, cited, c, r, ASK_STALLS);
	fputs("</dd>\n", f);
}

void section_run(FILE *f, const struct facts *c, size_t i,
    struct queries *cited)
{
	const struct run_fact *r = &c->run[i];
	char t[WHEN_MAX];

	fprintf(f, "<h3>Run %zu of %zu, record <span class=rec>#%lld</span>"
	    "</h3>\n<dl>\n", i + 1, c->runs, (long long)r->seq);
	markup_term(f, "Time");
	markup_moment(f, r->from_utc_ns, r->bound_ns);
	fputs(" to ", f);
	markup_moment(f, r->to_utc_ns, r->bound_ns);
	fputs(", each ", f);
	markup_bound(f, r->bound_ns);
	fprintf(f, " (%s)", when_span(r->to_utc_ns - r->from_utc_ns, t));
	cite(f, cited, c, r, ASK_RUN);
	fputs("</dd>\n", f);
	markup_term(f, "How it ended");
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
	cite(f, cited, c, r, ASK_END);
	fputs("</dd>\n", f);
	markup_given(f, "Operator", r->operator);
	markup_given(f, "Purpose", r->purpose);
	markup_given(f, "Legal ground, as given", r->ground);
	markup_given(f, "Retention, as given", r->retention);
	markup_term(f, "Program");
	html_text(f, r->program);
	fputs(" ", f);
	html_text(f, r->version);
	fputs(", commit ", f);
	html_text(f, r->commit);
	if (r->executable_sha256) {
		fputs(", SHA-256 of the executable ", f);
		markup_code(f, r->executable_sha256);
	}
	fputs("</dd>\n", f);
	markup_given(f, "Command", r->command);
	markup_given(f, "Host", r->host);
	markup_given(f, "Observer’s addresses", r->vantage);
	write_clock(f, c, r, cited);
	write_packets(f, c, r, cited);
	if (r->ended) {
		markup_term(f, "Content sent to peers");
		html_count(f, r->piece_bytes_sent, "byte", "bytes");
		fputs(" of pieces", f);
		cite(f, cited, c, r, ASK_END);
		fputs("</dd>\n", f);
	}
	if (r->fingerprint) {
		markup_term(f, "Signing key");
		markup_code(f, r->fingerprint);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n", f);
}

#define LEDGER "SELECT max(seq) + 1, (SELECT value FROM evidence.meta WHERE " \
	"name = 'case_id'), (SELECT count(*) FROM about WHERE kind = " \
	"'erased'), (SELECT count(*) FROM contact WHERE swarm IS NULL) FROM " \
	"evidence.record"

void section_ledger(FILE *f, const struct facts *c, struct queries *cited)
{
	fputs("<dl>\n", f);
	markup_term(f, "Case id");
	markup_code(f, c->case_id);
	fputs("</dd>\n", f);
	markup_term(f, "Ledger");
	html_count(f, c->records, "record", "records");
	queries_cite_sql(cited, f, "The ledger: records, case id, erasures, "
	    "incoming conversations that named none of the torrents", c->db,
	    LEDGER, NULL);
	if (c->sealed) {
		fputs(", sealed", f);
		if (c->digest[0]) {
			fputs("; SHA-256 of evidence.db ", f);
			markup_code(f, c->digest);
		}
	} else {
		fputs(", not sealed: a run was writing, or was cut short", f);
	}
	fputs("</dd>\n", f);
	markup_term(f, "Erasures");
	fprintf(f, "%lld</dd>\n", (long long)c->erased);
	if (c->strangers > 0) {
		markup_term(f, "Incoming conversations that named none of these "
		    "torrents");
		html_number(f, c->strangers);
		fputs("</dd>\n", f);
	}
	fputs("</dl>\n", f);
}

int section_runs(FILE *f, const struct facts *c, struct queries *cited)
{
	fputs("<section>\n<h2>How case ", f);
	html_text(f, c->name);
	fputs(" was made</h2>\n", f);
	section_ledger(f, c, cited);
	for (size_t i = 0; i < c->runs; i++) {
		section_run(f, c, i, cited);
		if (method_run(f, c, i, cited))
			return -1;
	}
	if (c->runs == 0)
		fputs("<p>The ledger holds no run.</p>\n", f);
	fputs("</section>\n", f);
	return 0;
}

/* --- what stands at the end --------------------------------------------------- */

void section_cautions(FILE *f)
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

void section_databases(FILE *f, const struct subject *s)
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
		markup_given(f, "Type", d->mmdb.metadata.database_type);
		markup_term(f, "Built");
		fprintf(f, "<time>%s</time></dd>\n", when_text(
		    geo_built_ns(d), BOUND_UNKNOWN, t));
		markup_term(f, "Size");
		html_count(f, d->bytes, "byte", "bytes");
		fputs("</dd>\n", f);
		markup_term(f, "SHA-256");
		fprintf(f, "<code>%s</code></dd>\n", d->sha256);
		markup_term(f, "In the ledger");
		fputs(recorded(s, d->sha256) ?
		    "yes: a run recorded this digest" :
		    "no: the database was chosen for this report", f);
		fputs("</dd>\n</dl>\n", f);
	}
	fputs("</section>\n", f);
}

void section_checking(FILE *f)
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

