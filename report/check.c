#include "report/check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/check_excerpt.h"
#include "report/check_index.h"
#include "report/check_replay.h"
#include "report/check_run.h"
#include "report/check_stamp.h"
#include "report/check_tree.h"
#include "report/checkbatch.h"
#include "report/checkpart.h"
#include "report/clockbound.h"
#include "schema/casedir.h"
#include "schema/json.h"
#include "schema/log.h"

#define SAMELY_MAX 100		/* lines told of one kind of fault */
#define OPENERS 65536u		/* conversations remembered */
#define PROGRESS_EVERY 16384

/* What one walk holds. */
struct walk {
	struct check *c;
	const char *path;
	sqlite3 *db;
	sqlite3_stmt *record, *raw, *named, *opener, *key, *clock;
	bool named_row;
	struct check_tree *tree;
	struct check_run *run;
	struct check_stamp *stamp;
	struct check_index *index;
	struct clockbound bound;	/* of the run that is under way */
	struct hash *names;
	size_t names_room;
	int64_t *openers;	/* conn's place, modulo: it did begin */
	int64_t next;		/* seq that is due */
	int64_t total;
	pthread_t beside;
};

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static void tell_text(struct check *c, bool wrong, const char *text)
{
	if (wrong)
		c->wrongs++;
	if (c->tell)
		c->tell(c->ctx, wrong, text);
}

void check_tell(struct check *c, bool wrong, const char *fmt, ...)
{
	char text[640], safe[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* SQLite's words and the names of files may be a stranger's. */
	log_safe(span_str(text), safe, sizeof(safe));
	pthread_mutex_lock(&telling);
	tell_text(c, wrong, safe);
	pthread_mutex_unlock(&telling);
}

void check_wrong(struct check *c, int64_t seq, const char *what)
{
	char text[400];

	pthread_mutex_lock(&telling);
	if (c->bad_record < 0 || seq < c->bad_record)
		c->bad_record = seq;
	if (c->told++ < SAMELY_MAX) {
		snprintf(text, sizeof(text), "record %" PRId64 ": %s", seq,
		    what);
		tell_text(c, true, text);
	} else {
		if (c->told == SAMELY_MAX + 1)
			tell_text(c, false, "more records are wrong; not all "
			    "are listed");
		c->wrongs++;
	}
	pthread_mutex_unlock(&telling);
}

sqlite3_stmt *check_query(struct check *c, sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK)
		return s;
	check_tell(c, true, "evidence.db: %s", sqlite3_errmsg(db));
	return NULL;
}

static void failed(void *ctx, sqlite3_stmt *s)
{
	check_tell(ctx, true, "evidence.db cannot be read: %s",
	    sqlite3_errmsg(sqlite3_db_handle(s)));
}

bool check_step(struct check *c, sqlite3_stmt *s)
{
	int r = s ? sqlite3_step(s) : SQLITE_DONE;

	if (r != SQLITE_ROW && r != SQLITE_DONE)
		failed(c, s);
	return r == SQLITE_ROW;
}

bool check_ask(struct check *c, sqlite3_stmt *s, int64_t key)
{
	if (s) {
		sqlite3_reset(s);
		sqlite3_bind_int64(s, 1, key);
	}
	return check_step(c, s);
}

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

/* --- one record ------------------------------------------------------------ */

static void stray_raw(void *ctx, int64_t seq)
{
	check_tell(ctx, true, "raw %" PRId64 ": belongs to no record", seq);
}

static void check_raw(struct walk *w, const struct check_row *r,
    const char *kind)
{
	bool kept_elsewhere = strcmp(kind, "piece") == 0 ||
	    strcmp(kind, "packets") == 0;

	if (!r->has_raw) {
		if (r->raw_sha256 && !kept_elsewhere &&
		    !check_erased_raw(w->index, r->seq))
			check_wrong(w->c, r->seq, "its raw bytes are missing");
		return;
	}
	if (!r->raw_sha256 || kept_elsewhere)
		check_wrong(w->c, r->seq, "has raw bytes that it does not "
		    "state");
	else if (r->raw_differs)
		check_wrong(w->c, r->seq, "its raw bytes do not give its "
		    "raw_sha256");
	w->c->raws++;
	w->c->raw_bytes += (int64_t)r->raw.n;
}

static struct hash named_leaf(sqlite3_stmt *s, bool *fine)
{
	char line[256];
	const char *ip = text(s, 2), *salt = text(s, 4);
	int64_t port = sqlite3_column_int64(s, 3);
	size_t n = named_line(line, sizeof(line), sqlite3_column_int64(s, 0),
	    sqlite3_column_int64(s, 1), ip ? ip : "", (uint16_t)port,
	    salt ? salt : "");

	*fine = n > 0 && ip && salt && port >= 0 && port <= 65535;
	return merkle_leaf(line, n);
}

static struct hash *next_name(struct walk *w, size_t *count)
{
	if (*count == w->names_room) {
		w->names_room = w->names_room ? w->names_room * 2 : 256;
		w->names = realloc(w->names, w->names_room * sizeof(*w->names));
		if (!w->names)
			log_die("out of memory");
	}
	return &w->names[(*count)++];
}

static void stray_names(struct walk *w, int64_t below)
{
	while (w->named_row && sqlite3_column_int64(w->named, 0) < below) {
		check_tell(w->c, true, "named %lld: belongs to no record",
		    (long long)sqlite3_column_int64(w->named, 0));
		w->named_row = check_step(w->c, w->named);
	}
}

/* The endpoints a record names, against the count and root at the end of its
 * detail. */
static void check_named(struct walk *w, int64_t seq, const char *detail,
    size_t n)
{
	size_t count = 0;
	char want[128], root[65];
	struct hash h;
	bool ok = true, fine;

	stray_names(w, seq);
	while (w->named_row && sqlite3_column_int64(w->named, 0) == seq) {
		if (check_erased_named(w->index, seq, (int64_t)count, &h)) {
			*next_name(w, &count) = h;
			continue;
		}
		ok = ok && sqlite3_column_int64(w->named, 1) == (int64_t)count;
		*next_name(w, &count) = named_leaf(w->named, &fine);
		ok = ok && fine;
		if (text(w->named, 2) && w->c->from == 0)
			check_index_name(w->index, text(w->named, 2));
		w->c->names++;
		w->named_row = check_step(w->c, w->named);
	}
	while (check_erased_named(w->index, seq, (int64_t)count, &h))
		*next_name(w, &count) = h;
	if (count == 0 && (!detail || !strstr(detail, "\"named_root\":")))
		return;
	h = merkle_of(w->names, count);
	hex_of(h.b, 32, root);
	snprintf(want, sizeof(want), ",\"named\":%zu,\"named_root\":\"%s\"}",
	    count, root);
	if (!ok || n < strlen(want) || !detail ||
	    strcmp(detail + n - strlen(want), want) != 0)
		check_wrong(w->c, seq, "the endpoints it names are not those of "
		    "its named_root");
}

/* Its conversation began before, or with it. */
static void check_conn(struct walk *w, const struct check_row *r,
    const char *kind)
{
	int64_t *place = &w->openers[(uint64_t)r->conn % OPENERS];
	bool opens = false;

	if (r->conn < 0 || (*place == r->conn && r->conn < r->seq))
		return;
	if (r->conn == r->seq) {
		opens = strcmp(kind, "dial") == 0 ||
		    strcmp(kind, "accept") == 0 || strcmp(kind, "flow") == 0;
	} else if (r->conn < r->seq) {
		opens = check_ask(w->c, w->opener, r->conn);
	}
	if (opens)
		*place = r->conn;
	else
		check_wrong(w->c, r->seq, "its conversation did not begin");
}

/* --- records about the run --------------------------------------------------- */

static void see_key(struct walk *w, int64_t seq)
{
	sqlite3_stmt *s = w->key;

	if (!check_ask(w->c, s, seq))
		return;
	check_tree_key(w->tree, seq, text(s, 0), text(s, 1));
	check_run_key(w->run, w->c->fingerprint);
}

static void see_clock(struct walk *w, int64_t seq)
{
	sqlite3_stmt *s = w->clock;

	if (!check_ask(w->c, s, seq))
		return;
	clockbound_add(&w->bound, text(s, 0), sqlite3_column_int64(s, 1),
	    sqlite3_column_type(s, 2) == SQLITE_INTEGER ?
	    sqlite3_column_int64(s, 2) : -1);
}

/* A run's clock is judged by itself. */
static void end_clock(struct walk *w)
{
	int64_t bound = clockbound_ns(&w->bound);

	if (bound < 0)
		w->c->unbounded++;
	else if (bound > w->c->bound_ns)
		w->c->bound_ns = bound;
	w->c->clock_asked += w->bound.asked;
	w->c->clock_answered += w->bound.answered;
	w->c->steps += w->bound.steps;
	w->c->suspends += w->bound.suspends;
	w->bound = (struct clockbound){ 0 };
}

static void see(struct walk *w, const struct check_row *r)
{
	const char *kind = r->kind ? r->kind : "";

	if (r->fault)
		check_wrong(w->c, r->seq, r->fault);
	if (r->no_object)
		check_wrong(w->c, r->seq, "its detail is not a JSON object");
	check_tree_leaf(w->tree, &r->leaf);
	check_raw(w, r, kind);
	check_conn(w, r, kind);
	if (w->c->from == 0)	/* an index spans what lies before */
		check_index_record(w->index, r->seq, r->utc_ns, r->conn, kind,
		    r->ip, r->detail ? r->detail : "");
	check_named(w, r->seq, r->detail, r->length[3]);
	if (strcmp(kind, "run") == 0 && w->c->runs)
		end_clock(w);
	check_run_record(w->run, r->seq, r->utc_ns, kind);
	if (strcmp(kind, "key") == 0)
		see_key(w, r->seq);
	else if (strcmp(kind, "clock") == 0)
		see_clock(w, r->seq);
	else if (strcmp(kind, "stamp") == 0)
		check_stamp_record(w->stamp, r->seq, r->utc_ns, r->raw);
	if (w->c->records++ == 0)
		w->c->first_utc_ns = r->utc_ns;
	w->c->last_utc_ns = r->utc_ns;
}

/* --- the walk ---------------------------------------------------------------- */

static void walk_records(struct walk *w)
{
	struct checkbatch *b = checkbatch_new(&(struct checkbatch_conf){
	    .record = w->record, .raw = w->raw, .ctx = w->c,
	    .stray = stray_raw, .failed = failed });
	const struct check_row *r;
	struct hash leaf;

	w->named_row = check_step(w->c, w->named);
	while ((r = checkbatch_next(b)) != NULL) {
		for (; w->next < r->seq &&
		    check_erased_record(w->index, w->next, &leaf); w->next++) {
			check_tree_leaf(w->tree, &leaf);
			check_run_gone(w->run);
		}
		if (r->seq != w->next)
			check_wrong(w->c, w->next, "is missing");
		w->next = r->seq < INT64_MAX ? r->seq + 1 : r->seq;
		see(w, r);
		if (w->c->progress && w->next % PROGRESS_EVERY == 0)
			w->c->progress(w->c->ctx, w->next, w->total);
	}
	stray_names(w, INT64_MAX);
	checkbatch_free(b);
}

/* What stands below c->from is taken as the tiles have it. */
static bool walk_prefix(struct walk *w)
{
	sqlite3_stmt *s;

	if (w->c->from == 0)
		return true;
	s = check_query(w->c, w->db, "SELECT seq FROM record WHERE seq < ?1 "
	    "AND kind='key' ORDER BY seq");
	sqlite3_bind_int64(s, 1, w->c->from);
	while (check_step(w->c, s))
		see_key(w, sqlite3_column_int64(s, 0));
	sqlite3_finalize(s);
	check_run_prefix(w->run);
	w->next = w->c->from;
	return check_tree_prefix(w->tree);
}

/* Beside the walk, on a connection of its own. */
static void *beside(void *arg)
{
	const struct walk *w = arg;
	sqlite3 *db = casedir_read(w->path);

	if (db)
		check_integrity(w->c, db);
	else
		check_tell(w->c, true, "evidence.db cannot be opened twice");
	sqlite3_close(db);
	check_derived(w->c, w->path);
	return NULL;
}

/* --- a check ------------------------------------------------------------------ */

static bool prepare(struct walk *w)
{
	struct check *c = w->c;

	w->record = check_query(c, w->db, "SELECT seq, utc_ns, mono_ns, kind, "
	    "swarm, conn, ip, port, detail, raw_sha256, salt FROM record "
	    "WHERE seq >= ?1 ORDER BY seq");
	w->raw = check_query(c, w->db, "SELECT seq, bytes FROM raw "
	    "WHERE seq >= ?1 ORDER BY seq");
	w->named = check_query(c, w->db, "SELECT seq, n, ip, port, salt FROM "
	    "named WHERE seq >= ?1 ORDER BY seq, n");
	w->opener = check_query(c, w->db, "SELECT 1 FROM record WHERE seq=?1 "
	    "AND conn=seq AND kind IN ('dial','accept','flow')");
	w->key = check_query(c, w->db, "SELECT json_extract(detail,'$.vkey'), "
	    "json_extract(detail,'$.fingerprint') FROM record "
	    "WHERE seq=?1 AND json_valid(detail)");
	w->clock = check_query(c, w->db, "SELECT "
	    "json_extract(detail,'$.source'), "
	    "json_extract(detail,'$.offset_ns'), "
	    "json_extract(detail,'$.bound_ns') FROM record WHERE seq=?1 AND json_valid(detail)");
	if (!w->record || !w->raw || !w->named)
		return false;
	/* Records of a file that was damaged may have any seq. */
	sqlite3_bind_int64(w->record, 1, c->from ? c->from : INT64_MIN);
	sqlite3_bind_int64(w->raw, 1, c->from ? c->from : INT64_MIN);
	sqlite3_bind_int64(w->named, 1, c->from ? c->from : INT64_MIN);
	return true;
}

static void finish(struct walk *w)
{
	sqlite3_finalize(w->record);
	sqlite3_finalize(w->raw);
	sqlite3_finalize(w->named);
	sqlite3_finalize(w->opener);
	sqlite3_finalize(w->key);
	sqlite3_finalize(w->clock);
	check_tree_free(w->tree);
	check_run_free(w->run);
	check_stamp_free(w->stamp);
	check_index_free(w->index);
	sqlite3_close(w->db);
	free(w->names);
	free(w->openers);
}

static int64_t count_records(struct walk *w)
{
	sqlite3_stmt *s = check_query(w->c, w->db, "SELECT max(seq) + 1 FROM "
	    "record");
	int64_t n = check_step(w->c, s) ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_finalize(s);
	return n;
}

static void check_all(struct walk *w)
{
	struct check *c = w->c;
	bool threaded = pthread_create(&w->beside, NULL, beside, w) == 0;

	if (threaded)
		pthread_setname_np(w->beside, "pages");
	if (prepare(w) && walk_prefix(w)) {
		walk_records(w);
		if (c->from == 0)
			check_index_end(w->index);
		check_tree_end(w->tree, check_run_open(w->run));
		check_run_end(w->run, w->next);
		end_clock(w);
		check_stamp_end(w->stamp, w->next);
		check_files(c, w->db, w->path);
		if (!c->no_replay && c->from == 0)
			check_replay(c, w->db, w->path);
		if (c->records == 0 && c->from == 0)
			check_tell(c, true, "there are no records");
	}
	if (threaded)
		pthread_join(w->beside, NULL);
	else
		beside(w);
}

int check_case(struct check *c, const char *path)
{
	struct walk w = { .c = c, .path = path };
	struct lasthead head;
	int rc = -1;

	c->bad_record = -1;
	w.openers = malloc(OPENERS * sizeof(*w.openers));
	if (!w.openers)
		log_die("out of memory");
	for (unsigned i = 0; i < OPENERS; i++)
		w.openers[i] = -1;
	lasthead_read(&head, path);
	w.db = casedir_read(path);
	if (!w.db)
		goto out;
	/* One moment of a case that may still be written to. */
	sqlite3_exec(w.db, "BEGIN", NULL, NULL, NULL);
	c->excerpt = check_is_excerpt(w.db);
	check_database(c, w.db);
	if (c->excerpt) {
		check_integrity(c, w.db);
		check_excerpt(c, w.db, path);
		rc = 0;
		goto out;
	}
	w.total = count_records(&w);
	if (c->from > w.total) {
		log_warn("%s: it holds %" PRId64 " records, --from says %"
		    PRId64, path, w.total, c->from);
		goto out;
	}
	w.tree = check_tree_new(c, w.db, &head);
	w.run = check_run_new(c, w.db);
	w.stamp = check_stamp_new(c, w.db);
	w.index = check_index_new(c, w.db);
	if (!w.tree || !w.run || !w.stamp)
		goto out;
	check_all(&w);
	rc = 0;
out:
	finish(&w);
	return rc;
}
