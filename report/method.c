#include "report/method.h"

#include <string.h>

#include "report/html.h"
#include "report/markup.h"
#include "report/queries.h"
#include "report/rows.h"
#include "report/when.h"

/* --- one run ------------------------------------------------------------------------ */

/* Columns of the run's configuration, in the order of enum. */
static const char config_sql[] =
    "SELECT c ->> 'sample', c ->> 'sample_seed', c ->> 'sample_rule', "
    "c ->> 'outstanding', c ->> 'observe_only', c ->> 'listen', c ->> 'dht', "
    "c ->> 'announce_dht', c ->> 'pex', c ->> 'lsd', c ->> 'utp', "
    "c ->> 'encryption', c ->> 'decoys', c ->> 'decoy_endpoints', "
    "c ->> 'dial_rate', c ->> 'max_connections', c ->> 'peer_id_prefix', "
    "c ->> 'allow_local', c ->> 'import', c ->> 'custody', c ->> 'clock', "
    "(SELECT group_concat(value, ', ') FROM json_each(c, '$.files')), "
    "c ->> 'duration_s' FROM (SELECT json_extract(detail, '$.config') AS c "
    "FROM evidence.record WHERE seq = CAST(?1 AS INTEGER))";
enum { SAMPLE, SEED, RULE, OUTSTANDING, OBSERVE_ONLY, LISTEN, DHT,
	ANNOUNCE_DHT, PEX, LSD, UTP, ENCRYPTION, DECOYS, DECOY_ENDPOINTS,
	DIAL_RATE, CONNECTIONS, PREFIX, LOCAL, IMPORT, CUSTODY, CLOCK, FILES,
	DURATION };

static void said_import(FILE *f, const struct rows *q)
{
	fputs("<p>This run observed nothing itself. It read packets that "
	    "somebody else had recorded, copied the files whole into the case, "
	    "and wrote down what they hold: the ends of each conversation as "
	    "they stand in the packets, neither of them the observer.", f);
	if (!rows_null(q, FILES)) {
		fputs(" Files, as given: ", f);
		html_text(f, rows_text(q, FILES));
		fputs(".", f);
	}
	fputs("</p>\n<p>", f);
	html_text(f, rows_text(q, CUSTODY));
	fputs(" ", f);
	html_text(f, rows_text(q, CLOCK));
	fputs("</p>\n", f);
}

static void said_finding(FILE *f, const struct rows *q)
{
	fputs("<li><strong>Finding peers.</strong> It asked the torrents’ "
	    "trackers, as any client does", f);
	if (rows_int(q, DHT))
		fputs(", and the DHT, for torrents that are not private", f);
	if (rows_int(q, PEX))
		fputs("; it listened to what peers said of others (peer "
		    "exchange)", f);
	if (rows_int(q, LSD))
		fputs("; it asked the local network", f);
	fputs(". Whoever is named that way is only named: hearsay.", f);
	if (rows_int(q, ANNOUNCE_DHT))
		fputs(" It announced itself in the DHT, so that peers could "
		    "find it.", f);
	fputs("</li>\n", f);
}

static void said_contact(FILE *f, const struct rows *q)
{
	fputs("<li><strong>Contact.</strong> It dialled those endpoints by TCP",
	    f);
	if (rows_int(q, UTP))
		fputs(" or uTP", f);
	if (!rows_null(q, ENCRYPTION)) {
		const char *e = rows_text(q, ENCRYPTION);

		fputs(strcmp(e, "off") == 0 ? ", in the clear only" :
		    strcmp(e, "require") == 0 ? ", encrypted only" :
		    ", in the clear or encrypted, whichever the peer takes", f);
	}
	if (rows_int(q, LISTEN)) {
		fputs(", and let peers connect to port ", f);
		html_plain(f, rows_text(q, LISTEN));
	}
	fputs(". It named itself in each handshake", f);
	if (!rows_null(q, PREFIX)) {
		fputs(" (peer id prefix ", f);
		html_text(f, rows_text(q, PREFIX));
		fputs(")", f);
	}
	fputs(".</li>\n", f);
}

static void said_challenge(FILE *f, const struct rows *q)
{
	const char *sample = rows_text(q, SAMPLE);

	fputs("<li><strong>Challenge.</strong> ", f);
	if (rows_int(q, OBSERVE_ONLY) || (sample && !strcmp(sample, "0"))) {
		fputs("It asked for no data at all, so no level above 3 can be "
		    "reached.</li>\n", f);
		return;
	}
	if (sample == NULL) {
		fputs("How many pieces it asked for is not recorded.</li>\n",
		    f);
		return;
	}
	fputs("Of each peer that claimed pieces it asked for ", f);
	if (strcmp(sample, "all") == 0) {
		fputs("all of them", f);
	} else {
		fputs("up to ", f);
		html_plain(f, sample);
		fputs(", drawn out of those claimed", f);
	}
	fputs(", each piece wholly from that peer over one connection, and "
	    "compared its hash with the torrent’s.", f);
	if (!rows_null(q, RULE)) {
		fputs(" The rule of the draw: ", f);
		html_text(f, rows_text(q, RULE));
		fputs(". The seed: ", f);
		markup_code(f, rows_text(q, SEED));
		fputs(". Whoever knows both can repeat the choice.", f);
	}
	fputs("</li>\n", f);
}

static void said_controls(FILE *f, const struct rows *q)
{
	if (rows_int(q, DECOYS) || rows_int(q, DECOY_ENDPOINTS)) {
		fputs("<li><strong>Controls.</strong> It also asked for ", f);
		if (rows_int(q, DECOYS))
			html_count(f, rows_int(q, DECOYS), "infohash",
			    "infohashes");
		else
			fputs("an infohash", f);
		fputs(" drawn at random, which nobody shares: who names or "
		    "answers for these makes things up.</li>\n", f);
	} else {
		fputs("<li><strong>Controls.</strong> It asked for no invented "
		    "infohash, so it is not known which sources make peers "
		    "up.</li>\n", f);
	}
}

int method_outcome(FILE *f, const struct facts *c, size_t i,
    struct queries *cited)
{
	const struct run_fact *r = &c->run[i];
	char range[64], what[128];
	struct rows q;

	snprintf(range, sizeof(range), "%lld", (long long)r->seq);
	rows_open(&q, c->db, "SELECT count(*) FILTER (WHERE direction = 'out'), "
	    "count(*) FILTER (WHERE direction = 'out' AND level > 0), "
	    "count(*) FILTER (WHERE direction = 'in'), "
	    "count(*) FILTER (WHERE level > 1), coalesce(sum(pieces_matched), "
	    "0), coalesce(sum(pieces_failed), 0), count(*) FILTER (WHERE "
	    "direction = 'observed') FROM contact WHERE conn BETWEEN CAST(?1 "
	    "AS INTEGER) AND ?2", range);
	if (!q.failed)
		sqlite3_bind_int64(q.st, 2, r->last_seq);
	if (rows_next(&q)) {
		fputs("<p>What came of it: ", f);
		if (rows_int(&q, 6)) {
			html_count(f, rows_int(&q, 6), "end of a recorded "
			    "conversation", "ends of recorded conversations");
			fputs("; ", f);
		}
		html_count(f, rows_int(&q, 0), "dial", "dials");
		fputs(", of which ", f);
		html_number(f, rows_int(&q, 1));
		fputs(" got a connection; ", f);
		html_count(f, rows_int(&q, 2), "incoming connection",
		    "incoming connections");
		fputs("; ", f);
		html_count(f, rows_int(&q, 3), "conversation", "conversations");
		fputs(" with the handshake expected; ", f);
		html_count(f, rows_int(&q, 4), "piece", "pieces");
		fputs(" that matched and ", f);
		html_number(f, rows_int(&q, 5));
		fputs(" that failed.", f);
		snprintf(what, sizeof(what), "The run of record #%s: dials, "
		    "connections, handshakes, pieces", range);
		queries_cite_st(cited, f, what, q.st);
		fputs("</p>\n", f);
	}
	return rows_close(&q);
}

int method_run(FILE *f, const struct facts *c, size_t i,
    struct queries *cited)
{
	const struct run_fact *r = &c->run[i];
	char seq[24], what[96];
	struct rows q;
	bool any;

	snprintf(seq, sizeof(seq), "%lld", (long long)r->seq);
	rows_open(&q, c->db, config_sql, seq);
	any = rows_next(&q);
	fputs("<h4>What it did</h4>\n<p>By its settings, as it recorded them", f);
	snprintf(what, sizeof(what), "The run of record #%s: its settings",
	    seq);
	queries_cite_st(cited, f, what, q.st);
	fputs(":</p>\n", f);
	if (any && rows_int(&q, IMPORT)) {
		said_import(f, &q);
	} else if (any) {
		fputs("<ol>\n", f);
		said_finding(f, &q);
		said_contact(f, &q);
		said_challenge(f, &q);
		said_controls(f, &q);
		fputs("<li><strong>Restraint.</strong> It sends no content and "
		    "claims to hold none: the program has no writer for such "
		    "messages", f);
		if (r->ended) {
			fputs(", and this run counted ", f);
			html_count(f, r->piece_bytes_sent, "byte", "bytes");
			fputs(" of pieces sent", f);
		}
		fputs(". It announced that it had uploaded nothing and still "
		    "lacked data.</li>\n</ol>\n", f);
	}
	return rows_close(&q);
}

/* --- sources --------------------------------------------------------------------------- */

int method_sources(FILE *f, const struct subject *s, const struct facts *c,
    struct queries *cited)
{
	struct rows q;
	bool any = false;

	rows_open(&q, c->db, "WITH g AS (SELECT source, iif(source IN ('dht', "
	    "'pex'), '', witness) AS witness, (SELECT max(e.level) FROM "
	    "endpoint AS e WHERE e.swarm = s.swarm AND e.ip = s.ip AND e.port "
	    "= s.port AND e.port_kind = 'remote') AS level FROM sighting AS s "
	    "WHERE s.swarm BETWEEN ?1 AND iif(?1 = '', 'g', ?1) AND source <> "
	    "'incoming') SELECT source, witness, count(*), count(level), "
	    "count(*) FILTER (WHERE level = 0), (SELECT sum(d.named) FROM "
	    "decoy_source AS d WHERE d.source = g.source AND g.witness IN "
	    "('', d.witness)), (SELECT sum(d.asked) FROM decoy_source AS d "
	    "WHERE d.source = g.source AND g.witness IN ('', d.witness)) FROM "
	    "g GROUP BY source, witness ORDER BY source, witness",
	    s->swarm ? s->swarm : "");
	while (rows_next(&q)) {
		if (!any) {
			markup_table(f, NULL, "Sources of case %s", c->name);
			fputs("<caption>What each source named, and how "
			    "much of that never answered. A name that never "
			    "answers is no evidence of a peer.", f);
			queries_cite_st(cited, f, "What each source named, "
			    "and what of it never answered", q.st);
			fputs("</caption>\n<thead><tr><th scope=col>Source</th><th scope=col "
			    "class=n>Named</th><th scope=col class=n>Dialled"
			    "</th><th scope=col class=n>Never answered</th>"
			    "<th scope=col class=n>Share</th><th scope=col "
			    "class=n>Invented peers for</th></tr></thead>\n"
			    "<tbody>\n", f);
		}
		any = true;
		fputs("<tr><th scope=row>", f);
		html_text(f, rows_text(&q, 0));
		fputs(" ", f);
		html_clip(f, rows_text(&q, 1)[0] ? rows_text(&q, 1) :
		    "nodes or peers, all of them together", 90);
		fputs("</th>", f);
		for (int i = 2; i < 5; i++)
			markup_cell(f, rows_int(&q, i));
		fputs("<td class=n>", f);
		markup_percent(f, rows_int(&q, 4), rows_int(&q, 3));
		fputs("</td><td class=n>", f);
		if (rows_int(&q, 6))
			fprintf(f, "%lld of %lld decoys",
			    (long long)rows_int(&q, 5),
			    (long long)rows_int(&q, 6));
		else
			fputs("not tested", f);
		fputs("</td></tr>\n", f);
	}
	if (any)
		markup_table_end(f);
	else
		fputs("<p>No source named any endpoint.</p>\n", f);
	return rows_close(&q);
}

/* --- stamps ------------------------------------------------------------------------------ */

int method_stamps(FILE *f, const struct facts *c, struct queries *cited)
{
	struct rows q;
	bool any = false;
	char t[WHEN_MAX];

	rows_open(&q, c->db, "SELECT r.seq, r.detail ->> 'size', r.detail ->> "
	    "'tsa', r.detail ->> 'outcome', r.detail ->> 'gen_utc_ns', r.detail "
	    "->> 'accuracy_ns', r.detail ->> 'error' FROM about AS a JOIN "
	    "evidence.record AS r ON r.seq = a.seq WHERE a.kind = 'stamp' "
	    "ORDER BY a.seq", NULL);
	while (rows_next(&q)) {
		if (!any) {
			markup_table(f, NULL, "Time stamps of case %s",
			    c->name);
			fputs("<caption>Time-stamping authorities (RFC "
			    "3161) that were asked about a checkpoint. A token "
			    "shows that the records before it existed at its "
			    "time; whether its certificate is to be trusted, "
			    "<code>openssl ts</code> and the reader decide.",
			    f);
			queries_cite_st(cited, f, "Time stamps", q.st);
			fputs("</caption>\n<thead><tr><th scope=col>Record</th>"
			    "<th scope=col class=n>Records covered</th>"
			    "<th scope=col>Authority</th><th scope=col>Outcome"
			    "</th><th scope=col>Its time (UTC)</th></tr>"
			    "</thead>\n<tbody>\n", f);
		}
		any = true;
		fprintf(f, "<tr><th scope=row>#%lld</th>",
		    (long long)rows_int(&q, 0));
		markup_cell(f, rows_int(&q, 1));
		fputs("<td>", f);
		html_clip(f, rows_text(&q, 2), 80);
		fputs("</td><td>", f);
		html_clip(f, rows_text(&q, 3), 40);
		if (!rows_null(&q, 6)) {
			fputs(": ", f);
			html_clip(f, rows_text(&q, 6), 120);
		}
		fputs("</td><td>", f);
		if (rows_null(&q, 4))
			fputs("–", f);
		else
			fprintf(f, "<time>%s</time>", when_text(rows_int(&q,
			    4), BOUND_UNKNOWN, t));
		if (!rows_null(&q, 5))
			markup_bound(f, rows_int(&q, 5));
		fputs("</td></tr>\n", f);
	}
	if (any)
		markup_table_end(f);
	else
		fputs("<p>No time-stamping authority was asked. Without "
		    "stamps, or a checkpoint held by somebody else, an "
		    "operator could have rewritten everything.</p>\n", f);
	return rows_close(&q);
}

/* --- limits ------------------------------------------------------------------------------- */

static void limit_of_runs(FILE *f, const struct facts *c, int64_t n,
    const char *what)
{
	if (n == 0)
		return;
	fputs("<li>Of case ", f);
	html_text(f, c->name);
	fputs(", ", f);
	html_count(f, n, "run has", "runs have");
	fprintf(f, " %s.</li>\n", what);
}

/* What this case in particular lacks. */
static void limits_of(FILE *f, const struct facts *c)
{
	int64_t unended = 0, unclocked = 0, unpacketed = 0;

	for (size_t i = 0; i < c->runs; i++) {
		unended += !c->run[i].ended;
		unclocked += c->run[i].bound_ns < 0;
		unpacketed += c->run[i].savefiles == 0;
	}
	limit_of_runs(f, c, unended, "no end on record: what was not committed "
	    "is lost");
	limit_of_runs(f, c, unclocked, "no clock bound: how far its times are "
	    "off is unknown");
	limit_of_runs(f, c, unpacketed, "no packets: its records cannot be held "
	    "against the wire");
	if (c->erased) {
		fputs("<li>Records were erased from case ", f);
		html_text(f, c->name);
		fputs(": ", f);
		html_count(f, c->erased, "time", "times");
		fputs(". Their hashes remain.</li>\n", f);
	}
}

void method_limits(FILE *f, const struct subject *s)
{
	fputs("<section>\n<h2 id=limits>Known limits</h2>\n<ul>\n"
	    "<li>An address is not a person, an account or a device. It can be "
	    "shared by many and change hands within a day.</li>\n"
	    "<li>What trackers, DHT nodes and other peers say of an endpoint "
	    "is hearsay; some can be made to name addresses that never took "
	    "part.</li>\n"
	    "<li>Claims, client names and peer ids are the peer’s own words."
	    "</li>\n"
	    "<li>A piece that matched was given to this observer, who asked. "
	    "Nothing shows that it was given to anyone else, or that it was "
	    "stored there rather than passed on.</li>\n"
	    "<li>A matching hash shows that data belongs to the torrent, not "
	    "that the torrent is the work it is named after. SHA-1, which "
	    "version 1 torrents use, lets a torrent’s author prepare two "
	    "pieces with one hash.</li>\n"
	    "<li>Without stamps or witnesses outside the operator’s reach an "
	    "operator could rewrite everything; and nothing proves that all "
	    "that was seen was recorded.</li>\n"
	    "<li>Signatures cover evidence.db. The tables that this report "
	    "reads are made of it; <code>swarmwitness verify</code> makes them "
	    "anew and compares.</li>\n", f);
	for (size_t i = 0; i < s->n; i++)
		limits_of(f, &s->cases[i]);
	fputs("</ul>\n</section>\n", f);
}

/* --- words ---------------------------------------------------------------------------------- */

void method_glossary(FILE *f)
{
	static const char *const word[][2] = {
		{ "address, port", "Where packets go to and come from on the "
		    "Internet: a number for a connection to it, and a number "
		    "for one program behind that." },
		{ "bound", "By how much a time can be off at most, if the "
		    "clock’s source was right." },
		{ "checkpoint", "A signed sentence that says how many records "
		    "there are, and their common hash." },
		{ "choke", "To refuse requests for the time being." },
		{ "client", "The program that takes part in a swarm." },
		{ "conversation", "One connection between two endpoints, or "
		    "one attempt to make it. Its number is that of the record "
		    "that opened it." },
		{ "decoy", "An infohash drawn at random, which nobody shares: a "
		    "control." },
		{ "DHT", "A directory that clients keep together, without a "
		    "tracker." },
		{ "endpoint", "An address and port, here on one UTC day." },
		{ "handshake", "The first message of a conversation. It names "
		    "the torrent by its infohash." },
		{ "hash", "A number computed from data. Other data has another, "
		    "unless somebody prepared both: SHA-1 allows that, for "
		    "SHA-256 no way is known." },
		{ "hearsay", "What somebody else said of an address." },
		{ "infohash", "The hash that names a torrent." },
		{ "ledger, record", "Numbered entries, which the program never "
		    "changes; each says one thing that was received or done." },
		{ "level", "How far the evidence about an endpoint goes: the "
		    "table at the top." },
		{ "peer", "Whoever takes part in a swarm." },
		{ "peer exchange (PEX)", "Peers telling each other of further "
		    "peers." },
		{ "piece, block", "The part of a torrent’s data that has a "
		    "hash of its own; and the smaller part in which it is "
		    "sent." },
		{ "savefile", "A file of packets as they passed on the "
		    "network." },
		{ "sealed", "Said of a ledger that is closed, and to which "
		    "nothing is being written." },
		{ "seed", "A peer that claims all pieces." },
		{ "stall", "A time in which the observer itself lagged or lost "
		    "datagrams, so that silence then proves nothing." },
		{ "swarm", "All who take part in one torrent at a time." },
		{ "time stamp", "An authority’s signed word that a hash was "
		    "there at a time (RFC 3161)." },
		{ "torrent", "A list of files with the hashes of their "
		    "pieces." },
		{ "tracker", "A server that lists who announced themselves for "
		    "a torrent." },
		{ "UTC", "The world’s common time." },
		{ "uTP", "A way to send the same conversations over UDP." },
	};

	fputs("<section>\n<h2 id=glossary>Words</h2>\n<dl>\n", f);
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		fprintf(f, "<dt>%s</dt><dd>%s</dd>\n", word[i][0], word[i][1]);
	fputs("</dl>\n</section>\n", f);
}
