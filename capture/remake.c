#include "capture/remake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/ledgered.h"
#include "capture/reading.h"
#include "schema/json.h"
#include "schema/log.h"
#include "version.h"

/* One import being made again. */
struct remake {
	struct replay *r;
	sqlite3_stmt *next;	/* its records, in order */
	sqlite3_stmt *named;	/* whom a record names, in order */
	char by[128];		/* the version that made it, if it is another */
	int64_t run, same;
	bool live;		/* packets were dissected as they were recorded */
	bool off;		/* it differs: nothing more is compared */
};

enum { SEQ, UTC, KIND, SWARM, CONN, IP, PORT, DETAIL, DIGEST, MONO };

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The ledger appends what it named, behind the same text. */
static bool same_detail(const char *ours, const struct record *rec)
{
	size_t n = strlen(rec->detail);
	char named[48];

	if (!rec->named)
		return strcmp(ours, rec->detail) == 0;
	snprintf(named, sizeof(named), "%s\"named\":%zu,", n > 2 ? "," : "",
	    rec->names);
	return strncmp(ours, rec->detail, n - 1) == 0 &&
	    strncmp(ours + n - 1, named, strlen(named)) == 0;
}

static bool same_named(sqlite3_stmt *s, int64_t seq,
    const struct record *rec)
{
	char ip[ENDPOINT_IP_MAX];
	bool same = true;
	size_t n = 0;

	sqlite3_bind_int64(s, 1, seq);
	for (; same && sqlite3_step(s) == SQLITE_ROW; n++)
		same = n < rec->names && same_text(text(s, 0),
		    endpoint_ip(&rec->named[n].at, ip)) &&
		    sqlite3_column_int(s, 1) == rec->named[n].at.port;
	sqlite3_reset(s);
	return same && n == rec->names;
}

static bool same_record(sqlite3_stmt *s, const struct record *rec)
{
	char ip[ENDPOINT_IP_MAX], digest[65];
	const char *hex = NULL;
	int64_t conn = sqlite3_column_type(s, CONN) == SQLITE_NULL ?
	    CONN_NONE : sqlite3_column_int64(s, CONN);

	if (rec->raw_sha256)
		hex = hex_of(rec->raw_sha256, 32, digest);
	else if (rec->raw.p)
		hex = tally_digest(rec->raw, digest);
	return sqlite3_column_int64(s, UTC) == rec->at.utc_ns &&
	    sqlite3_column_type(s, MONO) == SQLITE_NULL &&
	    same_text(text(s, KIND), rec->kind) &&
	    same_text(text(s, SWARM), rec->swarm) &&
	    (rec->conn == CONN_SELF ? conn == sqlite3_column_int64(s, SEQ) :
	    conn == rec->conn) &&
	    same_text(text(s, IP), rec->who ? endpoint_ip(rec->who, ip) :
	    NULL) &&
	    (!rec->who || sqlite3_column_int(s, PORT) == rec->who->port) &&
	    text(s, DETAIL) && same_detail(text(s, DETAIL), rec) &&
	    same_text(text(s, DIGEST), hex);
}

static int64_t on_add(void *ctx, const struct record *rec)
{
	struct remake *m = ctx;

	if (m->off)
		return -1;
	if (sqlite3_step(m->next) != SQLITE_ROW) {
		replay_tell(m->r, true, "run of record %" PRId64 ": its "
		    "savefiles give more records than the ledger has; the "
		    "first is a %s%s", m->run, rec->kind, m->by);
		m->r->extra++;
		m->off = true;
		return -1;
	}
	if (!same_record(m->next, rec) || !same_named(m->named,
	    sqlite3_column_int64(m->next, SEQ), rec)) {
		replay_tell(m->r, true, "record %lld: the savefiles of its "
		    "run (record %" PRId64 ") give another there, a %s%s",
		    (long long)sqlite3_column_int64(m->next, SEQ), m->run,
		    rec->kind, m->by);
		m->r->different++;
		m->off = true;
		return -1;
	}
	m->same++;
	return sqlite3_column_int64(m->next, SEQ);
}

static sqlite3_stmt *range(sqlite3 *db, const char *sql, int64_t from,
    int64_t to)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
		log_warn("evidence.db: %s", sqlite3_errmsg(db));
		return NULL;
	}
	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, to);
	return s;
}

/* The torrents that the import had: those of the case then, and those that the
 * command gave. */
static bool read_torrents(struct reading *reading, sqlite3 *db, int64_t run,
    int64_t end)
{
	struct wire_error err;
	sqlite3_stmt *s = range(db, "SELECT raw.bytes FROM record JOIN raw "
	    "USING (seq) WHERE kind='torrent' AND (seq < ?1 OR (seq < ?2 AND "
	    "json_extract(detail,'$.source') NOT LIKE 'peers:%')) ORDER BY "
	    "seq", run, end);

	while (s && sqlite3_step(s) == SQLITE_ROW) {
		struct torrent *t = torrent_new(span_of(
		    sqlite3_column_blob(s, 0),
		    (size_t)sqlite3_column_bytes(s, 0)), &err);

		if (t)
			known_add(reading->known, t);
	}
	sqlite3_finalize(s);
	return s != NULL;
}

static int read_file(struct remake *m, struct reading *reading,
    const char *path, const char *name, bool last)
{
	struct read_file f = { .file = name, .last = last };
	struct source *src = source_of_case(path, name, NULL);
	int rc;

	if (!src)
		return -1;
	rc = reading_source(reading, src, &f, NULL);
	source_close(src);
	m->r->savefiles++;
	m->r->packets += (int64_t)f.frames;
	return rc;
}

static int read_files(struct remake *m, struct reading *reading, sqlite3 *db,
    const char *path, int64_t end)
{
	sqlite3_stmt *s = range(db, "SELECT json_extract(detail,'$.file') FROM "
	    "record WHERE kind='packets' AND seq BETWEEN ?1 AND ?2 AND "
	    "json_extract(detail,'$.salvaged') IS NOT 1 ORDER BY seq", m->run,
	    end);
	char name[64] = "";
	int rc = s ? 0 : -1;
	bool more = s && sqlite3_step(s) == SQLITE_ROW;

	while (more && rc == 0) {
		const char *file = text(s, 0);

		if (!file || strncmp(file, "packets/", 8) != 0 ||
		    strstr(file, "..") || strlen(file) >= sizeof(name)) {
			rc = -1;
			break;
		}
		snprintf(name, sizeof(name), "%s", file);
		more = sqlite3_step(s) == SQLITE_ROW;
		rc = read_file(m, reading, path, name, !more && !m->live);
	}
	sqlite3_finalize(s);
	return rc;
}

/* Whoever reads otherwise than the version that wrote tells two versions apart,
 * and not the packets from the record. */
static void read_version(struct remake *m, sqlite3 *db)
{
	sqlite3_stmt *s = range(db, "SELECT json_extract(detail,'$.commit') "
	    "FROM record WHERE seq = ?1 AND ?2", m->run, 1);

	if (s && sqlite3_step(s) == SQLITE_ROW && text(s, 0) &&
	    strcmp(text(s, 0), SW_COMMIT) != 0)
		snprintf(m->by, sizeof(m->by), " (written by commit %.20s; "
		    "this is %s, which may read packets otherwise)",
		    text(s, 0), SW_COMMIT);
	sqlite3_finalize(s);
}

static int remake(struct replay *r, sqlite3 *db, const char *path,
    int64_t run, bool live, int64_t end)
{
	struct remake m = { .r = r, .run = run, .live = live };
	struct reading reading = { .known = known_new(),
		.secrets = secrets_new() };
	int rc = -1;

	m.next = range(db, "SELECT seq, utc_ns, kind, swarm, conn, ip, port, "
	    "detail, raw_sha256, mono_ns FROM record WHERE seq > ?1 AND "
	    "seq < ?2 AND "
	    "kind NOT IN ('key','selftest','clock','packets','index','stamp',"
	    "'published','no_packets','end','run') AND (kind <> 'torrent' OR "
	    "json_extract(detail,'$.source') LIKE 'peers:%') ORDER BY seq",
	    run, end);
	m.named = range(db, "SELECT ip, port FROM named WHERE seq = ?1 AND ?2 "
	    "ORDER BY n", run, 1);
	read_version(&m, db);
	if (m.next && m.named && read_torrents(&reading, db, run, end) &&
	    secrets_case(reading.secrets, db) == 0) {
		reading_begin(&reading, on_add, NULL, &m);
		rc = read_files(&m, &reading, db, path, end);
		reading_finish(&reading);
	}
	if (rc < 0) {
		replay_tell(r, true, "run of record %" PRId64 ": its "
		    "savefiles cannot be read again", run);
	} else if (!m.off && sqlite3_step(m.next) == SQLITE_ROW) {
		r->missing++;
		replay_tell(r, true, "record %lld: the savefiles of its run "
		    "(record %" PRId64 ") do not give it%s",
		    (long long)sqlite3_column_int64(m.next, SEQ), run, m.by);
	}
	r->imported += m.same;
	reading_free(&reading);
	sqlite3_finalize(m.next);
	sqlite3_finalize(m.named);
	return 0;
}

int remake_imports(struct replay *r, sqlite3 *db, const char *path)
{
	sqlite3_stmt *s = NULL;
	int64_t open = -1;
	bool live = false;
	int rc = 0;

	if (sqlite3_prepare_v2(db, "SELECT seq, kind, "
	    "json_extract(detail,'$.config.import'), "
	    "json_extract(detail,'$.config.dissect'), "
	    "(SELECT count(*) FROM gone) FROM record WHERE kind IN "
	    "('run','end') AND json_valid(detail) ORDER BY seq", -1, &s,
	    NULL) != SQLITE_OK) {
		log_warn("evidence.db: %s", sqlite3_errmsg(db));
		return -1;
	}
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		int64_t seq = sqlite3_column_int64(s, 0);
		bool ends = strcmp(text(s, 1), "end") == 0;

		if (open >= 0 && !ends)
			replay_tell(r, false, "the import or dissected capture "
			    "of record %" PRId64 " did not end: it was not made "
			    "again", open);
		else if (open >= 0 && sqlite3_column_int64(s, 4) > 0)
			replay_tell(r, false, "the import or dissected capture "
			    "of record %" PRId64 " was not made again: records "
			    "were erased from the case", open);
		else if (open >= 0)
			rc = remake(r, db, path, open, live, seq);
		live = sqlite3_column_int(s, 3) == 1;
		open = !ends && (live || sqlite3_column_int(s, 2) == 1) ? seq :
		    -1;
	}
	sqlite3_finalize(s);
	return rc;
}
