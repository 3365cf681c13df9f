#include "report/excerpt_part.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "evidence_sql.h"
#include "schema/json.h"
#include "schema/log.h"

static int out_fails(const struct excerpt *e)
{
	log_warn("%s/evidence.db: %s", e->out_path, sqlite3_errmsg(e->out));
	return -1;
}

static int exec(const struct excerpt *e, const char *sql)
{
	return sqlite3_exec(e->out, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 :
	    out_fails(e);
}

/* --- the folder --------------------------------------------------------------- */

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	bool empty = d != NULL;

	while (empty && (entry = readdir(d)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	if (d)
		closedir(d);
	return empty;
}

static char *file_of(const struct excerpt *e, const char *name)
{
	char *file;

	if (asprintf(&file, "%s/%s", e->out_path, name) < 0)
		log_die("out of memory");
	return file;
}

/* The triggers all stand at the schema's end; they come when it is filled. */
static char *schema(bool triggers)
{
	char *text = strdup((const char *)evidence_sql), *at;

	if (text == NULL)
		log_die("out of memory");
	at = strstr(text, "CREATE TRIGGER");
	if (triggers)
		memmove(text, at, strlen(at) + 1);
	else
		*at = '\0';
	return text;
}

int excerpt_open_out(struct excerpt *e)
{
	char *file, *sql;
	int got;

	if (mkdir(e->out_path, 0700) < 0 && errno != EEXIST) {
		log_warn("%s: %s", e->out_path, strerror(errno));
		return -1;
	}
	if (!is_empty(e->out_path)) {
		log_warn("%s: not an empty folder; name a new one",
		    e->out_path);
		return -1;
	}
	file = file_of(e, "evidence.db");
	got = sqlite3_open_v2(file, &e->out, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK ? 0 :
	    out_fails(e);
	free(file);
	if (got < 0)
		return -1;
	sql = schema(false);
	/* The folder counts when it is whole; until then nobody needs it. */
	got = exec(e, "PRAGMA journal_mode = off; PRAGMA synchronous = off;") <
	    0 || exec(e, sql) < 0 || exec(e, "BEGIN") < 0 ? -1 : 0;
	free(sql);
	return got;
}

/* --- rows ----------------------------------------------------------------------- */

/* Rows that from selects by seq (and ip), as they are, through to. */
static int copy(struct excerpt *e, const char *from, const char *to,
    int64_t seq, int64_t *count)
{
	sqlite3_stmt *in = NULL, *out = NULL;
	int got = -1, r;

	if (sqlite3_prepare_v2(e->db, from, -1, &in, NULL) != SQLITE_OK) {
		log_warn("%s: %s", e->path, sqlite3_errmsg(e->db));
		goto end;
	}
	if (sqlite3_prepare_v2(e->out, to, -1, &out, NULL) != SQLITE_OK) {
		out_fails(e);
		goto end;
	}
	sqlite3_bind_int64(in, 1, seq);
	if (sqlite3_bind_parameter_count(in) > 1)
		sqlite3_bind_text(in, 2, e->ip, -1, SQLITE_STATIC);
	while ((r = sqlite3_step(in)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(in); i++)
			sqlite3_bind_value(out, i + 1,
			    sqlite3_column_value(in, i));
		if (sqlite3_step(out) != SQLITE_DONE) {
			out_fails(e);
			goto end;
		}
		sqlite3_reset(out);
		if (count)
			++*count;
	}
	if (r == SQLITE_DONE)
		got = 0;
	else
		log_warn("%s: %s", e->path, sqlite3_errmsg(e->db));
end:
	sqlite3_finalize(in);
	sqlite3_finalize(out);
	return got;
}

static int put_path(struct excerpt *e, int64_t seq, int64_t n,
    const struct hash *path, int hashes)
{
	sqlite3_stmt *s = NULL;
	int got = -1;

	if (hashes >= 0 && sqlite3_prepare_v2(e->out, "INSERT INTO proof "
	    "VALUES (?,?,?)", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(s, 1, seq);
		if (n >= 0)
			sqlite3_bind_int64(s, 2, n);
		sqlite3_bind_blob(s, 3, hashes ? (const void *)path : "",
		    hashes * 32, SQLITE_STATIC);
		got = sqlite3_step(s) == SQLITE_DONE ? 0 : out_fails(e);
	}
	sqlite3_finalize(s);
	return got;
}

static int prove(struct excerpt *e, int64_t seq)
{
	struct hash path[TREEREAD_PATH];

	return put_path(e, seq, -1, path, treeread_path(e->tree, (uint64_t)seq,
	    path));
}

int excerpt_omit(struct excerpt *e, int64_t seq, const char *what, int64_t n,
    const char *sha256, const char *why)
{
	sqlite3_stmt *s = NULL;
	int got = -1;

	if (sqlite3_prepare_v2(e->out, "INSERT INTO omitted VALUES "
	    "(?,?,?,?,?)", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(s, 1, seq);
		sqlite3_bind_text(s, 2, what, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 3, n);
		sqlite3_bind_text(s, 4, sha256, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 5, why, -1, SQLITE_STATIC);
		got = sqlite3_step(s) == SQLITE_DONE ? 0 : out_fails(e);
	}
	sqlite3_finalize(s);
	return got;
}

static int put_subjects(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;
	int got = 0;

	if (sqlite3_prepare_v2(e->out, "INSERT INTO subject VALUES "
	    "(?,?,?,?,?)", -1, &s, NULL) != SQLITE_OK)
		return out_fails(e);
	for (size_t i = 0; got == 0 && i < e->subjects; i++) {
		const struct excerpt_subject *x = &e->subject[i];

		sqlite3_bind_int64(s, 1, x->seq);
		sqlite3_bind_text(s, 2, x->subject, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 3, x->salt[0] ? x->salt : NULL, -1,
		    SQLITE_STATIC);
		sqlite3_bind_text(s, 4, x->seqs, -1, SQLITE_STATIC);
		sqlite3_bind_blob(s, 5, x->path, (int)(x->path_n * 32),
		    SQLITE_STATIC);
		if (sqlite3_step(s) != SQLITE_DONE)
			got = out_fails(e);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return got;
}

/* --- one record ------------------------------------------------------------------- */

/* The rows of named that are this address's, each with its proof. */
static int put_named(struct excerpt *e, int64_t seq)
{
	struct hash path[TREEREAD_PATH];
	sqlite3_stmt *s = NULL;
	int got;

	got = copy(e, "SELECT * FROM named WHERE seq = ? AND ip = ? ORDER BY n",
	    "INSERT INTO named VALUES (?,?,?,?,?)", seq, &e->names);
	if (got < 0 || sqlite3_prepare_v2(e->db, "SELECT n FROM named WHERE "
	    "seq = ? AND ip = ?", -1, &s, NULL) != SQLITE_OK)
		return -1;
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_text(s, 2, e->ip, -1, SQLITE_STATIC);
	while (got == 0 && sqlite3_step(s) == SQLITE_ROW) {
		int64_t n = sqlite3_column_int64(s, 0);

		got = put_path(e, seq, n, path,
		    treeread_named(e->db, seq, n, path));
	}
	sqlite3_finalize(s);
	return got;
}

static int put_raw(struct excerpt *e, const struct excerpt_record *r)
{
	sqlite3_stmt *s = NULL;
	const char *why = NULL;
	bool there = false;

	if (sqlite3_prepare_v2(e->db, "SELECT bytes FROM raw WHERE seq = ?",
	    -1, &s, NULL) != SQLITE_OK)
		return -1;
	sqlite3_bind_int64(s, 1, r->seq);
	if (sqlite3_step(s) == SQLITE_ROW) {
		there = true;
		why = excerpt_hides_raw(e, r, span_of(sqlite3_column_blob(s, 0),
		    (size_t)sqlite3_column_bytes(s, 0)));
	}
	sqlite3_finalize(s);
	if (!there)
		return copy(e, "SELECT * FROM gone WHERE seq = ? AND "
		    "what = 'raw'", "INSERT INTO gone VALUES (?,?,?,?,?)",
		    r->seq, NULL);
	if (why == NULL)
		return copy(e, "SELECT * FROM raw WHERE seq = ?",
		    "INSERT INTO raw VALUES (?,?)", r->seq, &e->raws);
	e->raws_omitted++;
	return excerpt_omit(e, r->seq, "raw", 0, r->digest, why);
}

static int put_record(struct excerpt *e, const struct excerpt_record *r)
{
	const char *why = NULL;
	struct hash leaf;
	char hex[65];

	if (prove(e, r->seq) < 0)
		return -1;
	if (!r->common && !excerpt_selects(e, r))
		why = "the excerpt was asked for another port or swarm";
	if (!why)
		why = excerpt_hides(e, r);
	if (why) {
		e->omitted++;
		if (treeread_leaf(e->tree, (uint64_t)r->seq, &leaf) < 0)
			return -1;
		return excerpt_omit(e, r->seq, "record", 0,
		    hex_of(leaf.b, sizeof(leaf.b), hex), why);
	}
	e->shown++;
	if (copy(e, "SELECT * FROM record WHERE seq = ?", "INSERT INTO record "
	    "VALUES (?,?,?,?,?,?,?,?,?,?,?)", r->seq, NULL) < 0 ||
	    put_raw(e, r) < 0)
		return -1;
	return put_named(e, r->seq);
}

static bool has(const struct seqs *s, size_t *at, int64_t seq)
{
	while (*at < s->n && s->seq[*at] < seq)
		++*at;
	return *at < s->n && s->seq[*at] == seq;
}

static int64_t least(const struct seqs *s, size_t at, int64_t so_far)
{
	return at < s->n && s->seq[at] < so_far ? s->seq[at] : so_far;
}

/* What the records about the run name may be named in all. */
static int allow_common(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(e->db, "SELECT coalesce(detail, '') FROM "
	    "record WHERE seq = ?", -1, &s, NULL) != SQLITE_OK)
		return -1;
	for (size_t i = 0; i < e->common.n; i++) {
		sqlite3_bind_int64(s, 1, e->common.seq[i]);
		if (sqlite3_step(s) == SQLITE_ROW)
			excerpt_allow(e,
			    (const char *)sqlite3_column_text(s, 0));
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return 0;
}

int excerpt_write(struct excerpt *e)
{
	size_t c = 0, m = 0, x = 0;
	sqlite3_stmt *s = NULL;
	int got = 0;

	if (allow_common(e) < 0 || put_subjects(e) < 0)
		return -1;
	if (sqlite3_prepare_v2(e->db, "SELECT coalesce(kind, ''), swarm, "
	    "conn, ip, port, coalesce(detail, ''), raw_sha256 FROM record WHERE seq = ?", -1, &s, NULL) !=
	    SQLITE_OK)
		return -1;
	for (int64_t seq = -1; got == 0;) {
		struct excerpt_record r = { 0 };

		has(&e->common, &c, seq + 1);
		has(&e->mine, &m, seq + 1);
		has(&e->context, &x, seq + 1);
		seq = least(&e->common, c, least(&e->mine, m,
		    least(&e->context, x, INT64_MAX)));
		if (seq == INT64_MAX)
			break;
		r.seq = seq;
		r.common = has(&e->common, &c, seq);
		r.owned = has(&e->mine, &m, seq);
		sqlite3_bind_int64(s, 1, seq);
		if (sqlite3_step(s) != SQLITE_ROW) {
			e->gone++;
			got = prove(e, seq) < 0 ? -1 : copy(e, "SELECT * FROM "
			    "gone WHERE seq = ? AND what = 'record'",
			    "INSERT INTO gone VALUES (?,?,?,?,?)", seq, NULL);
			sqlite3_reset(s);
			continue;
		}
		r.kind = (const char *)sqlite3_column_text(s, 0);
		r.swarm = (const char *)sqlite3_column_text(s, 1);
		r.conn = sqlite3_column_type(s, 2) == SQLITE_NULL ? -1 :
		    sqlite3_column_int64(s, 2);
		r.ip = (const char *)sqlite3_column_text(s, 3);
		r.port = sqlite3_column_type(s, 4) == SQLITE_NULL ? -1 :
		    sqlite3_column_int(s, 4);
		r.detail = (const char *)sqlite3_column_text(s, 5);
		r.digest = (const char *)sqlite3_column_text(s, 6);
		/* What stands behind a NUL would not be looked at. */
		if (strlen(r.detail) != (size_t)sqlite3_column_bytes(s, 5)) {
			log_warn("%s: record %" PRId64 ": its detail is no "
			    "text; run verify", e->path, seq);
			got = -1;
			break;
		}
		got = put_record(e, &r);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return got;
}

/* --- the end ------------------------------------------------------------------------ */

/* What was asked, so that a reader knows what is not here. Nothing signs it:
 * what follows from the proofs is checked, the rest is said. */
static int put_meta(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;
	struct json j;
	int got;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "ip", e->ip);
	if (e->port < 0)
		json_null(&j, "port");
	else
		json_int(&j, "port", e->port);
	json_str(&j, "from", e->from_day[0] ? e->from_day : NULL);
	json_str(&j, "to", e->to_day[0] ? e->to_day : NULL);
	json_str(&j, "swarm", e->swarm);
	json_bool(&j, "witnesses", e->witnesses);
	json_bool(&j, "all_packets", e->all_packets);
	json_close(&j, '}');
	got = copy(e, "SELECT name, value FROM meta WHERE name = 'case_id' OR "
	    "?1 < 0", "INSERT INTO meta VALUES (?,?)", 0, NULL);
	if (got == 0 && sqlite3_prepare_v2(e->out, "INSERT INTO meta VALUES "
	    "('excerpt', ?)", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_text(s, 1, json_done(&j), -1, SQLITE_STATIC);
		got = sqlite3_step(s) == SQLITE_DONE ? 0 : out_fails(e);
	} else {
		got = -1;
	}
	sqlite3_finalize(s);
	json_fini(&j);
	return got;
}

static int put_notes(const struct excerpt *e)
{
	char *file = file_of(e, "README.txt");
	FILE *f = fopen(file, "we");
	int got = -1;

	if (f) {
		fprintf(f, "An excerpt of a swarmwitness case: the records of "
		    "%s.\n\n"
		    "evidence.db has the form of a case "
		    "(docs/evidence-format.md, \"Excerpts\"): %" PRId64
		    " records, each with the path that proves it to be in the "
		    "tree of\ncheckpoint.txt, and what the case's index "
		    "committed to for this address: these and no others.\n"
		    "\"swarmwitness verify\" checks it, or "
		    "\"python3 verify_case.py\" without that program.\n\n"
		    "Not here, and named in its table \"omitted\" with the "
		    "hashes that stand for them: %" PRId64 " records, raw\n"
		    "bytes of %" PRId64 " records. Of lists of peers only the "
		    "lines of this address are shown.\n"
		    "Erased from the case before: %" PRId64 " records.\n"
		    "packets/excerpt.pcap holds %" PRId64 " packets of the "
		    "address; %" PRId64 " are left out, and listed.\n"
		    "No other peer's address is shown, with one exception: of "
		    "a conversation that was observed between\ntwo others "
		    "(kind \"flow\"), both ends are in one record, and the "
		    "other end of this address's own\nconversation cannot be "
		    "parted from it. Trackers, time servers and the observer "
		    "are named.\n", e->ip, e->shown, e->omitted,
		    e->raws_omitted, e->gone, e->packets,
		    e->packets_omitted);
		if (e->port >= 0 || e->swarm || e->from_day[0] || e->to_day[0])
			fprintf(f, "\nIt was narrowed:%s%s%s%s%s%s",
			    e->from_day[0] ? " from " : "", e->from_day,
			    e->to_day[0] ? " to " : "", e->to_day,
			    e->swarm ? " swarm " : "",
			    e->swarm ? e->swarm : "");
		if (e->port >= 0)
			fprintf(f, " port %d", e->port);
		if (e->port >= 0 || e->swarm || e->from_day[0] || e->to_day[0])
			fprintf(f, "\n");
		if (e->witnesses)
			fprintf(f, "\n--witnesses: records in which other "
			    "peers name this address are here, and bear those "
			    "peers' addresses.\n");
		if (e->all_packets)
			fprintf(f, "\n--all-packets: all packets of the "
			    "address are here, also those that carry other "
			    "peers' addresses.\n");
		if (e->uncovered)
			fprintf(f, "\nThe case's last %" PRId64 " records are "
			    "in no index yet; whether any is of this address "
			    "is not shown here.\n", e->uncovered);
		got = fclose(f);
	}
	if (got)
		log_warn("%s: %s", file, strerror(errno));
	free(file);
	return got ? -1 : 0;
}

int excerpt_close_out(struct excerpt *e)
{
	struct casedir dir = { .path = (char *)e->out_path, .lock = -1 };
	char *triggers = schema(true);
	sqlite3_stmt *s = NULL;
	int got = -1;

	if (put_meta(e) < 0 || copy(e, "SELECT * FROM checkpoint WHERE "
	    "size = ?", "INSERT INTO checkpoint VALUES (?,?,?,?)", e->size,
	    NULL) < 0 || exec(e, triggers) < 0 || exec(e, "COMMIT") < 0)
		goto end;
	if (sqlite3_prepare_v2(e->db, "SELECT note FROM checkpoint WHERE "
	    "size = ?", -1, &s, NULL) != SQLITE_OK)
		goto end;
	sqlite3_bind_int64(s, 1, e->size);
	if (sqlite3_step(s) == SQLITE_ROW)
		got = casedir_put(&dir, "checkpoint.txt", span_of(
		    sqlite3_column_text(s, 0),
		    (size_t)sqlite3_column_bytes(s, 0)));
	if (got == 0)
		got = put_notes(e);
end:
	sqlite3_finalize(s);
	free(triggers);
	if (sqlite3_close(e->out) != SQLITE_OK)
		got = out_fails(e);
	e->out = NULL;
	return got;
}
