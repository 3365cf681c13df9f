#include "report/page_finding.h"

#include <string.h>

#include "report/caution.h"
#include "report/html.h"
#include "report/markup.h"

static void day_text(FILE *f, const char *utc_day)
{
	static const char *const month[] = { "January", "February", "March",
	    "April", "May", "June", "July", "August", "September", "October",
	    "November", "December" };
	int y, m, d;

	if (sscanf(utc_day, "%4d-%2d-%2d", &y, &m, &d) == 3 && m >= 1 &&
	    m <= 12)
		fprintf(f, "%d&nbsp;%s&nbsp;%d", d, month[m - 1], y);
	else
		html_plain(f, utc_day);
}

static void write_statement(FILE *f, const struct statement *s, int id)
{
	fprintf(f, "<li><span class=sid>S%d</span> ", id);
	html_plain(f, s->text);
	if (s->records && *s->records) {
		fputs(" <span class=recs>Records ", f);
		markup_records(f, s->records, 8);
		fputs("</span>", f);
	}
	fputs("</li>\n", f);
}

static void write_side(FILE *f, const struct finding *w, enum side side,
    int first)
{
	for (size_t i = 0; i < w->said.n; i++)
		if (w->said.at[i].side == side)
			write_statement(f, &w->said.at[i], first + (int)i);
}

/* --- what the level rests on ----------------------------------------------------- */

/* The endpoint's own conversations of the day; ?1 swarm, ?2 address, ?3 port,
 * ?4 the day, ?5 and ?6 its bounds. */
#define TALKS "contact AS c JOIN extent AS x ON x.conn = c.conn"
#define TODAY "c.swarm = ?1 AND c.ip = ?2 AND c.port = ?3 AND c.opened_utc_ns " \
	"< ?6 AND (c.closed_utc_ns IS NULL OR c.closed_utc_ns >= ?5)"
#define PIECES "FROM " TALKS " CROSS JOIN piece_check AS p ON p.seq BETWEEN " \
	"c.conn AND x.last_seq AND p.conn = c.conn AND p.ip = c.ip AND p.port " \
	"= c.port WHERE " TODAY " AND p.utc_ns >= ?5 AND p.utc_ns < ?6"
#define RUNGS "FROM contact AS c JOIN rung AS g ON g.conn = c.conn AND g.ip = " \
	"c.ip AND g.port = c.port WHERE " TODAY

static const char level_sql[] =
    "SELECT e.level, e.first_utc_ns, e.last_utc_ns, e.pieces_matched, "
    "e.pieces_failed, CASE e.level "
    "WHEN 5 THEN (SELECT group_concat(p.seq) " PIECES " AND p.ok = 1) "
    "WHEN 4 THEN (SELECT group_concat(p.seq) " PIECES " AND p.ok IS NULL AND "
    "p.bytes > 0) "
    "WHEN 3 THEN (SELECT group_concat(g.claimed_seq) " RUNGS " AND "
    "g.claimed_utc_ns >= ?5 AND g.claimed_utc_ns < ?6) "
    "WHEN 2 THEN (SELECT group_concat(g.greeted_seq) " RUNGS ") "
    "WHEN 1 THEN (SELECT group_concat(c.conn) FROM contact AS c WHERE " TODAY
    " AND c.level > 0) "
    "ELSE (SELECT group_concat(g.first_seq) FROM sighting AS g WHERE g.swarm = "
    "?1 AND g.ip = ?2 AND g.port = ?3 AND g.source <> 'incoming') END AS "
    "records FROM endpoint AS e WHERE e.swarm = ?1 AND e.ip = ?2 AND e.port = "
    "?3 AND e.utc_day = ?4 AND e.port_kind IN ('remote', 'listed') "
    "ORDER BY e.port_kind DESC LIMIT 1";

static int write_grounds(FILE *f, const struct address *a,
    const struct finding *w, int number, struct queries *cited)
{
	char what[64];
	struct rows q;

	snprintf(what, sizeof(what), "Finding %d: its level", number);
	rows_open(&q, a->facts->db, level_sql, w->swarm);
	if (!q.failed) {
		sqlite3_bind_text(q.st, 2, w->ip, -1, SQLITE_STATIC);
		sqlite3_bind_int(q.st, 3, w->row.port);
		sqlite3_bind_text(q.st, 4, w->utc_day, -1, SQLITE_STATIC);
		sqlite3_bind_int64(q.st, 5, w->from_utc_ns);
		sqlite3_bind_int64(q.st, 6, w->to_utc_ns);
	}
	if (rows_next(&q) && !rows_null(&q, 5)) {
		fputs(" <span class=recs>Records ", f);
		markup_records(f, rows_text(&q, 5), 8);
		fputs("</span>", f);
	}
	queries_cite_st(cited, f, what, q.st);
	return rows_close(&q);
}

/* Both sides: columns of the same width, the same type. */
static int write_scales(FILE *f, const struct address *a,
    const struct finding *w, int number, int first, struct queries *cited)
{
	const struct ladder *l = ladder_at(w->row.level);

	fputs("<div class=scales>\n<div>\n<h3>What was observed</h3>\n<ul>\n",
	    f);
	fprintf(f, "<li>Level <strong>%d, %s</strong>: %s", w->row.level,
	    l->name, l->observed);
	if (write_grounds(f, a, w, number, cited))
		return -1;
	fputs("</li>\n", f);
	write_side(f, w, SIDE_OBSERVED, first);
	fputs("</ul>\n</div>\n<div>\n<h3>What speaks against it, or limits it"
	    "</h3>\n<ul>\n", f);
	fprintf(f, "<li><strong>This does not show</strong> %s.</li>\n",
	    l->not_shown);
	write_side(f, w, SIDE_LIMITS, first);
	for (int i = 0; i < CAUTION_COUNT; i++)
		if (w->row.cautions & caution_bit((enum caution)i))
			fprintf(f, "<li><span class=mark>%s</span> %s</li>\n",
			    caution_mark((enum caution)i),
			    caution_meaning((enum caution)i));
	fputs("</ul>\n</div>\n</div>\n", f);
	if (w->row.cautions) {
		fputs("<p class=how>Cautions follow from the row of the "
		    "endpoint", f);
		queries_cite(cited, f, "Endpoints of the address in the "
		    "torrent, as cautions are told by them", w->rows_sql);
		fputs(", its conversations below, and the case’s clocks, stalls "
		    "and packet drops.</p>\n", f);
	}
	return 0;
}

static void write_received(FILE *f, const struct finding *w, int number,
    struct queries *cited)
{
	char what[64];

	const struct received *r = &w->received;

	if (r->n == 0)
		return;
	markup_table(f, NULL, "Received, finding %d", number);
	fputs("<caption>What it delivered in pieces that matched, by "
	    "file. Whether these bytes alone can be played or read is not "
	    "said here.", f);
	snprintf(what, sizeof(what), "Finding %d: pieces that matched",
	    number);
	queries_cite(cited, f, what, r->sql);
	fputs("</caption>\n<thead><tr><th scope=col>File, as the "
	    "torrent names it</th><th scope=col class=n>Bytes received</th>"
	    "<th scope=col class=n>Size of file</th><th scope=col class=n>"
	    "Share</th><th scope=col>Which bytes (from 0)</th></tr></thead>\n"
	    "<tbody>\n", f);
	for (size_t i = 0; i < r->n; i++) {
		const struct received_file *x = &r->at[i];

		fputs("<tr><th scope=row>", f);
		if (x->pad)
			fputs("padding between files", f);
		else
			html_clip(f, x->path, 200);
		fputs("</th>", f);
		markup_cell(f, x->bytes);
		if (x->size >= 0)
			markup_cell(f, x->size);
		else
			fputs("<td class=n>–</td>", f);
		fputs("<td class=n>", f);
		if (x->size > 0)
			markup_percent(f, x->bytes, x->size);
		else
			fputs("–", f);
		fputs("</td><td class=ranges>", f);
		html_clip(f, x->ranges, 300);
		fputs("</td></tr>\n", f);
	}
	markup_table_end(f);
	if (w->torrent_bytes > 0) {
		fputs("<p>In all ", f);
		html_count(f, r->bytes, "byte", "bytes");
		fputs(", ", f);
		markup_percent(f, r->bytes, w->torrent_bytes);
		fputs(" of the torrent’s ", f);
		html_number(f, w->torrent_bytes);
		fputs(".</p>\n", f);
	}
}

static void cell_packets(FILE *f, const struct frames *frames, int64_t conn)
{
	const struct frames_talk *t = frames_of(frames, conn);
	struct frames_span s;
	size_t at = 0;

	fputs("<td class=packet>", f);
	while (frames_next(t, &at, &s)) {
		fprintf(f, "%s&nbsp;%llu–%llu<br><span class=how>",
		    frames->file[s.file] + strlen("packets/"),
		    (unsigned long long)s.first, (unsigned long long)s.last);
		html_count(f, (long long)s.n, "packet", "packets");
		fputs("</span> ", f);
	}
	fputs(at ? "</td>" : frames->left_out ? "not told</td>" :
	    "none kept</td>", f);
}

static void write_conversation(FILE *f, const struct address *a,
    const struct rows *q)
{
	const struct facts *c = a->facts;
	int64_t from = rows_int(q, 5), bound = facts_bound(c, from);
	const char *client = rows_text(q, 9);

	fprintf(f, "<tr><th scope=row>#%lld</th><td>", (long long)rows_int(q,
	    0));
	html_plain(f, strcmp(rows_text(q, 2), "out") == 0 ?
	    "the observer dialled" : strcmp(rows_text(q, 2), "in") == 0 ?
	    "it connected" : "seen in packets");
	fprintf(f, "<br><span class=how>%s, %s</span></td><td>",
	    rows_null(q, 3) ? "?" : rows_text(q, 3),
	    rows_null(q, 4) ? "encryption not told" :
	    strcmp(rows_text(q, 4), "none") == 0 ? "in the clear" :
	    strcmp(rows_text(q, 4), "rc4") == 0 ? "RC4" :
	    "encrypted handshake, plain payload");
	markup_moment(f, from, bound);
	if (!rows_null(q, 6)) {
		fputs("<br>", f);
		markup_moment(f, rows_int(q, 6), bound);
	}
	fputs("<br>", f);
	markup_bound(f, bound);
	fputs("</td><td>", f);
	html_clip(f, rows_null(q, 6) ? "no end recorded" : rows_text(q, 7), 80);
	fputs("</td><td>", f);
	html_clip(f, client, 60);
	if (!rows_null(q, 8)) {
		fputs("<br><code class=id>", f);
		html_plain(f, rows_text(q, 8));
		fputs("</code>", f);
	}
	fputs("</td>", f);
	markup_cell(f, rows_int(q, 10));
	markup_cell(f, rows_int(q, 11));
	cell_packets(f, &a->frames, rows_int(q, 0));
	fputs("</tr>\n", f);
}

static int write_conversations(FILE *f, const struct address *a,
    const struct finding *w, int number, struct queries *cited)
{
	char what[64];
	struct rows q;
	bool any = false;

	if (w->talks == 0)
		return 0;
	rows_open(&q, a->facts->db, "SELECT c.conn, c.port, c.direction, c.transport, "
	    "c.encryption, c.opened_utc_ns, c.closed_utc_ns, c.outcome, "
	    "c.peer_id, c.client, c.rx_bytes, c.tx_bytes FROM contact AS c "
	    "WHERE c.ip = ?1 AND c.port = ?2 AND c.swarm = ?3 AND "
	    "c.opened_utc_ns < ?4 AND (c.closed_utc_ns IS NULL OR "
	    "c.closed_utc_ns >= ?5) ORDER BY c.conn", w->ip);
	if (!q.failed) {
		sqlite3_bind_int(q.st, 2, w->row.port);
		sqlite3_bind_text(q.st, 3, w->swarm, -1, SQLITE_STATIC);
		sqlite3_bind_int64(q.st, 4, w->to_utc_ns);
		sqlite3_bind_int64(q.st, 5, w->from_utc_ns);
	}
	while (rows_next(&q)) {
		if (!any) {
			markup_table(f, NULL, "Conversations, finding %d",
			    number);
			fputs("<caption>Conversations. The client’s "
			    "name and its peer id are what it says of itself.",
			    f);
			snprintf(what, sizeof(what), "Finding %d: its "
			    "conversations", number);
			queries_cite_st(cited, f, what, q.st);
			fputs("</caption>\n<thead><tr><th scope=col>Record</th>"
			    "<th scope=col>How</th><th scope=col>From, to "
			    "(UTC)</th><th scope=col>How it ended</th>"
			    "<th scope=col>Client and peer id, as it says</th>"
			    "<th scope=col class=n>Bytes from it</th>"
			    "<th scope=col class=n>Bytes to it</th>"
			    "<th scope=col>Packets</th></tr></thead>\n<tbody>\n", f);
		}
		any = true;
		write_conversation(f, a, &q);
	}
	if (any)
		markup_table_end(f);
	return rows_close(&q);
}

int page_finding(FILE *f, const struct address *a,
    const struct finding *w, int number, int first, struct queries *cited)
{
	fprintf(f, "<section class=finding>\n<h2 id=finding%d>%d. ", number,
	    number);
	html_clip(f, w->name ? w->name : w->swarm, 80);
	fprintf(f, ", port&nbsp;%d, ", w->row.port);
	day_text(f, w->utc_day);
	fputs("</h2>\n<p class=verdict>", f);
	markup_level(f, w->row.level);
	fputs("</p>\n<dl>\n", f);
	markup_term(f, "Case");
	html_text(f, a->facts->name);
	fputs("</dd>\n", f);
	markup_term(f, "Infohash");
	markup_code(f, w->swarm);
	fputs("</dd>\n", f);
	markup_term(f, w->row.level ? "Seen" : w->row.listed_only ? "Named" :
	    "Tried or named");
	markup_moment(f, w->row.first_utc_ns, w->row.bound_ns);
	if (w->row.last_utc_ns != w->row.first_utc_ns) {
		fputs(" to ", f);
		markup_moment(f, w->row.last_utc_ns, w->row.bound_ns);
	}
	fputs(", each ", f);
	markup_bound(f, w->row.bound_ns);
	fputs("</dd>\n", f);
	markup_term(f, "Port");
	fprintf(f, "%d, %s</dd>\n", w->row.port, w->row.listed_only ?
	    "as a third party named it" : w->talks && !w->talk[0].ours ?
	    "the one in the packets" : w->row.came && !w->row.dialled ?
	    "the one it connected from" : "the one the observer dialled");
	if (w->row.listen_port) {
		markup_term(f, "Says it listens on");
		fprintf(f, "port %d</dd>\n", w->row.listen_port);
	}
	fputs("</dl>\n", f);
	if (write_scales(f, a, w, number, first, cited))
		return -1;
	write_received(f, w, number, cited);
	if (write_conversations(f, a, w, number, cited))
		return -1;
	fputs("</section>\n", f);
	return 0;
}
