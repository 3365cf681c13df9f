#include "report/reference.h"

#include <inttypes.h>

#include "report/csv.h"
#include "report/html.h"
#include "report/manifest.h"
#include "report/markup.h"
#include "report/pseudonym.h"
#include "report/reference_time.h"
#include "report/rows.h"
#include "report/when.h"

#define PAGE_RANGES 200		/* the CSV has all */
#define PAGE_RECEIVED 500

static const struct mi_file *file_of(const struct reference *r)
{
	return &r->t->files[r->file];
}

/* --- what endpoints delivered of it ------------------------------------------- */

/* The part of a delivered piece that lies in one file. */
struct part {
	const struct facts *c;
	size_t which;		/* its case, from 1 */
	int64_t seq, conn, port, utc_ns, bound_ns;
	const char *ip;
	const struct references *all;
	const struct torrent *t;
	uint32_t piece, file;
	uint64_t from, to;	/* in the file */
	bool compared;		/* a copy of the file was given: */
	enum reference_verdict verdict;
};

/* Calls tell for each file that a matched piece of the referenced torrents has
 * bytes of, in order of cases and records. -1 logged. */
struct telling {
	void (*tell)(void *ctx, const struct part *p);
	void *ctx;
	const struct subject *s;
	uint64_t parts;
};

void reference_delivered(struct rows *q, const struct facts *c,
    const struct endpoints_of *of, const struct torrent *t, bool by_talk)
{
#define DELIVERED "SELECT seq, conn, ip, port, piece, utc_ns FROM " \
	"piece_check WHERE swarm = ?1 AND ok = 1 AND (?2 IS NULL OR ip = ?2) " \
	"AND (?3 < 0 OR port = ?3) AND (?4 IS NULL OR date(utc_ns / " \
	"1000000000, 'unixepoch') >= ?4) AND (?5 IS NULL OR date(utc_ns / " \
	"1000000000, 'unixepoch') <= ?5) ORDER BY "
	rows_open(q, c->db, by_talk ? DELIVERED "conn, ip, port, seq" :
	    DELIVERED "seq", t->swarm);
	if (q->failed)
		return;
	sqlite3_bind_text(q->st, 2, of->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int(q->st, 3, of->ip ? of->port : -1);
	sqlite3_bind_text(q->st, 4, of->from_day, -1, SQLITE_STATIC);
	sqlite3_bind_text(q->st, 5, of->to_day, -1, SQLITE_STATIC);
}

static void tell_files(struct telling *k, struct part *p)
{
	const struct torrent *t = p->t;
	uint64_t start = (uint64_t)p->piece * t->mi.piece_bytes;
	uint64_t end = start + torrent_piece_bytes(t, p->piece);

	for (uint32_t i = torrent_file_at(t, start); i < t->mi.files &&
	    t->files[i].offset < end; i++) {
		const struct mi_file *f = &t->files[i];
		const struct reference *r;
		struct reference_range range;

		if (f->bytes == 0)
			continue;
		p->file = i;
		p->from = start > f->offset ? start - f->offset : 0;
		p->to = end < f->offset + f->bytes ? end - f->offset :
		    f->bytes;
		r = reference_of(k->s->references, t, i);
		p->compared = r && reference_piece(r, p->piece, &range);
		if (p->compared)
			p->verdict = range.verdict;
		k->parts++;
		k->tell(k->ctx, p);
	}
}

static int tell_torrent(struct telling *k, const struct torrent *t)
{
	const struct endpoints_of *of = &k->s->of;
	int status = 0;

	for (size_t i = 0; i < k->s->n && status == 0; i++) {
		const struct facts *c = &k->s->cases[i];
		struct rows q;

		reference_delivered(&q, c, of, t, false);
		while (rows_next(&q)) {
			struct part p = { .c = c, .which = i + 1, .t = t,
				.all = k->s->references,
				.seq = rows_int(&q, 0),
				.conn = rows_int(&q, 1),
				.ip = rows_text(&q, 2),
				.port = rows_int(&q, 3),
				.utc_ns = rows_int(&q, 5) };
			int64_t piece = rows_int(&q, 4);

			if (piece < 0 || piece >= t->mi.pieces)
				continue;
			p.piece = (uint32_t)piece;
			p.bound_ns = facts_bound(c, p.utc_ns);
			tell_files(k, &p);
		}
		if (rows_close(&q))
			status = -1;
	}
	return status;
}

static int tell_all(struct telling *k)
{
	const struct references *r = k->s->references;

	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].owns && tell_torrent(k, r->at[i].t))
			return -1;
	return 0;
}

static const char *verdict_of(const struct part *p)
{
	return p->compared ? reference_word(p->verdict) : "no copy given";
}

/* --- CSV ------------------------------------------------------------------------ */

static void csv_ranges(FILE *f, const struct references *all)
{
	char path[REFERENCE_PATH];

	fputs("infohash,file,kind,bytes,copy_sha256,from_piece,to_piece,"
	    "from_byte,to_byte,verdict\r\n", f);
	for (size_t i = 0; i < all->n; i++) {
		const struct reference *r = &all->at[i];
		struct reference_range g;
		uint32_t at = 0;

		while (reference_next(r, &at, &g)) {
			fprintf(f, "%s,", r->t->swarm);
			csv_text(f, reference_path(all, r->t, r->file, path));
			fprintf(f, ",%s,%" PRIu64 ",%s,%u,%u,%" PRIu64 ",%"
			    PRIu64 ",%s\r\n", reference_kind(path, false),
			    file_of(r)->bytes, r->sha256, g.from_piece,
			    g.to_piece, g.from, g.to,
			    reference_word(g.verdict));
		}
	}
}

static void csv_part(void *ctx, const struct part *p)
{
	char t[WHEN_MAX], path[REFERENCE_PATH];
	FILE *f = ctx;

	fprintf(f, "%zu,%lld,%lld,%s,%lld,%s,", p->which, (long long)p->seq,
	    (long long)p->conn, p->ip, (long long)p->port,
	    when_exact(p->utc_ns, t));
	if (p->bound_ns >= 0)
		fprintf(f, "%lld", (long long)p->bound_ns);
	fprintf(f, ",%s,%u,", p->t->swarm, p->piece);
	csv_text(f, reference_path(p->all, p->t, p->file, path));
	fprintf(f, ",%s,%" PRIu64 ",%" PRIu64 ",%s\r\n", reference_kind(path,
	    p->t->files[p->file].pad), p->from, p->to, verdict_of(p));
}

/* --- JSON ----------------------------------------------------------------------- */

struct json_to {
	struct json *j;
	FILE *f;
};

static void flush(struct json_to *k)
{
	if (k->j->n)
		fwrite(k->j->text, 1, k->j->n, k->f);
	k->j->n = 0;
}

static void json_part(void *ctx, const struct part *p)
{
	char t[WHEN_MAX], path[REFERENCE_PATH];
	struct json_to *k = ctx;
	struct json *j = k->j;

	json_open(j, NULL, '{');
	json_str(j, "case_id", p->c->case_id);
	json_int(j, "seq", p->seq);
	json_str(j, "address", p->ip);
	json_int(j, "port", p->port);
	json_str(j, "utc", when_exact(p->utc_ns, t));
	if (p->bound_ns >= 0)
		json_int(j, "bound_ns", p->bound_ns);
	else
		json_null(j, "bound_ns");
	json_str(j, "infohash", p->t->swarm);
	json_uint(j, "piece", p->piece);
	json_text(j, "file", span_str(reference_path(p->all, p->t, p->file,
	    path)));
	json_str(j, "kind", reference_kind(path, p->t->files[p->file].pad));
	json_uint(j, "from_byte", p->from);
	json_uint(j, "to_byte", p->to);
	json_str(j, "verdict", verdict_of(p));
	json_close(j, '}');
	flush(k);
}

static void json_counts(struct json *j, const struct reference *r)
{
	static const char *const pieces[] = { "pieces_agree",
	    "pieces_differ", "pieces_open" };
	static const char *const bytes[] = { "bytes_agree", "bytes_differ",
	    "bytes_open" };

	for (int v = 0; v < 3; v++) {
		json_uint(j, pieces[v], r->count[v]);
		json_uint(j, bytes[v], r->bytes[v]);
	}
	if (r->whole < 0)
		json_null(j, "file_root_agrees");
	else
		json_bool(j, "file_root_agrees", r->whole);
}

int reference_json(FILE *f, struct json *j, const struct subject *s)
{
	struct json_to k = { j, f };
	struct telling telling = { json_part, &k, s, 0 };
	char path[REFERENCE_PATH], *copy;
	int status;

	if (s->references == NULL)
		return 0;
	json_open(j, "references", '[');
	for (size_t i = 0; i < s->references->n; i++) {
		const struct reference *r = &s->references->at[i];
		struct reference_range g;
		uint32_t at = 0;

		json_open(j, NULL, '{');
		json_str(j, "infohash", r->t->swarm);
		json_text(j, "file", span_str(reference_path(s->references,
		    r->t, r->file, path)));
		json_str(j, "kind", reference_kind(path, false));
		copy = pseudonym_copy(s->references->veil, r->path);
		json_text(j, "copy", span_str(copy));
		free(copy);
		json_uint(j, "bytes", file_of(r)->bytes);
		json_str(j, "sha256", r->sha256);
		json_counts(j, r);
		json_open(j, "ranges", '[');
		while (reference_next(r, &at, &g)) {
			json_open(j, NULL, '{');
			json_uint(j, "from_piece", g.from_piece);
			json_uint(j, "to_piece", g.to_piece);
			json_uint(j, "from_byte", g.from);
			json_uint(j, "to_byte", g.to);
			json_str(j, "verdict", reference_word(g.verdict));
			json_close(j, '}');
			flush(&k);
		}
		json_close(j, ']');
		reference_time_json(f, j, r);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "references_received", '[');
	status = tell_all(&telling);
	json_close(j, ']');
	return status || reference_time_received_json(f, j, s) ? -1 : 0;
}

/* --- the page ------------------------------------------------------------------- */

static void page_reference(FILE *f, const struct references *refs, size_t i)
{
	const struct reference *r = &refs->at[i - 1];
	char path[REFERENCE_PATH], *copy = pseudonym_copy(refs->veil, r->path);
	struct reference_range g;
	uint32_t at = 0, shown = 0, all = 0;

	while (reference_next(r, &at, &g))
		all++;
	fprintf(f, "<section>\n<h2 id=copy%zu>Copy %zu</h2>\n<dl>", i, i);
	markup_given(f, "File of the torrent", reference_path(refs, r->t,
	    r->file, path));
	markup_term(f, "By its name");
	fprintf(f, "%s</dd>\n", reference_kind(path, false));
	markup_term(f, "Torrent");
	markup_code(f, r->t->swarm);
	fputs("</dd>\n", f);
	markup_given(f, "The copy, as given", copy);
	free(copy);
	markup_term(f, "Its size");
	html_count(f, (long long)file_of(r)->bytes, "byte", "bytes");
	fputs(", as the torrent says</dd>\n", f);
	markup_term(f, "Its SHA-256");
	markup_code(f, r->sha256);
	fputs("</dd>\n", f);
	if (r->whole >= 0) {
		markup_term(f, "The file’s root (BEP 52)");
		fputs(r->whole ? "agrees: the copy is the torrent’s file, "
		    "whole</dd>\n" : "differs: the copy is not the torrent’s "
		    "file</dd>\n", f);
	}
	fputs("</dl>\n<p>Of ", f);
	html_count(f, r->pieces, "piece", "pieces");
	fputs(" that hold bytes of this file, ", f);
	html_number(f, r->count[REFERENCE_AGREES]);
	fputs(" agree with the copy (", f);
	html_count(f, (long long)r->bytes[REFERENCE_AGREES], "byte", "bytes");
	fputs(" of the file, ", f);
	markup_percent(f, (int64_t)r->bytes[REFERENCE_AGREES],
	    (int64_t)file_of(r)->bytes);
	fputs("), ", f);
	html_number(f, r->count[REFERENCE_DIFFERS]);
	fputs(" differ (", f);
	html_count(f, (long long)r->bytes[REFERENCE_DIFFERS], "byte", "bytes");
	fputs("), and ", f);
	html_number(f, r->count[REFERENCE_OPEN]);
	fputs(" are open", f);
	if (r->count[REFERENCE_OPEN]) {
		fputs(" (", f);
		html_count(f, (long long)r->bytes[REFERENCE_OPEN], "byte",
		    "bytes");
		fputs("): they also hold bytes of a file of which no copy was "
		    "given, or the torrent’s hash of them is not known", f);
	}
	fputs(".</p>\n", f);
	markup_table(f, NULL, "Pieces of copy %zu", i);
	fputs("<thead><tr><th scope=col class=n>From piece</th><th scope=col "
	    "class=n>To piece</th><th scope=col class=n>From byte</th>"
	    "<th scope=col class=n>To byte, not included</th><th scope=col>"
	    "Verdict</th></tr></thead>\n<tbody>\n", f);
	for (at = 0; shown < PAGE_RANGES && reference_next(r, &at, &g);
	    shown++) {
		fputs("<tr>", f);
		markup_cell(f, g.from_piece);
		markup_cell(f, g.to_piece);
		markup_cell(f, (int64_t)g.from);
		markup_cell(f, (int64_t)g.to);
		fprintf(f, "<td>%s</td></tr>\n", reference_word(g.verdict));
	}
	markup_table_end(f);
	if (all > shown) {
		html_count(f, all - shown, "row", "rows");
		fputs(" more are in reference.csv.\n", f);
	}
	reference_time_page(f, r, i);
	fputs("</section>\n", f);
}

struct page_to {
	FILE *f;
	uint64_t shown;
};

static void page_part(void *ctx, const struct part *p)
{
	struct page_to *k = ctx;
	char path[REFERENCE_PATH];
	FILE *f = k->f;

	if (k->shown >= PAGE_RECEIVED)
		return;
	k->shown++;
	fprintf(f, "<tr><th scope=row>%zu: #%lld</th><td>", p->which,
	    (long long)p->seq);
	html_text(f, p->ip);
	fprintf(f, " %lld</td><td>", (long long)p->port);
	markup_moment(f, p->utc_ns, p->bound_ns);
	fputs("</td>", f);
	markup_cell(f, p->piece);
	fputs("<td>", f);
	html_clip(f, reference_path(p->all, p->t, p->file, path), 120);
	fprintf(f, "</td><td>%s</td>", reference_kind(path,
	    p->t->files[p->file].pad));
	markup_cell(f, (int64_t)p->from);
	markup_cell(f, (int64_t)p->to);
	fprintf(f, "<td>%s</td></tr>\n", verdict_of(p));
}

static int page_received(FILE *f, const struct subject *s)
{
	struct page_to k = { f, 0 };
	struct telling telling = { page_part, &k, s, 0 };
	int status;

	fputs("<section>\n<h2 id=received>What endpoints delivered of it</h2>\n"
	    "<p>Pieces that came whole over one connection and matched the "
	    "torrent’s hash, and which bytes of which files they are. Where "
	    "the verdict is “agrees”, those bytes are the copy’s.</p>\n", f);
	markup_table(f, "delivered", "Delivered pieces");
	fputs("<thead><tr><th scope=col>Case: record</th><th scope=col>"
	    "Address, port</th><th scope=col>Time (UTC)</th><th scope=col "
	    "class=n>Piece</th><th scope=col>File</th><th scope=col>By its "
	    "name</th><th scope=col class=n>From byte</th><th scope=col "
	    "class=n>To byte, not included</th><th scope=col>Verdict</th>"
	    "</tr></thead>\n<tbody>\n", f);
	status = tell_all(&telling);
	markup_table_end(f);
	if (telling.parts == 0)
		fputs("<p>No such piece was delivered.</p>\n", f);
	if (telling.parts > k.shown) {
		fputs("<p>", f);
		html_count(f, (long long)(telling.parts - k.shown), "row",
		    "rows");
		fputs(" more are in reference-received.csv.</p>\n", f);
	}
	if (status == 0)
		status = reference_time_received_page(f, s);
	fputs("</section>\n", f);
	return status;
}

static int page(FILE *f, const struct subject *s)
{
	markup_head(f, s, "E1", "Copies held against the torrents",
	    "Which pieces are those of a copy that somebody gave.");
	fputs("<section>\n<h2 id=what>What this is, and what it is not</h2>\n"
	    "<p>Whoever made this report gave copies of files, and says that "
	    "they are lawful and what work they are. The program compared "
	    "their bytes with the torrent’s piece hashes, nothing else. A "
	    "piece that agrees is the same bytes in copy and torrent. A piece "
	    "that differs is other bytes, which says nothing of whether they "
	    "show the same work: another encoding of it differs in every "
	    "piece.</p>\n<p>Positions are bytes. Where ffprobe can read the copy "
	    "as a film or a recording, time ranges stand below them. A time "
	    "range says this: every packet of that stream that ffprobe lists "
	    "(a picture, a stretch of sound, a subtitle) and that begins within "
	    "it lies wholly in bytes that agree. Times are those at which the "
	    "copy’s own container says that a packet is presented; they are no "
	    "share of the bytes. A time that is in no range was not shown to "
	    "agree, which does not say that it differs.</p>\n<p>Not claimed is "
	    "that the container’s headers and indexes, which the times come "
	    "from, agree too; that the torrent’s file presents a packet at that "
	    "time where they differ; or that a part can be decoded or played by "
	    "itself: packets may need others before and after them. Nothing was "
	    "decoded. What a file is (sample, subtitles, padding) is told by "
	    "its name alone.</p>\n</section>\n", f);
	for (size_t i = 0; i < s->references->n; i++)
		page_reference(f, s->references, i + 1);
	if (page_received(f, s))
		return -1;
	markup_foot_with(f, ", the copies, what ffprobe "
	    "reads of them");
	return 0;
}

int reference_put(struct manifest *m, const struct subject *s)
{
	struct telling telling = { csv_part, NULL, s, 0 };
	FILE *f;

	if (s->references == NULL)
		return 0;
	f = manifest_file(m, "reference.html", "E1: copies held against the "
	    "torrents");
	if (f == NULL || page(f, s) || manifest_put(m))
		return -1;
	f = manifest_file(m, "reference.csv", "E2: which pieces of the copies "
	    "agree");
	if (f == NULL)
		return -1;
	csv_ranges(f, s->references);
	if (manifest_put(m))
		return -1;
	f = manifest_file(m, "reference-received.csv", "E3: delivered pieces "
	    "and the copies");
	if (f == NULL)
		return -1;
	telling.ctx = f;
	fputs("case,seq,conn,ip,port,utc,bound_ns,infohash,piece,file,kind,"
	    "from_byte,to_byte,verdict\r\n", f);
	if (tell_all(&telling) || manifest_put(m))
		return -1;
	f = manifest_file(m, "reference-time.csv", "E4: which time of the "
	    "copies agrees");
	if (f == NULL)
		return -1;
	reference_time_csv(f, s->references);
	if (manifest_put(m))
		return -1;
	f = manifest_file(m, "reference-received-time.csv", "E5: which time of "
	    "the copies was delivered");
	if (f == NULL)
		return -1;
	return reference_time_received_csv(f, s) || manifest_put(m) ? -1 : 0;
}
