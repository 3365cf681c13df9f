#include "schema/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/rand.h>

#include "schema/json.h"
#include "schema/log.h"
#include "schema/tile.h"

#include "evidence_sql.h"

#define BUSY_MS 60000

enum statement {
	S_BEGIN, S_COMMIT, S_RECORD, S_RAW, S_NAMED, S_TILE, S_CHECKPOINT,
	S_FORGET, S_COUNT
};

static const char *const sql_of[S_COUNT] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_RECORD] =
	    "INSERT OR ROLLBACK INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?)",
	[S_RAW] = "INSERT OR ROLLBACK INTO raw VALUES (?,?)",
	[S_NAMED] = "INSERT OR ROLLBACK INTO named VALUES (?,?,?,?,?)",
	[S_TILE] = "INSERT OR ROLLBACK INTO tile VALUES (?,?,?)",
	[S_CHECKPOINT] =
	    "INSERT OR ROLLBACK INTO checkpoint VALUES (?,?,?,?)",
	[S_FORGET] = "DELETE FROM checkpoint WHERE size = ?"
};

struct evidence {
	sqlite3 *db;
	char *path;
	const struct casedir *dir;
	const struct note_key *key;
	sqlite3_stmt *s[S_COUNT];
	bool begun;
	struct tiles tiles;
	char origin[NOTE_NAME_MAX];
	int64_t keep_ns;
	int64_t kept_utc_ns;	/* newest checkpoint that stays; 0: none */
	struct evidence_head head;
};

const struct evidence_head *evidence_head(const struct evidence *e)
{
	return &e->head;
}

sqlite3 *evidence_db(const struct evidence *e)
{
	return e->db;
}

/* --- writing --------------------------------------------------------------- */

__attribute__((noreturn))
static void die(const struct evidence *e)
{
	log_die("evidence could not be kept: %s: %s", e->path,
	    sqlite3_errmsg(e->db));
}

static void run(struct evidence *e, enum statement which)
{
	if (sqlite3_step(e->s[which]) != SQLITE_DONE)
		die(e);
	sqlite3_reset(e->s[which]);
}

/* Everything bound outlives the step, so nothing is copied. */
static void bind_text(sqlite3_stmt *s, int at, const char *text, size_t n)
{
	sqlite3_bind_text64(s, at, text, n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_some(sqlite3_stmt *s, int at, int64_t v)
{
	if (v < 0)
		sqlite3_bind_null(s, at);
	else
		sqlite3_bind_int64(s, at, v);
}

static int put_tile(void *ctx, unsigned level, uint64_t n,
    const struct hash hashes[TILE])
{
	struct evidence *e = ctx;
	sqlite3_stmt *s = e->s[S_TILE];

	sqlite3_bind_int64(s, 1, level);
	sqlite3_bind_int64(s, 2, (int64_t)n);
	sqlite3_bind_blob(s, 3, hashes, TILE * sizeof(hashes[0]),
	    SQLITE_STATIC);
	run(e, S_TILE);
	return 0;
}

static void put_named(struct evidence *e, const struct entry *r)
{
	char ip[ENDPOINT_IP_MAX], salt[2 * RECORD_SALT + 1];
	sqlite3_stmt *s = e->s[S_NAMED];

	for (size_t i = 0; i < r->names; i++) {
		const struct entry_named *at = &r->named[i];

		endpoint_ip(&at->at, ip);
		hex_of(at->salt, sizeof(at->salt), salt);
		sqlite3_bind_int64(s, 1, r->seq);
		sqlite3_bind_int64(s, 2, (int64_t)i);
		bind_text(s, 3, ip, strlen(ip));
		sqlite3_bind_int64(s, 4, at->at.port);
		bind_text(s, 5, salt, sizeof(salt) - 1);
		run(e, S_NAMED);
	}
}

void evidence_add(struct evidence *e, const struct entry *r)
{
	sqlite3_stmt *s = e->s[S_RECORD];

	if (!e->begun)
		run(e, S_BEGIN);
	e->begun = true;
	sqlite3_bind_int64(s, 1, r->seq);
	sqlite3_bind_int64(s, 2, r->utc_ns);
	bind_some(s, 3, r->mono_ns);
	bind_text(s, 4, r->kind, strlen(r->kind));
	bind_text(s, 5, r->has_swarm ? r->swarm : NULL, strlen(r->swarm));
	bind_some(s, 6, r->conn);
	bind_text(s, 7, r->has_ip ? r->ip : NULL, strlen(r->ip));
	bind_some(s, 8, r->port);
	bind_text(s, 9, r->detail, r->detail_n);
	bind_text(s, 10, r->has_digest ? r->raw_sha256 : NULL, 64);
	bind_text(s, 11, r->salt, sizeof(r->salt) - 1);
	run(e, S_RECORD);
	if (r->has_raw) {
		sqlite3_bind_int64(e->s[S_RAW], 1, r->seq);
		sqlite3_bind_blob64(e->s[S_RAW], 2, r->raw, r->raw_n,
		    SQLITE_STATIC);
		run(e, S_RAW);
	}
	put_named(e, r);
	tile_add(&e->tiles, &r->leaf, put_tile, e);
}

static int64_t utc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The clock may have been set back: far behind the last one kept is as much a
 * reason to keep this one as far ahead. */
static bool is_kept(const struct evidence *e, int64_t utc_ns)
{
	return e->kept_utc_ns == 0 || utc_ns - e->kept_utc_ns >= e->keep_ns ||
	    e->kept_utc_ns - utc_ns >= e->keep_ns;
}

void evidence_commit(struct evidence *e)
{
	struct checkpoint c = { .size = e->tiles.size };
	struct evidence_head head = { .size = (int64_t)c.size,
		.utc_ns = utc_now() };
	sqlite3_stmt *s = e->s[S_CHECKPOINT];
	char root[65];
	int n;

	if (!e->begun)
		return;
	c.root = tile_root(&e->tiles);
	snprintf(c.origin, sizeof(c.origin), "%s", e->origin);
	n = note_sign(e->key, &c, head.note);
	if (n < 0)
		log_die("evidence could not be kept: %s: cannot sign", e->path);
	head.kept = is_kept(e, head.utc_ns);
	sqlite3_bind_int64(s, 1, head.size);
	sqlite3_bind_int64(s, 2, head.utc_ns);
	bind_text(s, 3, hex_of(c.root.b, sizeof(c.root.b), root), 64);
	bind_text(s, 4, head.note, (size_t)n);
	run(e, S_CHECKPOINT);
	if (e->head.size && !e->head.kept) {
		sqlite3_bind_int64(e->s[S_FORGET], 1, e->head.size);
		run(e, S_FORGET);
	}
	run(e, S_COMMIT);
	e->begun = false;
	e->head = head;
	if (head.kept)
		e->kept_utc_ns = head.utc_ns;
}

bool evidence_keep(struct evidence *e)
{
	bool was = e->head.kept;

	e->head.kept = true;
	return !was && e->head.size > 0;
}

/* --- opening --------------------------------------------------------------- */

static int refuse(const struct evidence *e, const char *why)
{
	log_warn("%s: %s", e->path, why);
	return -1;
}

static int sql_fails(const struct evidence *e)
{
	return refuse(e, sqlite3_errmsg(e->db));
}

/* The first row of a query, to be finalized; NULL, logged, if there is none. */
static sqlite3_stmt *row(const struct evidence *e, const char *sql)
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(e->db, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		return s;
	sql_fails(e);
	sqlite3_finalize(s);
	return NULL;
}

static int number(const struct evidence *e, const char *sql, int64_t *out)
{
	sqlite3_stmt *s = row(e, sql);

	if (s == NULL)
		return -1;
	*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return 0;
}

static int exec(const struct evidence *e, const char *sql)
{
	return sqlite3_exec(e->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 :
	    sql_fails(e);
}

/* In one transaction: a crash leaves the whole schema or an empty file. */
static int make(struct evidence *e)
{
	uint8_t id[16];
	char hex[33], *sql;
	int got;

	if (RAND_bytes(id, sizeof(id)) != 1)
		return refuse(e, "no random bytes");
	if (asprintf(&sql, "BEGIN IMMEDIATE;%s;"
	    "INSERT INTO meta VALUES ('case_id', '%s');COMMIT",
	    (const char *)evidence_sql, hex_of(id, sizeof(id), hex)) < 0)
		log_die("out of memory");
	got = exec(e, sql);
	free(sql);
	return got < 0 ? -1 : casedir_sync(e->dir);
}

/* One text that is the same where the schema is. */
static char *schema_of(sqlite3 *db)
{
	static const char sql[] = "SELECT json_group_array(json_array(type,"
	    "name, tbl_name, sql)) FROM (SELECT * FROM sqlite_schema "
	    "ORDER BY type, name)";
	sqlite3_stmt *s;
	char *text = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		text = strdup((const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return text;
}

static int check_schema(const struct evidence *e)
{
	sqlite3 *ours = NULL;
	char *want = NULL, *got = schema_of(e->db);
	bool same;

	if (sqlite3_open(":memory:", &ours) == SQLITE_OK &&
	    sqlite3_exec(ours, (const char *)evidence_sql, NULL, NULL, NULL) ==
	    SQLITE_OK)
		want = schema_of(ours);
	same = want && got && strcmp(want, got) == 0;
	sqlite3_close(ours);
	free(want);
	free(got);
	return same ? 0 : refuse(e, "its schema is not this version's; it can "
	    "be read but not added to");
}

/* Ours, empty, or neither. */
static int check_or_make(struct evidence *e)
{
	int64_t id, version, things;

	if (number(e, "PRAGMA application_id", &id) < 0 ||
	    number(e, "PRAGMA user_version", &version) < 0 ||
	    number(e, "SELECT count(*) FROM sqlite_schema", &things) < 0)
		return -1;
	if (id == 0 && version == 0 && things == 0)
		return exec(e, "PRAGMA journal_mode = wal") < 0 ? -1 : make(e);
	if (id != EVIDENCE_APPLICATION_ID)
		return refuse(e, "not swarmwitness's (application_id)");
	if (version != EVIDENCE_VERSION)
		return refuse(e, "another version of the evidence format "
		    "(user_version)");
	if (check_schema(e) < 0)
		return -1;
	return exec(e, "PRAGMA journal_mode = wal");
}

/* The root of a tile that is there. */
static int tile_hash(const struct evidence *e, unsigned level, uint64_t n,
    struct hash *out)
{
	char sql[96];
	sqlite3_stmt *s;

	snprintf(sql, sizeof(sql), "SELECT hashes FROM tile WHERE level = %u "
	    "AND n = %" PRIu64, level, n);
	s = row(e, sql);
	if (s == NULL)
		return -1;
	if (sqlite3_column_bytes(s, 0) != (int)(TILE * sizeof(*out))) {
		sqlite3_finalize(s);
		return refuse(e, "a tile of the wrong size");
	}
	*out = merkle_of(sqlite3_column_blob(s, 0), TILE);
	sqlite3_finalize(s);
	return 0;
}

/* Leaves that are in no full tile, from their records. */
static int load_leaves(struct evidence *e, uint64_t from)
{
	uint64_t n = 0, want = tile_missing(e->tiles.size, 0);
	char sql[640];
	sqlite3_stmt *s;
	struct hash h;
	int got;

	/* An erased record left its leaf. */
	snprintf(sql, sizeof(sql), "SELECT seq, " RECORD_LINE ", NULL FROM "
	    "record WHERE seq >= %" PRIu64 " UNION ALL SELECT seq, NULL, hash "
	    "FROM gone WHERE seq >= %" PRIu64 " AND what = 'record' "
	    "ORDER BY 1", from, from);
	if (sqlite3_prepare_v2(e->db, sql, -1, &s, NULL) != SQLITE_OK)
		return sql_fails(e);
	for (; (got = sqlite3_step(s)) == SQLITE_ROW && n < want; n++) {
		const void *line = sqlite3_column_text(s, 1);

		if (line)
			h = merkle_leaf(line,
			    (size_t)sqlite3_column_bytes(s, 1));
		else if (sqlite3_column_bytes(s, 2) == (int)sizeof(h))
			memcpy(&h, sqlite3_column_blob(s, 2), sizeof(h));
		else
			break;
		tile_load(&e->tiles, 0, &h);
	}
	if (got != SQLITE_DONE && got != SQLITE_ROW)
		sql_fails(e);
	sqlite3_finalize(s);
	return got == SQLITE_DONE && n == want ? 0 :
	    refuse(e, "its newest records are not all there");
}

static int load_tiles(struct evidence *e, uint64_t size)
{
	char sql[80];
	struct hash h;
	int64_t there;

	tile_start(&e->tiles, size);
	for (unsigned i = 0; i < TILE_LEVELS; i++) {
		uint64_t full = tile_full(size, i);

		snprintf(sql, sizeof(sql), "SELECT coalesce(max(n) + 1, 0) "
		    "FROM tile WHERE level = %u", i);
		if (number(e, sql, &there) < 0)
			return -1;
		if (there != (int64_t)full)
			return refuse(e, "tiles are missing, or too many");
		if (i == 0) {
			if (load_leaves(e, full * TILE) < 0)
				return -1;
			continue;
		}
		for (unsigned k = 0; k < tile_missing(size, i); k++) {
			if (tile_hash(e, i - 1, full * TILE + k, &h) < 0)
				return -1;
			tile_load(&e->tiles, i, &h);
		}
	}
	return 0;
}

/* The newest checkpoint covers every record, and is of this very tree. */
static int check_head(struct evidence *e, int64_t size)
{
	struct checkpoint c;
	struct hash root;
	sqlite3_stmt *s;
	struct span note;
	char hex[65];
	bool same;

	if (size == 0)
		return 0;
	root = tile_root(&e->tiles);
	s = row(e, "SELECT max(size), utc_ns, root, note FROM checkpoint");
	if (s == NULL)
		return -1;
	note = span_of(sqlite3_column_text(s, 3),
	    (size_t)sqlite3_column_bytes(s, 3));
	e->head = (struct evidence_head){ .size = sqlite3_column_int64(s, 0),
		.utc_ns = sqlite3_column_int64(s, 1), .kept = true };
	e->kept_utc_ns = e->head.utc_ns;
	same = note.p && note.n < NOTE_MAX && note_read(note, &c) == NULL &&
	    c.size == (uint64_t)size && strcmp(c.origin, e->origin) == 0 &&
	    memcmp(c.root.b, root.b, sizeof(root.b)) == 0 &&
	    span_is(span_of(sqlite3_column_text(s, 2),
	    (size_t)sqlite3_column_bytes(s, 2)),
	    hex_of(root.b, sizeof(root.b), hex));
	if (same)
		memcpy(e->head.note, note.p, note.n);
	sqlite3_finalize(s);
	if (e->head.size != size) {
		log_warn("%s: it holds %" PRId64 " records, but its newest "
		    "checkpoint covers %" PRId64, e->path, size, e->head.size);
		return -1;
	}
	return same ? 0 : refuse(e, "its newest checkpoint is not of this "
	    "tree: records or tiles were changed; run verify");
}

static int look_back(struct evidence *e, struct ledger_past *past)
{
	sqlite3_stmt *s;
	char sql[160];
	int64_t ended;

	*past = (struct ledger_past){ 0 };
	s = row(e, "SELECT (SELECT count(*) FROM record) + "
	    "(SELECT count(*) FROM gone WHERE what = 'record'), "
	    "coalesce(min((SELECT min(seq) FROM record), "
	    "coalesce((SELECT min(seq) FROM gone), 1)), 0), "
	    "(SELECT coalesce(max(seq), -1) + 1 FROM record), "
	    "(SELECT value FROM meta WHERE name = 'case_id')");
	if (s == NULL)
		return -1;
	past->size = sqlite3_column_int64(s, 0);
	if (sqlite3_column_int64(s, 1) != 0 ||
	    sqlite3_column_int64(s, 2) != past->size) {
		sqlite3_finalize(s);
		return refuse(e, "records are missing; run verify");
	}
	if (sqlite3_column_bytes(s, 3) != 32) {
		sqlite3_finalize(s);
		return refuse(e, "it has no case_id");
	}
	snprintf(past->case_id, sizeof(past->case_id), "%s",
	    (const char *)sqlite3_column_text(s, 3));
	snprintf(e->origin, sizeof(e->origin), "swarmwitness/%s",
	    past->case_id);
	sqlite3_finalize(s);

	s = row(e, "SELECT coalesce(max(seq), -1), coalesce((SELECT utc_ns FROM "
	    "record ORDER BY seq DESC LIMIT 1), 0) FROM (SELECT seq FROM "
	    "record WHERE kind = 'run' ORDER BY seq DESC LIMIT 1)");
	if (s == NULL)
		return -1;
	past->run_seq = sqlite3_column_int64(s, 0);
	past->last_utc_ns = sqlite3_column_int64(s, 1);
	sqlite3_finalize(s);

	/* Stamps may follow the end. Both searches go from the back: a run is
	 * as far away as it was long, its end is near. */
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT 1 FROM record "
	    "WHERE kind = 'end' AND seq > %" PRId64
	    " ORDER BY seq DESC LIMIT 1)", past->run_seq);
	if (number(e, sql, &ended) < 0)
		return -1;
	past->ended = past->run_seq >= 0 && ended != 0;
	return 0;
}

static int open_db(struct evidence *e)
{
	if (sqlite3_open_v2(e->path, &e->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return sql_fails(e);
	sqlite3_busy_timeout(e->db, BUSY_MS);
	sqlite3_db_config(e->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(e->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* What the CHECKs forbid cannot come here: entry_new dies of it, or
	 * the text is hex or an address that we wrote. Asking SQLite again is
	 * two thirds of an insert's time. They still bind every other writer,
	 * and verify reads each record against them itself. */
	return exec(e, "PRAGMA synchronous = full;"
	    "PRAGMA cell_size_check = on;"
	    "PRAGMA ignore_check_constraints = on;"
	    "PRAGMA cache_size = -16384;"
	    "PRAGMA wal_autocheckpoint = 4096");
}

struct evidence *evidence_open(const struct casedir *dir,
    const struct note_key *key, int keep_s, struct ledger_past *past)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e == NULL)
		log_die("out of memory");
	e->dir = dir;
	e->key = key;
	e->keep_ns = (int64_t)keep_s * 1000000000;
	e->path = casedir_file(dir, "evidence.db");
	tile_init(&e->tiles);
	if (open_db(e) < 0 || check_or_make(e) < 0 || look_back(e, past) < 0 ||
	    load_tiles(e, (uint64_t)past->size) < 0 ||
	    check_head(e, past->size) < 0)
		goto fail;
	for (int i = 0; i < S_COUNT; i++)
		if (sqlite3_prepare_v3(e->db, sql_of[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &e->s[i], NULL) != SQLITE_OK) {
			sql_fails(e);
			goto fail;
		}
	return e;
fail:
	evidence_close(e);
	return NULL;
}

/* --- closing --------------------------------------------------------------- */

static int close_db(struct evidence *e)
{
	for (int i = 0; i < S_COUNT; i++) {
		sqlite3_finalize(e->s[i]);
		e->s[i] = NULL;
	}
	if (sqlite3_close(e->db) != SQLITE_OK)
		return sql_fails(e);
	e->db = NULL;
	return 0;
}

void evidence_close(struct evidence *e)
{
	if (e == NULL)
		return;
	close_db(e);
	free(e->path);
	free(e);
}

/* SQLite asks its busy handler for neither step: readers are waited for
 * here. */
static bool sealed(const struct evidence *e)
{
	sqlite3_stmt *s;
	bool ok;

	sqlite3_exec(e->db, "PRAGMA wal_checkpoint(truncate)", NULL, NULL,
	    NULL);
	ok = sqlite3_prepare_v2(e->db, "PRAGMA journal_mode = delete", -1, &s,
	    NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW &&
	    strcmp((const char *)sqlite3_column_text(s, 0), "delete") == 0;
	sqlite3_finalize(s);
	return ok;
}

int evidence_seal(struct evidence *e)
{
	static const struct timespec wait = { .tv_nsec = 100000000 };
	bool ok;

	sqlite3_busy_timeout(e->db, 0);
	for (int ms = 0; !(ok = sealed(e)) && ms < BUSY_MS; ms += 100) {
		if (ms == 1000)
			log_info("%s: waiting for a reader to let go of it, "
			    "for a minute at most", e->path);
		nanosleep(&wait, NULL);
	}
	if (!ok) {
		log_warn("%s: all is kept, but the case could not be sealed: "
		    "%s", e->path, sqlite3_errmsg(e->db));
		return -1;
	}
	if (close_db(e) < 0)
		return -1;
	return casedir_sync(e->dir);
}
