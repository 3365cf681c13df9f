#include "report/erase_part.h"

#include "schema/log.h"
#include "schema/record.h"

static size_t parts(size_t n)
{
	return (n + ERASE_CHUNK - 1) / ERASE_CHUNK;
}

size_t erase_chunks(const struct erase *x)
{
	size_t n = parts(x->records.n);

	if (parts(x->raws.n) > n)
		n = parts(x->raws.n);
	if (parts(x->names) > n)
		n = parts(x->names);
	return n ? n : 1;
}

struct range {
	size_t from, to;
};

static struct range chunk(size_t n, size_t k)
{
	struct range r = { k * ERASE_CHUNK, (k + 1) * ERASE_CHUNK };

	r.from = r.from < n ? r.from : n;
	r.to = r.to < n ? r.to : n;
	return r;
}

static void put_pair(struct json *j, int64_t a, int64_t b)
{
	json_open(j, NULL, '[');
	json_int(j, NULL, a);
	json_int(j, NULL, b);
	json_close(j, ']');
}

int erase_detail(const struct erase *x, size_t k, struct json *j)
{
	struct range r = chunk(x->records.n, k), w = chunk(x->raws.n, k);
	struct range n = chunk(x->names, k);
	bool last = k + 1 == erase_chunks(x);

	json_open(j, NULL, '{');
	json_text(j, "ground", span_str(x->ground));
	json_open(j, "records", '[');
	for (size_t i = r.from; i < r.to; i++)
		json_int(j, NULL, x->records.seq[i]);
	json_close(j, ']');
	json_open(j, "raws", '[');
	for (size_t i = w.from; i < w.to; i++)
		json_int(j, NULL, x->raws.seq[i]);
	json_close(j, ']');
	json_open(j, "lines", '[');
	for (size_t i = n.from; i < n.to; i++)
		put_pair(j, x->named[i].seq, x->named[i].n);
	json_close(j, ']');
	json_open(j, "subjects", '[');
	for (size_t i = 0; last && i < x->subjects; i++)
		put_pair(j, x->subject[i].seq, x->subject[i].node);
	json_close(j, ']');
	json_open(j, "packets", '[');
	for (size_t i = 0; last && i < x->files; i++) {
		const struct erase_packets *p = &x->file[i];

		json_open(j, NULL, '{');
		json_str(j, "file", p->file);
		json_str(j, "was", p->was);
		json_str(j, "sha256", p->now);
		json_int(j, "bytes", p->bytes);
		json_int(j, "packets", p->packets);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
	return json_done(j) ? 0 : -1;
}

/* --- in the writer's transaction ---------------------------------------------- */

__attribute__((noreturn))
static void die(sqlite3 *db)
{
	log_die("nothing was erased: evidence.db: %s", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		die(db);
	return s;
}

static void run(sqlite3 *db, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		die(db);
	sqlite3_reset(s);
}

/* The hash of a line that sql selects by two numbers. */
static struct hash leaf_of(sqlite3 *db, sqlite3_stmt *s, int64_t a, int64_t b)
{
	struct hash h;

	sqlite3_bind_int64(s, 1, a);
	sqlite3_bind_int64(s, 2, b);
	if (sqlite3_step(s) != SQLITE_ROW || !sqlite3_column_text(s, 0))
		die(db);
	h = merkle_leaf(sqlite3_column_text(s, 0),
	    (size_t)sqlite3_column_bytes(s, 0));
	sqlite3_reset(s);
	return h;
}

struct taking {
	sqlite3 *db;
	int64_t by;
	sqlite3_stmt *gone;
};

static void put_gone(struct taking *t, int64_t seq, const char *what,
    int64_t n, const struct hash *h)
{
	sqlite3_bind_int64(t->gone, 1, seq);
	sqlite3_bind_text(t->gone, 2, what, -1, SQLITE_STATIC);
	sqlite3_bind_int64(t->gone, 3, n);
	if (h)
		sqlite3_bind_blob(t->gone, 4, h->b, sizeof(h->b),
		    SQLITE_STATIC);
	else
		sqlite3_bind_null(t->gone, 4);
	sqlite3_bind_int64(t->gone, 5, t->by);
	run(t->db, t->gone);
}

static void delete(struct taking *t, const char *sql, int64_t seq, int64_t n)
{
	sqlite3_stmt *s = prepare(t->db, sql);

	sqlite3_bind_int64(s, 1, seq);
	if (sqlite3_bind_parameter_count(s) > 1)
		sqlite3_bind_int64(s, 2, n);
	run(t->db, s);
	sqlite3_finalize(s);
}

static void take_records(struct taking *t, const struct erase *x,
    struct range r)
{
	sqlite3_stmt *line = prepare(t->db, "SELECT " RECORD_LINE " FROM record "
	    "WHERE seq = ?1 AND ?2 = 0");

	for (size_t i = r.from; i < r.to; i++) {
		int64_t seq = x->records.seq[i];
		struct hash h = leaf_of(t->db, line, seq, 0);

		put_gone(t, seq, "record", 0, &h);
		delete(t, "DELETE FROM named WHERE seq = ?", seq, 0);
		delete(t, "DELETE FROM raw WHERE seq = ?", seq, 0);
		delete(t, "DELETE FROM record WHERE seq = ?", seq, 0);
	}
	sqlite3_finalize(line);
}

static void take_named(struct taking *t, const struct erase *x,
    struct range r)
{
	sqlite3_stmt *line = prepare(t->db, "SELECT " NAMED_LINE " FROM named "
	    "WHERE seq = ? AND n = ?");

	for (size_t i = r.from; i < r.to; i++) {
		const struct erase_named *n = &x->named[i];
		struct hash h = leaf_of(t->db, line, n->seq, n->n);

		put_gone(t, n->seq, "named", n->n, &h);
		delete(t, "DELETE FROM named WHERE seq = ? AND n = ?", n->seq,
		    n->n);
	}
	sqlite3_finalize(line);
}

static void take_subjects(struct taking *t, const struct erase *x)
{
	sqlite3_stmt *drop = prepare(t->db, "DELETE FROM subject WHERE seq = ? "
	    "AND subject = ?");
	sqlite3_stmt *state = prepare(t->db, "UPDATE subject SET seqs = ?3 "
	    "WHERE seq = ?1 AND subject = ?2");

	for (size_t i = 0; i < x->subjects; i++) {
		const struct erase_subject *s = &x->subject[i];

		put_gone(t, s->seq, "subject", s->node, &s->hash);
		sqlite3_bind_int64(drop, 1, s->seq);
		sqlite3_bind_text(drop, 2, s->subject, -1, SQLITE_STATIC);
		run(t->db, drop);
	}
	for (size_t i = 0; i < x->lists; i++) {
		const struct erase_list *l = &x->list[i];

		sqlite3_bind_int64(state, 1, l->seq);
		sqlite3_bind_text(state, 2, l->subject, -1, SQLITE_STATIC);
		sqlite3_bind_text(state, 3, l->seqs, -1, SQLITE_STATIC);
		run(t->db, state);
	}
	sqlite3_finalize(drop);
	sqlite3_finalize(state);
}

bool erase_take(void *ctx, sqlite3 *db, int64_t seq)
{
	struct erase *x = ctx;
	struct taking t = { .db = db, .by = seq };
	struct range w = chunk(x->raws.n, x->done);

	/* What goes is overwritten, not merely forgotten. */
	sqlite3_exec(db, "PRAGMA secure_delete = on", NULL, NULL, NULL);
	t.gone = prepare(db, "INSERT INTO gone VALUES (?,?,?,?,?)");
	take_records(&t, x, chunk(x->records.n, x->done));
	take_named(&t, x, chunk(x->names, x->done));
	for (size_t i = w.from; i < w.to; i++) {
		put_gone(&t, x->raws.seq[i], "raw", 0, NULL);
		delete(&t, "DELETE FROM raw WHERE seq = ?", x->raws.seq[i], 0);
	}
	x->done++;
	if (x->done == erase_chunks(x))
		take_subjects(&t, x);
	sqlite3_finalize(t.gone);
	return x->done < erase_chunks(x);
}
