#include "report/reference_time.h"

#include <inttypes.h>
#include <stdlib.h>

#include "report/csv.h"
#include "report/html.h"
#include "report/markup.h"
#include "report/rows.h"
#include "schema/log.h"
#include "wire/endpoint.h"

#define PAGE_RANGES 200		/* the CSV has all */

/* --- which bytes ----------------------------------------------------------------- */

/* Bytes of the copy that agree: all, or those of some pieces, which are in
 * order. */
struct extents {
	struct timeline_bytes *at;
	size_t n;
};

static void add(struct extents *e, const struct reference_range *g)
{
	if (g->verdict != REFERENCE_AGREES)
		return;
	if (e->n && e->at[e->n - 1].to == g->from) {
		e->at[e->n - 1].to = g->to;
		return;
	}
	e->at = realloc(e->at, (e->n + 1) * sizeof(*e->at));
	if (e->at == NULL)
		log_die("out of memory");
	e->at[e->n++] = (struct timeline_bytes){ g->from, g->to };
}

static struct extents all_of(const struct reference *r)
{
	struct extents e = { 0 };
	struct reference_range g;
	uint32_t at = 0;

	while (reference_next(r, &at, &g))
		add(&e, &g);
	return e;
}

/* Its runs, and how many packets of each stream they hold. */
struct found {
	struct timeline_run *run;
	size_t n;
	uint32_t packets[TIMELINE_STREAMS];
};

/* Frees e. */
static void find(const struct reference *r, struct extents *e, struct found *f)
{
	*f = (struct found){ 0 };
	f->n = timeline_find(r->time, e->at, e->n, &f->run);
	for (size_t i = 0; i < f->n; i++)
		f->packets[f->run[i].stream] += f->run[i].packets;
	free(e->at);
}

/* --- what a connection delivered ------------------------------------------------- */

/* Matched pieces of one torrent that came over one connection, and what of one
 * copy's time they hold. */
struct delivery {
	const struct facts *c;
	size_t which;		/* its case, from 1 */
	int64_t conn, port, first_seq, last_seq;
	char ip[ENDPOINT_IP_MAX];
	uint32_t *piece;
	size_t n, room;
	const struct references *all;
	const struct reference *r;
	uint32_t pieces;	/* of these, that agree with the copy */
	struct found found;
};

struct telling {
	void (*tell)(void *ctx, const struct delivery *d);
	void *ctx;
	const struct subject *s;
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void tell_copies(const struct telling *k, struct delivery *d,
    const struct torrent *t)
{
	if (d->n)
		qsort(d->piece, d->n, sizeof(*d->piece), by_number);
	for (size_t i = 0; d->n && i < d->all->n; i++) {
		struct extents e = { 0 };
		struct reference_range g;

		d->r = &d->all->at[i];
		if (d->r->t != t || d->r->time->why[0])
			continue;
		d->pieces = 0;
		for (size_t p = 0; p < d->n; p++) {
			if ((p && d->piece[p] == d->piece[p - 1]) ||
			    !reference_piece(d->r, d->piece[p], &g) ||
			    g.verdict != REFERENCE_AGREES)
				continue;
			d->pieces++;
			add(&e, &g);
		}
		if (d->pieces == 0)
			continue;
		find(d->r, &e, &d->found);
		k->tell(k->ctx, d);
		free(d->found.run);
	}
	d->n = 0;
}

static void take(struct delivery *d, uint32_t piece)
{
	if (d->n == d->room) {
		d->room = d->room ? d->room * 2 : 64;
		d->piece = realloc(d->piece, d->room * sizeof(*d->piece));
		if (d->piece == NULL)
			log_die("out of memory");
	}
	d->piece[d->n++] = piece;
}

/* In order of torrents, cases and connections; -1 logged. */
static int tell_torrent(const struct telling *k, const struct torrent *t)
{
	const struct endpoints_of *of = &k->s->of;
	int status = 0;

	for (size_t i = 0; i < k->s->n && status == 0; i++) {
		struct delivery d = { .c = &k->s->cases[i], .which = i + 1,
			.all = k->s->references };
		struct rows q;

		reference_delivered(&q, d.c, of, t, true);
		while (rows_next(&q)) {
			int64_t conn = rows_int(&q, 1), port = rows_int(&q, 3);
			int64_t piece = rows_int(&q, 4);
			const char *ip = rows_text(&q, 2);

			if (conn != d.conn || port != d.port ||
			    strcmp(ip, d.ip))
				tell_copies(k, &d, t);
			if (piece < 0 || piece >= t->mi.pieces)
				continue;
			if (d.n == 0) {
				d.first_seq = rows_int(&q, 0);
				d.conn = conn;
				d.port = port;
				snprintf(d.ip, sizeof(d.ip), "%s", ip);
			}
			d.last_seq = rows_int(&q, 0);
			take(&d, (uint32_t)piece);
		}
		tell_copies(k, &d, t);
		free(d.piece);
		if (rows_close(&q))
			status = -1;
	}
	return status;
}

static int tell_all(const struct telling *k)
{
	const struct references *r = k->s->references;

	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].owns && tell_torrent(k, r->at[i].t))
			return -1;
	return 0;
}

/* --- CSV ------------------------------------------------------------------------- */

/* ",bytes' digest,ffprobe,container" */
static void csv_source(FILE *f, const struct reference *r)
{
	fprintf(f, ",%s,", r->sha256);
	csv_text(f, r->time->version);
	fprintf(f, ",%s", timeline_container(r->time));
}

/* ",stream,type,codec" */
static void csv_stream(FILE *f, const struct reference *r, size_t i)
{
	fprintf(f, ",%zu,", i);
	csv_text(f, r->time->stream[i].type);
	putc(',', f);
	csv_text(f, r->time->stream[i].codec);
}

/* ",packets,of_packets,from,to,from_s,to_s" */
static void csv_run(FILE *f, const struct reference *r,
    const struct timeline_run *run)
{
	char a[TIMELINE_TEXT], b[TIMELINE_TEXT];

	fprintf(f, ",%u,%u,%s,%s", run->packets,
	    r->time->stream[run->stream].packets, timeline_clock(run->from_us,
	    a), timeline_clock(run->to_us, b));
	fprintf(f, ",%s,%s", timeline_seconds(run->from_us, a),
	    timeline_seconds(run->to_us, b));
}

static void csv_copy(FILE *f, const struct references *all,
    const struct reference *r)
{
	struct extents e = all_of(r);
	char path[REFERENCE_PATH];
	struct found found;
	size_t at = 0;

	reference_path(all, r->t, r->file, path);
	find(r, &e, &found);
	if (r->time->why[0]) {
		fprintf(f, "%s,", r->t->swarm);
		csv_text(f, path);
		csv_source(f, r);
		fputs(",,,,,,,,,,", f);
		csv_text(f, r->time->why);
		fputs("\r\n", f);
	}
	for (size_t i = 0; r->time->why[0] == '\0' && i < r->time->streams;
	    i++) {
		const struct timeline_stream *s = &r->time->stream[i];

		do {
			fprintf(f, "%s,", r->t->swarm);
			csv_text(f, path);
			csv_source(f, r);
			csv_stream(f, r, i);
			if (found.packets[i])
				csv_run(f, r, &found.run[at++]);
			else
				fprintf(f, ",%s,%u,,,,", s->why ? "" : "0",
				    s->packets);
			putc(',', f);
			csv_text(f, s->why ? s->why : "");
			fputs("\r\n", f);
		} while (at < found.n && found.run[at].stream == i);
	}
	free(found.run);
}

void reference_time_csv(FILE *f, const struct references *all)
{
	fputs("infohash,file,copy_sha256,ffprobe,container,stream,type,codec,"
	    "packets,of_packets,from,to,from_s,to_s,not_determined\r\n", f);
	for (size_t i = 0; i < all->n; i++)
		csv_copy(f, all, &all->at[i]);
}

static void csv_delivery(void *ctx, const struct delivery *d)
{
	char path[REFERENCE_PATH];
	size_t i = 0;
	FILE *f = ctx;

	reference_path(d->all, d->r->t, d->r->file, path);
	do {
		fprintf(f, "%zu,%lld,%s,%lld,%lld,%lld,%u,%s,", d->which,
		    (long long)d->conn, d->ip, (long long)d->port,
		    (long long)d->first_seq, (long long)d->last_seq, d->pieces,
		    d->r->t->swarm);
		csv_text(f, path);
		csv_source(f, d->r);
		if (d->found.n) {
			csv_stream(f, d->r, d->found.run[i].stream);
			csv_run(f, d->r, &d->found.run[i]);
		} else {
			fputs(",,,,0,,,,,", f);
		}
		fputs("\r\n", f);
	} while (++i < d->found.n);
}

int reference_time_received_csv(FILE *f, const struct subject *s)
{
	struct telling k = { csv_delivery, f, s };

	fputs("case,conn,ip,port,first_seq,last_seq,pieces,infohash,file,"
	    "copy_sha256,ffprobe,container,stream,type,codec,packets,"
	    "of_packets,from,to,from_s,to_s\r\n", f);
	return tell_all(&k);
}

/* --- JSON ------------------------------------------------------------------------ */

struct json_to {
	struct json *j;
	FILE *f;
};

static void flush(const struct json_to *k)
{
	if (k->j->n)
		fwrite(k->j->text, 1, k->j->n, k->f);
	k->j->n = 0;
}

static void json_source(struct json *j, const struct reference *r)
{
	const struct timeline *t = r->time;

	json_str(j, "copy_sha256", r->sha256);
	json_str(j, "ffprobe", t->version[0] ? t->version : NULL);
	json_str(j, "container", t->container ? timeline_container(t) : NULL);
}

static void json_run(const struct json_to *k, const struct timeline_run *run)
{
	char buf[TIMELINE_TEXT];

	json_open(k->j, NULL, '{');
	json_uint(k->j, "stream", run->stream);
	json_uint(k->j, "packets", run->packets);
	json_str(k->j, "from", timeline_clock(run->from_us, buf));
	json_str(k->j, "to", timeline_clock(run->to_us, buf));
	json_str(k->j, "from_s", timeline_seconds(run->from_us, buf));
	json_str(k->j, "to_s", timeline_seconds(run->to_us, buf));
	json_close(k->j, '}');
	flush(k);
}

static void json_runs(const struct json_to *k, const struct found *found)
{
	json_open(k->j, "ranges", '[');
	for (size_t i = 0; i < found->n; i++)
		json_run(k, &found->run[i]);
	json_close(k->j, ']');
}

void reference_time_json(FILE *f, struct json *j, const struct reference *r)
{
	const struct timeline *t = r->time;
	struct json_to k = { j, f };
	struct extents e = all_of(r);
	struct found found;

	find(r, &e, &found);
	json_open(j, "time", '{');
	json_source(j, r);
	json_str(j, "not_determined", t->why[0] ? t->why : NULL);
	json_open(j, "streams", '[');
	for (size_t i = 0; t->why[0] == '\0' && i < t->streams; i++) {
		const struct timeline_stream *s = &t->stream[i];

		json_open(j, NULL, '{');
		json_uint(j, "stream", i);
		json_str(j, "type", s->type);
		json_str(j, "codec", s->codec);
		json_uint(j, "of_packets", s->packets);
		if (s->why)
			json_null(j, "packets");
		else
			json_uint(j, "packets", found.packets[i]);
		json_uint(j, "packets_without_time", s->undated);
		json_uint(j, "packets_not_presented", s->hidden);
		json_str(j, "not_determined", s->why);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_runs(&k, &found);
	json_close(j, '}');
	free(found.run);
}

static void json_delivery(void *ctx, const struct delivery *d)
{
	const struct json_to *k = ctx;
	char path[REFERENCE_PATH];
	struct json *j = k->j;

	json_open(j, NULL, '{');
	json_str(j, "case_id", d->c->case_id);
	json_int(j, "conn", d->conn);
	json_str(j, "address", d->ip);
	json_int(j, "port", d->port);
	json_int(j, "first_seq", d->first_seq);
	json_int(j, "last_seq", d->last_seq);
	json_uint(j, "pieces", d->pieces);
	json_str(j, "infohash", d->r->t->swarm);
	json_text(j, "file", span_str(reference_path(d->all, d->r->t,
	    d->r->file, path)));
	json_source(j, d->r);
	json_runs(k, &d->found);
	json_close(j, '}');
	flush(k);
}

int reference_time_received_json(FILE *f, struct json *j,
    const struct subject *s)
{
	struct json_to to = { j, f };
	struct telling k = { json_delivery, &to, s };
	int status;

	json_open(j, "references_received_time", '[');
	status = tell_all(&k);
	json_close(j, ']');
	return status;
}

/* --- the page -------------------------------------------------------------------- */

static void cell_stream(FILE *f, const struct reference *r, size_t i)
{
	fprintf(f, "%zu: ", i);
	html_text(f, r->time->stream[i].type);
	fputs(", ", f);
	html_text(f, r->time->stream[i].codec);
}

static void cell_times(FILE *f, const struct timeline_run *run)
{
	char a[TIMELINE_TEXT], b[TIMELINE_TEXT];

	fprintf(f, "<td class=n>%s</td><td class=n>%s</td>", timeline_clock(
	    run->from_us, a), timeline_clock(run->to_us, b));
	fprintf(f, "<td class=n>%s</td><td class=n>%s</td>", timeline_seconds(
	    run->from_us, a), timeline_seconds(run->to_us, b));
	markup_cell(f, run->packets);
}

#define HEAD_TIMES "<th scope=col>Stream</th><th scope=col class=n>From" \
	"</th><th scope=col class=n>To, not included</th><th scope=col " \
	"class=n>From, seconds</th><th scope=col class=n>To, seconds</th>" \
	"<th scope=col class=n>Packets</th></tr></thead>\n<tbody>\n"

static void page_streams(FILE *f, const struct reference *r, size_t nth,
    const struct found *found)
{
	markup_table(f, NULL, "Streams of copy %zu", nth);
	fputs("<thead><tr><th scope=col>Stream</th><th scope=col class=n>"
	    "Packets presented</th><th scope=col class=n>Wholly in bytes that "
	    "agree</th><th scope=col>Time ranges</th></tr></thead>\n<tbody>\n",
	    f);
	for (size_t i = 0; i < r->time->streams; i++) {
		const struct timeline_stream *s = &r->time->stream[i];

		fputs("<tr><td>", f);
		cell_stream(f, r, i);
		fputs("</td>", f);
		markup_cell(f, s->packets);
		if (s->why) {
			fputs("<td class=n>–</td><td>not determined: ", f);
			html_text(f, s->why);
		} else {
			markup_cell(f, found->packets[i]);
			fprintf(f, "<td>%s", found->packets[i] == 0 ? "none" :
			    found->packets[i] == s->packets ? "all of it" :
			    "below");
		}
		fputs("</td></tr>\n", f);
	}
	markup_table_end(f);
}

void reference_time_page(FILE *f, const struct reference *r, size_t nth)
{
	const struct timeline *t = r->time;
	struct extents e = all_of(r);
	struct found found;
	size_t shown = 0;

	find(r, &e, &found);
	fprintf(f, "<h3 id=time%zu>Time ranges of copy %zu</h3>\n<p>", nth,
	    nth);
	if (t->why[0]) {
		fputs("Time ranges were not determined: ", f);
		html_text(f, t->why);
		if (t->version[0]) {
			fputs(" (ffprobe ", f);
			html_text(f, t->version);
			fputs(")", f);
		}
		fputs(". Pieces and bytes are not touched by that.</p>\n", f);
		return;
	}
	fputs("By ffprobe ", f);
	html_text(f, t->version);
	fprintf(f, ", which read the copy with SHA-256 <code>%s</code> as %s."
	    "</p>\n", r->sha256, timeline_container(t));
	page_streams(f, r, nth, &found);
	if (found.n) {
		markup_table(f, NULL, "Time ranges of copy %zu", nth);
		fputs("<thead><tr>" HEAD_TIMES, f);
		for (; shown < found.n && shown < PAGE_RANGES; shown++) {
			fputs("<tr><td>", f);
			cell_stream(f, r, found.run[shown].stream);
			fputs("</td>", f);
			cell_times(f, &found.run[shown]);
			fputs("</tr>\n", f);
		}
		markup_table_end(f);
	}
	if (found.n > shown) {
		fputs("<p>", f);
		html_count(f, (long long)(found.n - shown), "row", "rows");
		fputs(" more are in reference-time.csv.</p>\n", f);
	}
	free(found.run);
}

struct page_to {
	FILE *f;
	uint64_t rows, shown;
};

static void page_row(struct page_to *k, const struct delivery *d,
    const struct timeline_run *run)
{
	char path[REFERENCE_PATH];
	FILE *f = k->f;

	if (k->rows++ >= PAGE_RANGES)
		return;
	if (k->shown++ == 0) {
		fputs("<p>Of the pieces that one connection delivered and that "
		    "agree with a copy, the time in them: the same reading of "
		    "the copies as above, of these pieces alone. Packets that "
		    "lie partly in other pieces are not counted.</p>\n", f);
		markup_table(f, "delivered", "Time of delivered pieces");
		fputs("<thead><tr><th scope=col>Case: connection</th><th "
		    "scope=col>Address, port</th><th scope=col>Records of "
		    "pieces</th><th scope=col class=n>Pieces that agree</th>"
		    "<th scope=col>File</th>" HEAD_TIMES, f);
	}
	fprintf(f, "<tr><th scope=row>%zu: #%lld</th><td>", d->which,
	    (long long)d->conn);
	html_text(f, d->ip);
	fprintf(f, " %lld</td><td>#%lld", (long long)d->port,
	    (long long)d->first_seq);
	if (d->last_seq != d->first_seq)
		fprintf(f, " to #%lld", (long long)d->last_seq);
	fputs("</td>", f);
	markup_cell(f, d->pieces);
	fputs("<td>", f);
	html_clip(f, reference_path(d->all, d->r->t, d->r->file, path), 120);
	fputs("</td>", f);
	if (run) {
		fputs("<td>", f);
		cell_stream(f, d->r, run->stream);
		fputs("</td>", f);
		cell_times(f, run);
	} else {
		fputs("<td colspan=5>no packet lies wholly in them</td><td "
		    "class=n>0</td>", f);
	}
	fputs("</tr>\n", f);
}

static void page_delivery(void *ctx, const struct delivery *d)
{
	for (size_t i = 0; i < d->found.n; i++)
		page_row(ctx, d, &d->found.run[i]);
	if (d->found.n == 0)
		page_row(ctx, d, NULL);
}

int reference_time_received_page(FILE *f, const struct subject *s)
{
	struct page_to to = { f, 0, 0 };
	struct telling k = { page_delivery, &to, s };
	int status;

	fputs("<h3 id=received-time>Which time of the copies that is</h3>\n",
	    f);
	status = tell_all(&k);
	if (to.shown)
		markup_table_end(f);
	else
		fputs("<p>None is stated: no delivered piece agrees with a copy "
		    "whose time ranges were determined.</p>\n", f);
	if (to.rows > to.shown) {
		fputs("<p>", f);
		html_count(f, (long long)(to.rows - to.shown), "row", "rows");
		fputs(" more are in reference-received-time.csv.</p>\n", f);
	}
	return status;
}
