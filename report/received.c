#include "report/received.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/rows.h"
#include "schema/log.h"
#include "schema/torrent.h"

static char *append(char *list, const char *sep, const char *more)
{
	char *s;

	if (asprintf(&s, "%s%s%s", list ? list : "", list ? sep : "",
	    more) < 0)
		log_die("out of memory");
	free(list);
	return s;
}

/* The torrent as the ledger holds it, or NULL. */
static struct torrent *torrent_of(const struct scope *s)
{
	struct torrent *t = NULL;
	struct wire_error err;
	struct rows q;

	rows_open(&q, s->db, "SELECT w.bytes FROM about AS a JOIN "
	    "evidence.record AS r ON r.seq = a.seq JOIN evidence.raw AS w ON "
	    "w.seq = a.seq WHERE a.kind = 'torrent' AND coalesce(r.swarm, "
	    "r.detail ->> 'infohash_v1', json_extract(r.detail, "
	    "'$.infohash_v2')) = ?1 ORDER BY a.seq LIMIT 1", s->swarm);
	if (rows_next(&q))
		t = torrent_new(span_of(sqlite3_column_blob(q.st, 0),
		    (size_t)sqlite3_column_bytes(q.st, 0)), &err);
	rows_close(&q);
	return t;
}

/* The size of the nth file that has bytes in this piece: the records list
 * files in that order. */
static int64_t size_of(const struct torrent *t, int64_t piece, int64_t nth)
{
	uint64_t from, to;

	if (t == NULL || piece < 0 || piece >= t->mi.pieces)
		return -1;
	from = (uint64_t)piece * t->mi.piece_bytes;
	to = from + t->mi.piece_bytes;
	for (uint32_t i = 0; i < t->mi.files; i++) {
		const struct mi_file *f = &t->files[i];

		if (f->bytes && f->offset < to && f->offset + f->bytes > from &&
		    nth-- == 0)
			return (int64_t)f->bytes;
	}
	return -1;
}

static struct received_file *file_of(struct received *out, const char *path,
    bool pad, int64_t size)
{
	struct received_file *more;

	for (size_t i = out->n; i > 0; i--)
		if (strcmp(out->at[i - 1].path, path) == 0 &&
		    out->at[i - 1].pad == pad)
			return &out->at[i - 1];
	more = realloc(out->at, (out->n + 1) * sizeof(*more));
	if (more == NULL)
		log_die("out of memory");
	out->at = more;
	more = &out->at[out->n++];
	*more = (struct received_file){ .path = strdup(path), .pad = pad,
		.size = size, .end = -1 };
	if (more->path == NULL)
		log_die("out of memory");
	return more;
}

/* Ranges come in order of piece, so neighbours join. */
static void add_range(struct received_file *f, int64_t from, int64_t to)
{
	char text[64];

	if (from < f->end)
		from = f->end;
	if (to <= from)
		return;
	f->bytes += to - from;
	if (from == f->end && f->ranges) {
		char *dash = strrchr(f->ranges, '-');

		*dash = '\0';
		snprintf(text, sizeof(text), "-%" PRId64, to - 1);
		f->ranges = append(f->ranges, "", text);
	} else {
		snprintf(text, sizeof(text), "%" PRId64 "-%" PRId64, from,
		    to - 1);
		f->ranges = append(f->ranges, ", ", text);
	}
	f->end = to;
}

static char *sql_of(const struct scope *s)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		log_die("out of memory");
	fputs("WITH talk (conn, last) AS (VALUES ", f);
	for (size_t i = 0; i < s->talks; i++)
		fprintf(f, "%s(%" PRId64 ", %" PRId64 ")", i ? ", " : "",
		    s->talk[i].conn, s->talk[i].last_seq);
	fprintf(f, "), good AS (SELECT min(r.seq) AS seq, r.detail, "
	    "r.detail ->> 'piece' AS piece FROM talk JOIN "
	    "evidence.record AS r ON r.seq BETWEEN talk.conn AND talk.last AND "
	    "r.conn = talk.conn WHERE r.utc_ns >= %" PRId64 " AND r.utc_ns < "
	    "%" PRId64 " AND r.ip = '%s' AND r.kind = 'piece' AND "
	    "r.detail ->> 'by' = 'peer' AND "
	    "r.detail ->> 'complete' AND "
	    "r.detail ->> 'match' GROUP BY piece) "
	    "SELECT seq, piece, f.key, f.value ->> 'from', "
	    "f.value ->> 'to', f.value ->> 'pad', "
	    "f.value ->> 'path' FROM good, json_each(good.detail, "
	    "'$.files') AS f ORDER BY piece, f.key", s->from_utc_ns,
	    s->to_utc_ns, s->ip);
	if (fclose(f))
		log_die("out of memory");
	return text;
}

int received_make(struct received *out, const struct scope *s)
{
	struct torrent *t;
	struct rows q;
	char seq[24];

	*out = (struct received){ 0 };
	if (s->talks == 0)
		return 0;
	out->sql = sql_of(s);
	rows_open(&q, s->db, out->sql, NULL);
	t = NULL;
	while (rows_next(&q)) {
		const char *path = rows_text(&q, 6);
		bool pad = rows_int(&q, 5) != 0;
		struct received_file *f;

		if (t == NULL && out->n == 0)
			t = torrent_of(s);
		f = file_of(out, path ? path : "", pad, pad ? -1 :
		    size_of(t, rows_int(&q, 1), rows_int(&q, 2)));
		add_range(f, rows_int(&q, 3), rows_int(&q, 4));
		snprintf(seq, sizeof(seq), "%" PRId64, rows_int(&q, 0));
		f->records = append(f->records, ",", seq);
	}
	for (size_t i = 0; i < out->n; i++)
		out->bytes += out->at[i].pad ? 0 : out->at[i].bytes;
	torrent_free(t);
	return rows_close(&q);
}

void received_free(struct received *out)
{
	for (size_t i = 0; i < out->n; i++) {
		free(out->at[i].path);
		free(out->at[i].ranges);
		free(out->at[i].records);
	}
	free(out->at);
	free(out->sql);
	*out = (struct received){ 0 };
}
