#include "schema/index.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/leaves.h"
#include "schema/log.h"

struct again {
	sqlite3 *db;
	const struct index_said *said;
	struct indexer *x;
	struct indexfile *file;
	struct leaves *leaves;
	const struct index_tell *tell;
	sqlite3_stmt *row, *gone;
	bool fine, more;
	struct index_pair p;	/* if more */
	int64_t subjects;
	struct index_days days;
};

__attribute__((format(printf, 2, 3)))
static void wrong(struct again *a, const char *fmt, ...)
{
	char what[200], text[260];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	a->fine = false;
	snprintf(text, sizeof(text), "record %" PRId64 " (index): %s",
	    a->said->seq, what);
	if (a->tell)
		a->tell->wrong(a->tell->ctx, text);
}

bool index_read(sqlite3 *db, int64_t seq, struct index_said *out)
{
	static const char sql[] = "SELECT json_extract(detail,'$.from'), "
	    "json_extract(detail,'$.to'), json_extract(detail,'$.subjects'), "
	    "json_extract(detail,'$.root') FROM record WHERE seq = ? AND "
	    "kind = 'index' AND json_valid(detail)";
	sqlite3_stmt *s = NULL;
	bool ok = false;

	*out = (struct index_said){ .seq = seq };
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int64(s, 1, seq);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const char *root = (const char *)sqlite3_column_text(s, 3);

		ok = root && hex_read(span_str(root), out->root.b, 32);
		for (int i = 0; i < 3; i++)
			ok = ok && sqlite3_column_type(s, i) == SQLITE_INTEGER;
		out->from = sqlite3_column_int64(s, 0);
		out->to = sqlite3_column_int64(s, 1);
		out->subjects = sqlite3_column_int64(s, 2);
	}
	sqlite3_finalize(s);
	return ok;
}

static void next_pair(struct again *a)
{
	bool bad = false;

	a->more = indexer_next(a->x, &a->p, &bad);
	if (bad)
		wrong(a, "it cannot be sorted");
}

static void keep_pair(struct again *a)
{
	indexfile_pair(a->file, a->p.subject, a->p.seq);
	next_pair(a);
}

/* The record, or a line of it that may have named the subject. */
static bool is_gone(struct again *a, int64_t seq)
{
	bool is;

	sqlite3_reset(a->gone);
	sqlite3_bind_int64(a->gone, 1, seq);
	is = sqlite3_step(a->gone) == SQLITE_ROW;
	return is && seq >= a->said->from && seq < a->said->to;
}

/* The list of subject by its records, all of whose pairs are taken. */
static struct hash listed(struct again *a, const char *subject)
{
	SHA256_CTX ctx;
	struct hash h;
	char text[24];
	bool any = false;

	SHA256_Init(&ctx);
	for (; a->more && strcmp(a->p.subject, subject) == 0; keep_pair(a)) {
		SHA256_Update(&ctx, text, (size_t)snprintf(text, sizeof(text),
		    "%s%" PRId64, any ? "," : "", a->p.seq));
		any = true;
	}
	SHA256_Final(h.b, &ctx);
	return h;
}

/* A list that is written down: its records, and erased ones besides. */
static struct hash stated(struct again *a, const char *subject,
    const char *text)
{
	struct seqs s = { 0 };
	struct hash h;

	SHA256((const uint8_t *)text, strlen(text), h.b);
	if (!seqs_read(text, &s))
		wrong(a, "the list of %s is none", subject);
	for (size_t i = 0; i < s.n; i++) {
		indexfile_pair(a->file, subject, s.seq[i]);
		if (a->more && strcmp(a->p.subject, subject) == 0 &&
		    a->p.seq == s.seq[i])
			next_pair(a);
		else if (!is_gone(a, s.seq[i]))
			wrong(a, "the list of %s holds record %" PRId64
			    ", which is not its", subject, s.seq[i]);
	}
	for (; a->more && strcmp(a->p.subject, subject) == 0; next_pair(a))
		wrong(a, "the list of %s lacks record %" PRId64, subject,
		    a->p.seq);
	seqs_free(&s);
	return h;
}

static void take_row(struct again *a)
{
	const char *subject = (const char *)sqlite3_column_text(a->row, 0);
	const char *salt = (const char *)sqlite3_column_text(a->row, 1);
	const char *seqs = (const char *)sqlite3_column_text(a->row, 2);
	struct sparse_node n = { .depth = SPARSE_DEPTH };
	uint8_t bytes[SPARSE_SALT];
	struct hash list;
	size_t len = subject ? strlen(subject) : 0;

	if (len < 12 || len >= SUBJECT_MAX || subject[len - 11] != '|') {
		wrong(a, "a subject that is none");
		return;
	}
	/* Pairs before it belong to subjects that have no row. */
	while (a->more && strcmp(a->p.subject, subject) < 0) {
		if (a->p.subject[0])
			wrong(a, "record %" PRId64 " is of a subject that it "
			    "does not have", a->p.seq);
		keep_pair(a);
	}
	if (!seqs && !(a->more && strcmp(a->p.subject, subject) == 0))
		wrong(a, "%s has no record", subject);
	if (seqs)
		list = stated(a, subject, seqs);
	else
		list = listed(a, subject);
	if (!salt || !hex_read(span_str(salt), bytes, sizeof(bytes))) {
		wrong(a, "%s has no salt", subject);
		return;
	}
	n.key = sparse_key(subject);
	n.hash = sparse_leaf(bytes, subject, &list);
	index_days_add(&a->days, subject);
	a->subjects++;
	if (leaves_add(a->leaves, &n) < 0)
		wrong(a, "it cannot be sorted");
}

/* Nodes that stand for subjects erased. */
static void take_gone(struct again *a)
{
	sqlite3_stmt *s = NULL;
	struct sparse_node n;

	if (sqlite3_prepare_v2(a->db, "SELECT n, hash FROM gone WHERE seq = ? "
	    "AND what = 'subject'", -1, &s, NULL) != SQLITE_OK) {
		wrong(a, "%s", sqlite3_errmsg(a->db));
		return;
	}
	sqlite3_bind_int64(s, 1, a->said->seq);
	while (sqlite3_step(s) == SQLITE_ROW) {
		if (!sparse_place(sqlite3_column_int64(s, 0), &n) ||
		    sqlite3_column_bytes(s, 1) != 32) {
			wrong(a, "a node that is none");
			continue;
		}
		memcpy(n.hash.b, sqlite3_column_blob(s, 1), 32);
		a->subjects++;
		if (leaves_add(a->leaves, &n) < 0)
			wrong(a, "it cannot be sorted");
	}
	sqlite3_finalize(s);
}

/* The days of the subjects that are there are among those it says. */
static void check_days(struct again *a)
{
	sqlite3_stmt *s = NULL;
	struct index_days said = { 0 };
	size_t k = 0;

	if (sqlite3_prepare_v2(a->db, "SELECT d.value FROM record, "
	    "json_each(detail, '$.days') AS d WHERE seq = ? AND "
	    "length(d.value) = 10 AND d.value NOT GLOB '*[^0-9-]*'", -1,
	    &s, NULL) != SQLITE_OK)
		return;
	sqlite3_bind_int64(s, 1, a->said->seq);
	while (sqlite3_step(s) == SQLITE_ROW)
		index_days_add(&said,
		    (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	for (size_t i = 0; i < a->days.n; i++) {
		while (k < said.n && said.day[k] < a->days.day[i])
			k++;
		if (k == said.n || said.day[k] != a->days.day[i])
			wrong(a, "it does not list day %d", a->days.day[i]);
	}
	free(said.day);
}

static void finish(struct again *a)
{
	struct hash root = { { 0 } };

	for (; a->more; keep_pair(a))
		if (a->p.subject[0])
			wrong(a, "record %" PRId64 " is of a subject that it "
			    "does not have", a->p.seq);
	take_gone(a);
	check_days(a);
	if (a->subjects != a->said->subjects)
		wrong(a, "it says %" PRId64 " subjects; there are %" PRId64,
		    a->said->subjects, a->subjects);
	if (leaves_root(a->leaves, a->file ? indexfile_node : NULL, a->file,
	    &root) < 0 || memcmp(root.b, a->said->root.b, 32) != 0)
		wrong(a, "its root is not that of the records from %" PRId64
		    " to %" PRId64, a->said->from, a->said->to - 1);
}

bool index_again(sqlite3 *db, const struct index_said *said, struct indexer *x,
    const char *folder, struct indexfile *file, const struct index_tell *tell)
{
	struct again a = { .db = db, .said = said, .x = x, .file = file,
		.tell = tell, .fine = true };

	a.leaves = leaves_new(folder);
	if (sqlite3_prepare_v2(db, "SELECT subject, salt, seqs FROM subject "
	    "WHERE seq = ? ORDER BY subject", -1, &a.row, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "SELECT 1 FROM gone WHERE seq = ? AND "
	    "what IN ('record', 'named')", -1, &a.gone, NULL) != SQLITE_OK ||
	    indexer_rewind(x) < 0) {
		wrong(&a, "%s", sqlite3_errmsg(db));
	} else {
		sqlite3_bind_int64(a.row, 1, said->seq);
		next_pair(&a);
		while (sqlite3_step(a.row) == SQLITE_ROW)
			take_row(&a);
		finish(&a);
	}
	sqlite3_finalize(a.row);
	sqlite3_finalize(a.gone);
	leaves_free(a.leaves);
	free(a.days.day);
	return a.fine;
}
