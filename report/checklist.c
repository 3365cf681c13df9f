/* checklist.html: what a report of an expert must hold, by the rules of two
 * countries, and where this report has it. */
#include "report/certificate.h"

#include "report/markup.h"

struct item {
	const char *rule;		/* its paragraph */
	const char *what, *here;	/* here NULL: only a person can say */
};

static const struct item rule26[] = {
	{ "(i)", "A complete statement of all opinions the witness will "
	    "express, and the basis and reasons for them", "Basis: the levels "
	    "and statements with their records and SQL. The program gives no "
	    "opinions." },
	{ "(ii)", "The facts or data the witness considered in forming them",
	    "evidence.db, the savefiles, the CSV and JSON files; their digests "
	    "are in Exhibit C2. What else was considered, the witness adds" },
	{ "(iii)", "Exhibits that will be used to summarise or support them",
	    "The exhibits of this report, by letter and digest" },
	{ "(iv)", "The witness’s qualifications, with all publications of the "
	    "previous 10 years", NULL },
	{ "(v)", "All other cases of the previous 4 years in which the witness "
	    "testified as an expert, at trial or by deposition", NULL },
	{ "(vi)", "The compensation to be paid for study and testimony",
	    NULL },
	{ "26(a)(2)(B)", "The report is prepared and signed by the witness",
	    NULL },
	{ "26(e)(2)", "What changes or is added later is disclosed by the time "
	    "pretrial disclosures are due", "A report made again says by its "
	    "digests whether anything changed" },
};

static const struct item cpr35[] = {
	{ "PD 3.1", "The report is addressed to the court, not to a party",
	    NULL },
	{ "PD 3.2(1)", "Details of the expert’s qualifications", NULL },
	{ "PD 3.2(2)", "Details of literature and other material relied on",
	    "The documents of the program and the BEPs and RFCs they name; the "
	    "rest by the expert" },
	{ "PD 3.2(3); r. 35.10(3)", "The substance of all facts and "
	    "instructions, written or oral, that are material to the opinions",
	    "Facts: Exhibit A and the statements. Instructions: by the "
	    "expert" },
	{ "PD 3.2(4)", "Which of the facts are within the expert’s own "
	    "knowledge", NULL },
	{ "PD 3.2(5)", "Who carried out each examination, measurement, test or "
	    "experiment, with what qualifications, and whether under the "
	    "expert’s supervision", "Operator, program, version, time and host "
	    "of each run: Exhibit A. The rest by the expert" },
	{ "PD 3.2(6)", "Where there is a range of opinion: the range, "
	    "summarised, and reasons for the expert’s own", NULL },
	{ "PD 3.2(7)", "A summary of the conclusions", NULL },
	{ "PD 3.2(8)", "An opinion that cannot be given without qualification: "
	    "the qualification", "What each level does not show; cautions; "
	    "known limits" },
	{ "PD 3.2(9); r. 35.10(2)", "A statement that the expert understands "
	    "the duty to the court and has complied with it, and is aware of "
	    "Part 35, its practice direction and the Guidance for the "
	    "Instruction of Experts in Civil Claims", NULL },
	{ "PD 3.3", "The statement of truth in its prescribed words, since 1 "
	    "October 2020 with the sentence on contempt of court", NULL },
	{ "PD 2.3, 2.4", "All material facts, also those that detract from the "
	    "opinion; what lies outside the expertise, and where no definite "
	    "opinion can be reached", "What speaks against a finding stands "
	    "beside it; what was not seen is said" },
};

static const struct item conduct[] = {
	{ "18, 20", "The software is disclosed, in the version that ran",
	    "Version, commit and digest of each run: Exhibit A" },
	{ "21", "Both sides get the same files", "The report is made again "
	    "byte for byte from the same case by the same program" },
	{ "21", "Exhibits agree with the data they come from",
	    "<code>sha256sum -c MANIFEST.sha256</code>; <code>swarmwitness "
	    "verify</code>" },
	{ "1, 4", "What was not observed is said", "“What was not seen”, "
	    "coverage, known limits" },
	{ "19", "Error rates are stated with numerators and denominators",
	    "The method’s document states what was measured; the witness says "
	    "what bears on this case" },
	{ "21, 23", "The witness has read the whole of it and can explain each "
	    "statement", NULL },
};

static void write_items(FILE *f, const char *label, const char *rule,
    const struct item *item, size_t n)
{
	markup_table(f, "checklist", "%s", label);
	fprintf(f, "<thead><tr><th scope=col>%s</th><th scope=col>What a "
	    "report must hold</th><th scope=col>Where it is here</th>"
	    "<th scope=col>Done</th></tr></thead>\n<tbody>\n", rule);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "<tr><td>%s</td><th scope=row>%s</th><td>%s</td><td>"
		    "<span class=box role=img aria-label=\"to be ticked\">"
		    "</span></td></tr>\n", item[i].rule, item[i].what,
		    item[i].here ? item[i].here :
		    "<em>the witness adds it</em>");
	markup_table_end(f);
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

int certificate_checklist(FILE *f, const struct subject *s)
{
	markup_head(f, s, "C3", "Checklist for whoever testifies", "For US "
	    "Federal Rule of Civil Procedure 26(a)(2) and England’s Civil "
	    "Procedure Rules Part 35.");
	fputs("<p class=custody><strong>No legal advice.</strong> The rules are "
	    "put here in short, paragraph by paragraph, as published copies "
	    "had them in November 2026: Rule 26 since its amendment of 2010, "
	    "Practice Direction 35 with the amendment of 1 October 2020. Hold "
	    "the list against their text as it stands.</p>\n<section>\n<h2>"
	    "Rule 26(a)(2)(B)</h2>\n", f);
	write_items(f, "Rule 26(a)(2)(B)", "Item", rule26, N(rule26));
	fputs("</section>\n<section>\n<h2>CPR Part 35 and its practice "
	    "direction (PD)</h2>\n", f);
	write_items(f, "CPR Part 35", "Paragraph", cpr35, N(cpr35));
	fputs("</section>\n<section>\n<h2>What evidence of this kind failed for "
	    "before</h2>\n<p>Rows of section 3 of docs/method.md.</p>\n", f);
	write_items(f, "What evidence failed for", "Rows", conduct,
	    N(conduct));
	fputs("</section>\n", f);
	markup_foot(f);
	return 0;
}
