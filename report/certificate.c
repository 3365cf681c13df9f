#include "report/certificate.h"

#include "report/html.h"
#include "report/markup.h"
#include "report/rows.h"
#include "report/when.h"
#include "version.h"

static const char draft[] =
    "<p class=custody><strong>A draft.</strong> It holds facts and digests that "
    "the program wrote, and blanks. Nobody has certified anything by it. Who "
    "signs must know what they state, strike what they do not know, and hold "
    "the text against the rule as it stands.</p>\n";

static void blank(FILE *f, const char *what)
{
	fprintf(f, "<p class=blank><span>%s</span></p>\n", what);
}

static void signature(FILE *f)
{
	fputs("<h2>Signature</h2>\n", f);
	blank(f, "Form of oath, affirmation or declaration that the court "
	    "requires");
	blank(f, "Place and date");
	blank(f, "Signature and printed name");
}

/* --- FRE 902(13) --------------------------------------------------------------------- */

static void write_run(FILE *f, const struct facts *c, size_t i)
{
	const struct run_fact *r = &c->run[i];

	fprintf(f, "<tr><th scope=row>#%lld</th><td>", (long long)r->seq);
	markup_moment(f, r->from_utc_ns, r->bound_ns);
	fputs("<br>", f);
	markup_moment(f, r->to_utc_ns, r->bound_ns);
	fputs("</td><td>", f);
	html_text(f, r->program);
	fputs(" ", f);
	html_text(f, r->version);
	fputs(", commit ", f);
	html_text(f, r->commit);
	if (r->executable_sha256) {
		fputs("<br><code>", f);
		html_plain(f, r->executable_sha256);
		fputs("</code>", f);
	}
	fputs("</td><td>", f);
	markup_bound(f, r->bound_ns);
	fprintf(f, "</td><td>%s</td></tr>\n", r->ended ? r->ended_ok ?
	    "ended in order" : "ended, not in order" : "has no end record");
}

static void write_selftests(FILE *f, const struct facts *c)
{
	int64_t all, good;

	all = rows_number(c->db, "SELECT count(*) FROM about AS a JOIN "
	    "evidence.record AS r ON r.seq = a.seq WHERE a.kind = 'selftest'",
	    NULL, 0);
	good = rows_number(c->db, "SELECT count(*) FROM about AS a JOIN "
	    "evidence.record AS r ON r.seq = a.seq WHERE a.kind = 'selftest' "
	    "AND r.detail ->> 'ok'", NULL, 0);
	fputs("<p>Self-tests recorded (known answers of the hashes, the "
	    "signature and the tree): ", f);
	html_number(f, good);
	fputs(" of ", f);
	html_number(f, all);
	fputs(" passed.</p>\n", f);
}

int certificate_process(FILE *f, const struct subject *s)
{
	markup_head(f, s, "C1", "Draft certificate: records of an electronic "
	    "process", "For US Federal Rule of Evidence 902(13).");
	fputs(draft, f);
	fputs("<section>\n<h2>Who certifies</h2>\n", f);
	blank(f, "Name");
	blank(f, "Position, employer, address");
	blank(f, "Training and experience that qualify you to speak of this "
	    "process");
	blank(f, "Whether you ran it yourself; if not, who did and how you know");
	fputs("</section>\n<section>\n<h2>The process</h2>\n<p>A program joined "
	    "BitTorrent swarms as one peer among others and wrote each thing "
	    "that it received or did as a numbered record into a database, "
	    "evidence.db. A record is never changed. All are leaves of a hash "
	    "tree, whose head is signed with an Ed25519 key each time records "
	    "are committed. Exhibit A says in plain words what each run was "
	    "told to do and did. The program is open source; its documents "
	    "state every table, record and hash.</p>\n", f);
	for (size_t i = 0; i < s->n; i++) {
		const struct facts *c = &s->cases[i];

		fputs("<h3>Case ", f);
		html_text(f, c->name);
		fputs("</h3>\n<p>Case id ", f);
		markup_code(f, c->case_id);
		fputs(", ", f);
		html_count(f, c->records, "record", "records");
		fputs(".</p>\n", f);
		markup_table(f, NULL, "Runs of case %zu", i + 1);
		fputs("<thead><tr><th scope=col>Record</th>"
		    "<th scope=col>From, to (UTC)</th><th scope=col>Program and "
		    "SHA-256 of its executable</th><th scope=col>Clock</th>"
		    "<th scope=col>End</th></tr></thead>\n<tbody>\n", f);
		for (size_t k = 0; k < c->runs; k++)
			write_run(f, c, k);
		markup_table_end(f);
		write_selftests(f, c);
	}
	fputs("</section>\n<section>\n<h2>That it produces an accurate result"
	    "</h2>\n<p>The program states no such thing of itself. What can be "
	    "looked at: the self-tests above; the test suite that comes with "
	    "the source, which runs it against real clients whose contents the "
	    "tests made; the limits in Exhibit A; and that anyone can check "
	    "every record, signature and hash without the program.</p>\n", f);
	blank(f, "Why you hold that the process produces an accurate result, "
	    "and what you did to find out");
	blank(f, "Deviations, faults and repairs known to you during these "
	    "runs");
	fputs("</section>\n<section>\n", f);
	signature(f);
	fputs("</section>\n", f);
	markup_foot(f);
	return 0;
}

/* --- FRE 902(14) --------------------------------------------------------------------- */

static int write_case_files(FILE *f, const struct facts *c)
{
	struct rows q;

	fputs("<tr><th scope=row>", f);
	html_text(f, c->name);
	fputs("/evidence.db</th><td>", f);
	if (c->digest[0])
		markup_code(f, c->digest);
	else
		fputs(c->sealed ? "not computed for this report; the "
		    "checkpoint below covers its records" : "not sealed: it "
		    "has no digest yet", f);
	fputs("</td></tr>\n", f);
	rows_open(&q, c->db, "SELECT r.detail ->> 'file', r.detail ->> 'sha256' "
	    "FROM about AS a JOIN evidence.record AS r ON r.seq = a.seq WHERE "
	    "a.kind = 'packets' ORDER BY a.seq", NULL);
	while (rows_next(&q)) {
		fputs("<tr><th scope=row>", f);
		html_text(f, c->name);
		fputs("/", f);
		html_text(f, rows_text(&q, 0));
		fputs("</th><td>", f);
		markup_code(f, rows_text(&q, 1));
		fputs("</td></tr>\n", f);
	}
	return rows_close(&q);
}

static void open_files(FILE *f, const char *caption)
{
	markup_table(f, "digests", "%s", caption);
	fprintf(f, "<caption>%s</caption>\n<thead><tr><th scope=col>File</th>"
	    "<th scope=col>SHA-256</th></tr></thead>\n<tbody>\n", caption);
}

int certificate_copies(FILE *f, const struct subject *s,
    const struct manifest *m)
{
	markup_head(f, s, "C2", "Draft certificate: copies of electronic data",
	    "For US Federal Rule of Evidence 902(14).");
	fputs(draft, f);
	fputs("<section>\n<h2>Who certifies</h2>\n", f);
	blank(f, "Name");
	blank(f, "Position, employer, address");
	blank(f, "Training and experience that qualify you to identify copies "
	    "by their digests");
	fputs("</section>\n<section>\n<h2>The data and the copies</h2>\n"
	    "<p>A copy whose SHA-256 is that of the original is, bit for bit, "
	    "the original. Of a file at hand, <code>sha256sum FILE</code> "
	    "prints it.</p>\n", f);
	open_files(f, "Files of the cases, as this report found or recorded "
	    "them");
	for (size_t i = 0; i < s->n; i++)
		if (write_case_files(f, &s->cases[i]))
			return -1;
	markup_table_end(f);
	open_files(f, "Files of this report");
	for (size_t i = 0; i < m->names; i++)
		if (m->digest[i]) {
			fputs("<tr><th scope=row>", f);
			html_text(f, m->name[i]);
			fprintf(f, "</th><td><code>%s</code></td></tr>\n",
			    m->digest[i]);
		}
	markup_table_end(f);
	fputs("<p>The files written after this one, "
	    "the report’s front page among them, are in MANIFEST.sha256, which "
	    "<code>sha256sum -c MANIFEST.sha256</code> checks.</p>\n", f);
	for (size_t i = 0; i < s->n; i++)
		if (s->cases[i].checkpoint) {
			fputs("<h3>Newest signed checkpoint of case ", f);
			html_text(f, s->cases[i].name);
			fputs("</h3>\n<pre>", f);
			html_plain(f, s->cases[i].checkpoint);
			fputs("</pre>\n", f);
		}
	blank(f, "How and when you made or received the copies, and on what "
	    "medium");
	blank(f, "That you computed the digests of the originals and of the "
	    "copies yourself, with what program, and that they agree");
	fputs("</section>\n<section>\n", f);
	signature(f);
	fputs("</section>\n", f);
	markup_foot(f);
	return 0;
}

/* --- for who testifies --------------------------------------------------------------- */

struct item {
	const char *what, *here;	/* NULL: only a person can say */
};

static void write_items(FILE *f, const struct item *item, size_t n)
{
	fputs("<table class=checklist><thead><tr><th scope=col>What a report "
	    "must hold</th><th scope=col>Where it is here</th><th scope=col>"
	    "Done</th></tr></thead>\n<tbody>\n", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "<tr><th scope=row>%s</th><td>%s</td><td><span "
		    "class=box role=img aria-label=\"to be ticked\"></span></td>"
		    "</tr>\n", item[i].what, item[i].here ? item[i].here :
		    "<em>the witness adds it</em>");
	fputs("</tbody></table>\n", f);
}

int certificate_checklist(FILE *f, const struct subject *s)
{
	static const struct item rule26[] = {
		{ "All opinions, and the basis and reasons for each",
		    "Basis: the levels and statements with their records and "
		    "SQL. The program gives no opinions." },
		{ "The facts or data considered", "evidence.db, the savefiles, "
		    "the CSV and JSON files; their digests are in Exhibit C2" },
		{ "Exhibits that will be used", "The exhibits of this report, "
		    "by letter and digest" },
		{ "Qualifications, and publications of the last ten years",
		    NULL },
		{ "Cases in which the witness testified in the last four years",
		    NULL },
		{ "Compensation for study and testimony", NULL },
		{ "Signature of the witness", NULL },
	};
	static const struct item cpr35[] = {
		{ "Qualifications of the expert", NULL },
		{ "Literature and other material relied on", "The documents of "
		    "the program and the BEPs and RFCs they name; the rest by "
		    "the expert" },
		{ "Facts and instructions that are material to the opinions",
		    "Facts: Exhibit A and the statements. Instructions: by the "
		    "expert" },
		{ "Which facts are within the expert’s own knowledge", NULL },
		{ "Who carried out each examination or test, with what "
		    "qualifications, and whether under the expert’s supervision",
		    "Operator, program, version, time and host of each run: "
		    "Exhibit A. The rest by the expert" },
		{ "The range of opinion where there is one, and reasons for the "
		    "expert’s own", NULL },
		{ "Summary of conclusions", NULL },
		{ "Qualifications of an opinion, stated with it", "What each "
		    "level does not show; cautions; known limits" },
		{ "That the expert understands the duty to the court and has "
		    "complied with it; the statement of truth", NULL },
	};
	static const struct item conduct[] = {
		{ "The software is disclosed, in the version that ran", "Version, "
		    "commit and digest of each run: Exhibit A" },
		{ "Both sides get the same files", "The report is made again "
		    "byte for byte from the same case by the same program" },
		{ "Exhibits agree with the data they come from",
		    "<code>sha256sum -c MANIFEST.sha256</code>; "
		    "<code>swarmwitness verify</code>" },
		{ "What was not observed is said", "“What was not seen”, "
		    "coverage, known limits" },
		{ "Error rates are stated with numerators and denominators",
		    "The method’s document states what was measured; the "
		    "witness says what bears on this case" },
		{ "The witness has read the whole of it and can explain each "
		    "statement", NULL },
	};

	markup_head(f, s, "C3", "Checklist for whoever testifies", "For US "
	    "Federal Rule of Civil Procedure 26(a)(2) and England’s Civil "
	    "Procedure Rules Part 35.");
	fputs("<p class=custody><strong>No legal advice.</strong> The rules are "
	    "put here in short. Hold the list against their text as it "
	    "stands.</p>\n<section>\n<h2>Rule 26(a)(2)(B)</h2>\n", f);
	write_items(f, rule26, sizeof(rule26) / sizeof(rule26[0]));
	fputs("</section>\n<section>\n<h2>CPR Part 35 and its practice "
	    "direction</h2>\n", f);
	write_items(f, cpr35, sizeof(cpr35) / sizeof(cpr35[0]));
	fputs("</section>\n<section>\n<h2>What evidence of this kind failed for "
	    "before</h2>\n", f);
	write_items(f, conduct, sizeof(conduct) / sizeof(conduct[0]));
	fputs("</section>\n", f);
	markup_foot(f);
	return 0;
}
