#include "report/page.h"

#include <string.h>

#include "report/address.h"
#include "report/caution.h"
#include "report/html.h"
#include "report/markup.h"
#include "report/page_finding.h"
#include "report/queries.h"
#include "report/sections.h"
#include "report/tell.h"
#include "report/when.h"

#define TOLD_SHOWN 2000		/* the CSV has all */

static void times(FILE *f, int64_t a, int64_t b, int64_t bound)
{
	char x[WHEN_MAX], y[WHEN_MAX];

	when_text(a, bound, x);
	when_text(b, bound, y);
	if (strcmp(x, y) == 0)
		fprintf(f, "<time>%s</time>", x + 11);
	else
		fprintf(f, "<time>%s</time> – <time>%s</time>", x + 11,
		    strncmp(x, y, 10) ? y : y + 11);
}

static int cautions_of(unsigned set)
{
	int n = 0;

	for (int i = 0; i < CAUTION_COUNT; i++)
		n += (set & caution_bit((enum caution)i)) != 0;
	return n;
}

/* --- in short ------------------------------------------------------------------ */

static void write_short(FILE *f, const struct address *a, int *number)
{
	if (a->n == 0) {
		fputs("<p>Nothing about this address is recorded in case ", f);
		html_text(f, a->facts->name);
		fputs(" for the torrents and days asked for.</p>\n", f);
		return;
	}
	markup_table(f, "short", "In short, case %s", a->facts->name);
	fputs("<caption>Case ", f);
	html_text(f, a->facts->name);
	fputs(". One line for each torrent, UTC day and port: "
	    "an address can change hands from one day to the next, and many "
	    "can share it at once.</caption>\n<thead><tr><th scope=col>No.</th>"
	    "<th scope=col>Torrent, as it names itself</th><th scope=col>Day "
	    "(UTC)</th><th scope=col class=n>Port</th><th scope=col>Level "
	    "reached</th><th scope=col>First – last</th><th scope=col class=n>"
	    "Pieces matched</th><th scope=col class=n>Failed</th>"
	    "<th scope=col class=n>Cautions</th></tr></thead>\n<tbody>\n", f);
	for (size_t i = 0; i < a->n; i++) {
		const struct finding *w = &a->at[i];

		++*number;
		fprintf(f, "<tr><th scope=row><a href=\"#finding%d\">%d</a></th>"
		    "<td>", *number, *number);
		html_clip(f, w->name ? w->name : w->swarm, 60);
		fprintf(f, "</td><td><time>%s</time></td><td class=n>%d</td>"
		    "<td>", w->utc_day, w->row.port);
		markup_level(f, w->row.level);
		fputs("</td><td>", f);
		times(f, w->row.first_utc_ns, w->row.last_utc_ns,
		    w->row.bound_ns);
		fputs("</td>", f);
		markup_cell(f, w->row.matched);
		markup_cell(f, w->row.failed);
		markup_cell(f, cautions_of(w->row.cautions));
		fputs("</tr>\n", f);
	}
	markup_table_end(f);
}

/* --- in order -------------------------------------------------------------------- */

static void cell_packet(FILE *f, const struct address *a,
    const struct frame *p)
{
	if (p == NULL)
		fputs("<td>–</td>", f);
	else
		fprintf(f, "<td class=packet>%s&nbsp;%llu</td>",
		    a->frames.file[p->file] + strlen("packets/"),
		    (unsigned long long)p->number);
}

static int write_told(FILE *f, const struct subject *s,
    const struct address *a, struct queries *cited)
{
	const struct facts *c = a->facts;
	struct tell t;
	struct told r;
	int64_t n = 0;

	fputs("<section>\n<h2 id=order>In order</h2>\n<p>Every record of the "
	    "conversations above, and of who named the address first, by "
	    "record number. Times are UTC by the observer’s clock. Packet is the "
	    "last one that the address sent no later than the record: its "
	    "savefile in the case’s folder packets, and its number there, as "
	    "Wireshark counts. The message begins in that packet or an earlier "
	    "one of its conversation, and may end before it: what came in "
	    "several packets is read in one go, so that some of these may be "
	    "of later messages.</p>\n", f);
	if (s->of.from_day || s->of.to_day)
		fputs("<p>Days were asked for. They are whole, whatever time of "
		    "day was given, because levels are those of days; a "
		    "conversation that touches one of them is told whole.</p>"
		    "\n", f);
	if (s->pseudonyms)
		fputs("<p>Under pseudonyms no packets are named.</p>\n", f);
	if (a->frames.unread)
		fprintf(f, "<p>Savefiles that could not be read here: %lld."
		    "</p>\n", (long long)a->frames.unread);
	tell_open(&t, c, &s->of, s->swarm);
	fputs("<p>The query (report/told.sql):", f);
	queries_cite_st(cited, f, "The records of the address in order, each "
	    "with its sentence", t.rows.st);
	fputs("</p>\n", f);
	while (tell_next(&t, &r)) {
		if (n++ >= TOLD_SHOWN)
			continue;
		if (n == 1) {
			markup_table(f, "told", "In order, case %s", c->name);
			fputs("<thead><tr><th scope=col "
			    "class=n>Record</th><th scope=col>Time (UTC)</th>"
			    "<th scope=col class=n>Port</th><th scope=col "
			    "class=n>Conversation</th><th scope=col>Packet</th>"
			    "<th scope=col>What</th></tr></thead>\n<tbody>\n", f);
		}
		fprintf(f, "<tr><th scope=row class=n>#%lld</th><td>",
		    (long long)r.seq);
		markup_moment(f, r.utc_ns, facts_bound(c, r.utc_ns));
		fputs("<br>", f);
		markup_bound(f, facts_bound(c, r.utc_ns));
		fprintf(f, "</td><td class=n>%d</td>", r.port);
		if (r.conn < 0)
			fputs("<td class=n>–</td>", f);
		else
			fprintf(f, "<td class=n>#%lld</td>",
			    (long long)r.conn);
		cell_packet(f, a, tell_packet(&r, &a->frames, s->of.ip));
		fputs("<td>", f);
		html_clip(f, r.text, 240);
		fputs("</td></tr>\n", f);
	}
	if (n)
		markup_table_end(f);
	else
		fputs("<p>Nothing.</p>\n", f);
	if (n > TOLD_SHOWN) {
		fputs("<p>The page ends here; ", f);
		html_number(f, n - TOLD_SHOWN);
		fputs(" more are in address.csv.</p>\n", f);
	}
	fputs("</section>\n", f);
	return tell_close(&t);
}

/* --- what else --------------------------------------------------------------------- */

static void write_network(FILE *f, const struct subject *s)
{
	fputs("<section>\n<h2 id=network>What databases say of the network"
	    "</h2>\n", f);
	if (s->geo->n == 0) {
		fputs("<p>No database was given, so no country or network is "
		    "named.</p>\n</section>\n", f);
		return;
	}
	markup_table(f, NULL, "Network databases");
	fputs("<caption>What each database’s makers believed of the "
	    "block that the address lies in, on the day the database was "
	    "built. Nothing of it places a device or a person.</caption>\n"
	    "<thead><tr><th scope=col>Database</th><th scope=col>Built</th>"
	    "<th scope=col>Country</th><th scope=col>Network</th><th scope=col "
	    "class=n>Block</th><th scope=col class=n>Accuracy radius</th></tr>"
	    "</thead>\n<tbody>\n", f);
	for (size_t i = 0; i < s->geo->n; i++) {
		const struct geo_db *d = &s->geo->db[i];
		struct geo_place p;

		geo_find_in(s->geo, i, s->of.ip, &p);
		fputs("<tr><th scope=row>", f);
		html_text(f, d->file);
		fputs("</th><td>", f);
		markup_moment(f, geo_built_ns(d), BOUND_UNKNOWN);
		fprintf(f, "</td><td>%s</td><td>", p.country[0] ? p.country :
		    "–");
		if (p.asn)
			fprintf(f, "AS%u ", p.asn);
		if (p.org[0])
			html_text(f, p.org);
		fputs(p.asn || p.org[0] ? "</td>" : "–</td>", f);
		if (p.prefix >= 0)
			fprintf(f, "<td class=n>/%d</td>", p.prefix);
		else
			fputs("<td class=n>not told</td>", f);
		if (p.radius_km >= 0)
			fprintf(f, "<td class=n>%d km</td>", p.radius_km);
		else
			fputs("<td class=n>not stated</td>", f);
		fputs("</tr>\n", f);
	}
	markup_table_end(f);
	fputs("</section>\n", f);
}

static void write_who(FILE *f)
{
	fputs("<section>\n<h2 id=who>What it would take to say who</h2>\n"
	    "<p>This record ends at an address and a port at a time. It names "
	    "no person, no account and no device. To go further, others would "
	    "have to add, and each can be wrong:</p>\n<ol>\n"
	    "<li>The provider’s record of which account held the address at "
	    "that time. Where many accounts share one address (carrier-grade "
	    "NAT), only the port together with the time, within the bound "
	    "stated, tells them apart.</li>\n"
	    "<li>How far the provider’s clock and the observer’s agree.</li>\n"
	    "<li>Which device behind that account’s connection used the port: "
	    "households, guests, open or broken Wi-Fi, a VPN or proxy exit, and "
	    "malware all share an address.</li>\n"
	    "<li>Traces on a device that agree with this record: the torrent’s "
	    "infohash, the client named here, its peer id, the listening "
	    "port, the pieces.</li>\n"
	    "<li>Who used the device at that time.</li>\n"
	    "<li>That the torrent holds the work it is named after: this "
	    "record speaks of hashes. A lawful copy compared piece by piece "
	    "would show it.</li>\n</ol>\n</section>\n", f);
}

/* Each query once, under all the statements worded from it. */
static int write_queries(FILE *f, const struct statements *said, int id)
{
	for (size_t k = 0; k < said->n; k++) {
		const struct statement *s = &said->at[k];
		size_t i = 0;

		while (strcmp(said->at[i].sql, s->sql))
			i++;
		if (i < k)
			continue;
		fputs("<h3 class=sid>", f);
		for (; i < said->n; i++)
			if (strcmp(said->at[i].sql, s->sql) == 0)
				fprintf(f, "%sS%d", i > k ? ", " : "",
				    id + (int)i + 1);
		fputs("</h3>\n<pre class=sql>", f);
		html_plain(f, s->sql);
		fputs("</pre>\n<pre class=result>", f);
		html_plain(f, s->result);
		fputs("</pre>\n", f);
	}
	return id + (int)said->n;
}

static void write_sql(FILE *f, const struct address *a, size_t cases)
{
	int id = 0;

	fputs("<section>\n<h2 id=sql>The SQL behind each statement</h2>\n<p>Each "
	    "is the text that ran, and below it what it gave. To run one:</p>\n"
	    "<pre>sqlite3 -readonly CASE/derived.db \"ATTACH 'file:CASE/"
	    "evidence.db?mode=ro' AS evidence\" \"SQL\"</pre>\n"
	    "<p>derived.db is made of evidence.db alone by schema/derived.sql."
	    "</p>\n", f);
	for (size_t c = 0; c < cases; c++)
		for (size_t i = 0; i < a[c].n; i++)
			id = write_queries(f, &a[c].at[i].said, id);
	fputs("</section>\n", f);
}

int page_address(FILE *f, const struct subject *s, const struct address *a)
{
	char title[96], about[200], days[96] = "all days";
	const struct endpoints_of *of = &s->of;
	int number = 0, id = 1;
	struct queries cited = { 0 };

	snprintf(title, sizeof(title), "Address record: %s", s->of.ip);
	if (of->from_day || of->to_day)
		snprintf(days, sizeof(days), "whole UTC days%s%.10s%s%.10s, as "
		    "asked for", of->from_day ? " from " : "", of->from_day ?
		    of->from_day : "", of->to_day ? " to " : "", of->to_day ?
		    of->to_day : "");
	snprintf(about, sizeof(about), "%s, %s.", of->port < 0 ? "All ports" :
	    "One port, as asked for", days);
	markup_head(f, s, "A", title, about);
	fputs("<section>\n<h2 id=short>In short</h2>\n<p>This is what the ledger "
	    "holds of one address. It states what was observed, what that does "
	    "not show, and what speaks against it, in that order and with the "
	    "same weight. It speaks of an address and a port, never of a "
	    "person.</p>\n", f);
	for (size_t i = 0; i < s->n; i++)
		write_short(f, &a[i], &number);
	fputs("</section>\n", f);
	number = 0;
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < a[i].n; k++) {
			if (page_finding(f, &a[i], &a[i].at[k], ++number,
			    id, &cited))
				goto fail;
			id += (int)a[i].at[k].said.n;
		}
	for (size_t i = 0; i < s->n; i++)
		if (write_told(f, s, &a[i], &cited))
			goto fail;
	write_network(f, s);
	write_who(f);
	for (size_t i = 0; i < s->n; i++)
		if (section_runs(f, &s->cases[i], &cited))
			goto fail;
	section_checking(f);
	write_sql(f, a, s->n);
	queries_write(&cited, f, s);
	markup_foot(f);
	return 0;
fail:
	queries_free(&cited);
	return -1;
}
