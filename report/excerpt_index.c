#include "report/excerpt_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

static int sql_fails(const struct excerpt *e)
{
	log_warn("%s: %s", e->path, sqlite3_errmsg(e->db));
	return -1;
}

/* --- the index records ------------------------------------------------------ */

static int64_t newest(const struct excerpt *e)
{
	sqlite3_stmt *s = NULL;
	int64_t seq = -1;

	if (sqlite3_prepare_v2(e->db, "SELECT seq FROM record WHERE "
	    "kind = 'index' ORDER BY seq DESC LIMIT 1", -1, &s, NULL) ==
	    SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		seq = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return seq;
}

static int by_seq(const void *a, const void *b)
{
	const struct index_said *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Each names the one before by where it begins. */
static int find_indexes(struct excerpt *e)
{
	struct index_said said;
	int64_t seq = newest(e);
	size_t room = 0;

	e->to = seq < 0 ? 0 : seq;
	while (seq > 0) {
		if (!index_read(e->db, seq, &said) || said.to != seq ||
		    said.from >= seq || said.from < 0) {
			log_warn("%s: record %" PRId64 " is no index; run "
			    "verify", e->path, seq);
			return -1;
		}
		if (e->indexes == room) {
			room = 2 * room + 16;
			e->index = realloc(e->index, room * sizeof(said));
			if (e->index == NULL)
				log_die("out of memory");
		}
		e->index[e->indexes++] = said;
		seq = said.from;
	}
	if (e->indexes)
		qsort(e->index, e->indexes, sizeof(said), by_seq);
	return 0;
}

/* --- one subject ------------------------------------------------------------ */

static void hash_of(const char *text, struct hash *h)
{
	SHA256((const uint8_t *)text, strlen(text), h->b);
}

/* Salt and, if it is written down, the list. False: the index does not have
 * the subject. */
static bool read_row(const struct excerpt *e, struct excerpt_subject *s)
{
	sqlite3_stmt *st = NULL;
	bool there = false;

	if (sqlite3_prepare_v2(e->db, "SELECT salt, seqs FROM subject WHERE "
	    "seq = ? AND subject = ?", -1, &st, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int64(st, 1, s->seq);
	sqlite3_bind_text(st, 2, s->subject, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0)) {
		const char *seqs = (const char *)sqlite3_column_text(st, 1);

		there = true;
		snprintf(s->salt, sizeof(s->salt), "%s",
		    (const char *)sqlite3_column_text(st, 0));
		s->seqs = seqs ? strdup(seqs) : NULL;
	}
	sqlite3_finalize(st);
	return there;
}

/* By the file of lists. False: it does not lead to the root. */
static bool prove(const struct excerpt *e, sqlite3 *file,
    const struct index_said *said, struct excerpt_subject *s)
{
	struct hash path[SPARSE_DEPTH], *leaves = NULL, leaf, list;
	uint64_t key = sparse_key(s->subject);
	struct seqs seqs = { 0 };
	uint8_t salt[SPARSE_SALT];
	size_t n = 0, others = 0;
	bool there = read_row(e, s), ok;

	if (indexfile_path(file, said->seq, key, path, &leaves, &n) < 0)
		return false;
	if (there && s->seqs == NULL) {
		ok = indexfile_list(file, said->seq, s->subject, &seqs) > 0;
		s->seqs = seqs_text(&seqs);
		seqs_free(&seqs);
	} else {
		ok = true;
	}
	s->path = malloc((SPARSE_DEPTH + n) * sizeof(*s->path));
	if (s->path == NULL)
		log_die("out of memory");
	leaf = (struct hash){ { 0 } };
	if (there && ok && hex_read(span_str(s->salt), salt, sizeof(salt))) {
		hash_of(s->seqs, &list);
		leaf = sparse_leaf(salt, s->subject, &list);
		for (size_t i = 0; i < n; i++)
			if (memcmp(&leaves[i], &leaf, sizeof(leaf)) != 0)
				s->path[others++] = leaves[i];
		ok = others + 1 == n;
		leaf = sparse_share(leaves, n);
	} else {
		ok = ok && !there && n == 0;
	}
	memcpy(s->path + others, path, sizeof(path));
	s->path_n = others + SPARSE_DEPTH;
	free(leaves);
	leaf = sparse_climb(&leaf, key, path);
	return ok && memcmp(&leaf, &said->root, sizeof(leaf)) == 0;
}

static void forget(struct excerpt_subject *s)
{
	free(s->seqs);
	free(s->path);
	s->seqs = NULL;
	s->path = NULL;
	s->salt[0] = '\0';
}

/* --- the lists -------------------------------------------------------------- */

static void hear(void *ctx, const char *text)
{
	(void)ctx;
	log_warn("%s", text);
}

/* Where the lists are made again: beside the case if that can be written. */
static const char *shelf(const struct excerpt *e)
{
	return access(e->path, W_OK) == 0 ? e->path : e->out_path;
}

static int make_again(const struct excerpt *e, const struct index_said *said)
{
	struct index_tell tell = { .wrong = hear };
	struct indexer *x = indexer_new(NULL, e->db);
	struct indexfile *file = indexfile_begin(shelf(e), said->seq);
	bool ok;

	log_info("%s: the lists behind record %" PRId64 " are made again",
	    e->path, said->seq);
	ok = file && indexer_read(x, said->from, said->to) == 0 &&
	    index_again(e->db, said, x, NULL, file, &tell);
	indexfile_end(file, ok);
	indexer_free(x);
	if (!ok)
		log_warn("%s: index record %" PRId64 " is not that of its "
		    "records; run verify", e->path, said->seq);
	return ok ? 0 : -1;
}

static struct excerpt_subject *subject_new(struct excerpt *e, int64_t seq,
    const char *day)
{
	struct excerpt_subject *s;

	if (e->subjects == e->subjects_room) {
		e->subjects_room = 2 * e->subjects_room + 16;
		e->subject = realloc(e->subject,
		    e->subjects_room * sizeof(*e->subject));
		if (e->subject == NULL)
			log_die("out of memory");
	}
	s = &e->subject[e->subjects++];
	*s = (struct excerpt_subject){ .seq = seq };
	snprintf(s->subject, sizeof(s->subject), "%s|%.10s", e->ip, day);
	return s;
}

/* All asked days of one index, from the file. 0, 1: the file is of no use. */
static int take(struct excerpt *e, sqlite3 *file,
    const struct index_said *said)
{
	size_t had = e->subjects, had_common = e->common.n;
	sqlite3_stmt *s = NULL;
	int got = 0;

	if (file == NULL ||
	    indexfile_list(file, said->seq, "", &e->common) < 0)
		return 1;
	if (sqlite3_prepare_v2(e->db, "SELECT d.value FROM record, "
	    "json_each(detail, '$.days') AS d WHERE seq = ? AND "
	    "length(d.value) = 10", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(e);
	sqlite3_bind_int64(s, 1, said->seq);
	while (got == 0 && sqlite3_step(s) == SQLITE_ROW) {
		const char *day = (const char *)sqlite3_column_text(s, 0);

		if ((e->from_day[0] && strcmp(day, e->from_day) < 0) ||
		    (e->to_day[0] && strcmp(day, e->to_day) > 0))
			continue;
		if (!prove(e, file, said, subject_new(e, said->seq, day)))
			got = 1;
	}
	sqlite3_finalize(s);
	if (got) {
		while (e->subjects > had)
			forget(&e->subject[--e->subjects]);
		e->common.n = had_common;
	}
	return got;
}

static int find_lists(struct excerpt *e)
{
	sqlite3 *file = indexfile_read(e->path);
	int got = 0;

	for (size_t i = 0; got == 0 && i < e->indexes; i++) {
		got = take(e, file, &e->index[i]);
		if (got <= 0)
			continue;
		sqlite3_close(file);
		got = make_again(e, &e->index[i]);
		file = got == 0 ? indexfile_read(shelf(e)) : NULL;
		if (got == 0 && take(e, file, &e->index[i]) != 0) {
			log_warn("%s: that %s is, or is not, in index record %"
			    PRId64 " cannot be proved: something was erased there",
			    e->path, e->ip,
			    e->index[i].seq);
			got = -1;
		}
	}
	sqlite3_close(file);
	return got < 0 ? -1 : 0;
}

int excerpt_list(struct excerpt *e, const struct index_said *said,
    const char *subject, char **out)
{
	struct excerpt_subject s = { .seq = said->seq };
	bool proved = false;

	memcpy(s.subject, subject, sizeof(s.subject));
	for (int i = 0; i < 2 && !proved; i++) {
		if (i && make_again(e, said) < 0)
			return -1;
		if (e->lists == NULL)
			e->lists = indexfile_read(shelf(e));
		proved = e->lists && prove(e, e->lists, said, &s);
		if (proved)
			break;
		forget(&s);
		sqlite3_close(e->lists);
		e->lists = NULL;
	}
	*out = s.seqs;
	free(s.path);
	if (proved)
		return 0;
	log_warn("%s: the list of a subject of index record %" PRId64
	    " cannot be proved; run verify", e->path, said->seq);
	return -1;
}

/* --- the records ------------------------------------------------------------ */

/* What came after the newest index: about the run, or of nobody shown. */
static int find_tail(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(e->db, "SELECT seq, coalesce(kind, ''), "
	    "conn IS NOT NULL, ip IS NOT NULL FROM record WHERE seq >= ?1 AND seq < ?2", -1, &s,
	    NULL) != SQLITE_OK)
		return sql_fails(e);
	sqlite3_bind_int64(s, 1, e->to);
	sqlite3_bind_int64(s, 2, e->size);
	while (sqlite3_step(s) == SQLITE_ROW) {
		if (indexer_is_common((const char *)sqlite3_column_text(s, 1),
		    sqlite3_column_int(s, 2), sqlite3_column_int(s, 3)))
			seqs_add(&e->common, sqlite3_column_int64(s, 0));
		else
			e->uncovered++;
	}
	sqlite3_finalize(s);
	return 0;
}

/* The question behind a tracker's answer. */
static int find_context(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(e->db, "SELECT json_extract(detail, "
	    "'$.announce') FROM record WHERE seq = ? AND kind = 'listed' AND "
	    "json_valid(detail)", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(e);
	for (size_t i = 0; i < e->mine.n; i++) {
		sqlite3_bind_int64(s, 1, e->mine.seq[i]);
		if (sqlite3_step(s) == SQLITE_ROW &&
		    sqlite3_column_type(s, 0) == SQLITE_INTEGER)
			seqs_add(&e->context, sqlite3_column_int64(s, 0));
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return 0;
}

int excerpt_find(struct excerpt *e)
{
	if (find_indexes(e) < 0 || find_lists(e) < 0 || find_tail(e) < 0)
		return -1;
	for (size_t i = 0; i < e->subjects; i++) {
		struct seqs list = { 0 };

		if (e->subject[i].seqs)
			seqs_read(e->subject[i].seqs, &list);
		for (size_t k = 0; k < list.n; k++)
			seqs_add(&e->mine, list.seq[k]);
		seqs_free(&list);
	}
	seqs_sort(&e->mine);
	seqs_sort(&e->common);
	if (find_context(e) < 0)
		return -1;
	seqs_sort(&e->context);
	return 0;
}
