#include "schema/derive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "derived_sql.h"
#include "schema/casedir.h"
#include "schema/json.h"
#include "schema/log.h"

/* Few large steps, for each goes through the tables anew; what does not fit
 * into TEMPORARY's cache stands in a file of SQLite's, already unlinked. */
#define STEP_RECORDS 2500000
#define TEMPORARY "PRAGMA temp_store = FILE; PRAGMA temp.cache_size = -65536;" \
	"PRAGMA threads = 1"
/* SQLite sorts in as much memory as main's cache may take. */
#define SMALL "PRAGMA main.cache_size = -16384; PRAGMA temp.cache_size = -8192"
#define BUSY_MS 60000

/* "FOLDER/NAME" or any other few strings, to be freed. */
__attribute__((format(printf, 1, 2)))
static char *text(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		log_die("out of memory");
	va_end(ap);
	return s;
}

static int fail(sqlite3 *db, const char *what)
{
	log_warn("%s: %s", what, sqlite3_errmsg(db));
	return -1;
}

static int run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 :
	    fail(db, "derived tables");
}

/* The one integer that sql selects, or otherwise if there is none. */
static int64_t number(sqlite3 *db, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		otherwise = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return otherwise;
}

static const char *script_digest(void)
{
	static char hex[65];
	uint8_t md[32];

	SHA256(derived_sql, sizeof(derived_sql) - 1, md);
	return hex_of(md, sizeof(md), hex);
}

/* The documented way to empty a database whatever it holds, garbage too. */
static int reset(sqlite3 *db)
{
	int r;

	sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 1, 0);
	r = sqlite3_exec(db, "VACUUM", NULL, NULL, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 0, 0);
	return r == SQLITE_OK ? 0 : fail(db, "derived tables");
}

/* --- evidence, read-only --------------------------------------------------- */

/* A file name as a URI for sqlite3_open and ATTACH. */
static char *uri(const char *file, const char *query)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = strlen(file), at = 5;
	char *s = malloc(n * 3 + strlen(query) + at + 1);

	if (s == NULL)
		log_die("out of memory");
	memcpy(s, "file:", at);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)file[i];

		if (strchr("%?#", c)) {
			s[at++] = '%';
			s[at++] = digits[c >> 4];
			s[at++] = digits[c & 15];
		} else {
			s[at++] = (char)c;
		}
	}
	memcpy(s + at, query, strlen(query) + 1);
	return s;
}

static int attach_as(sqlite3 *db, const char *file, const char *query)
{
	char *name = uri(file, query);
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, "ATTACH ? AS evidence", -1, &st, NULL);

	if (r == SQLITE_OK) {
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
		sqlite3_step(st);
		r = sqlite3_finalize(st);
	}
	free(name);
	if (r == SQLITE_OK)	/* the file is only read now */
		r = sqlite3_exec(db, "SELECT 1 FROM evidence.sqlite_schema",
		    NULL, NULL, NULL);
	return r;
}

static bool empty(const char *file)
{
	struct stat st;

	return stat(file, &st) < 0 || st.st_size == 0;
}

/* Where a case that a writer left in WAL mode lies on a medium that cannot be
 * written, nobody changes it either; but then its WAL must hold nothing. */
static int attach(sqlite3 *db, const char *file)
{
	char *wal = text("%s-wal", file);
	int r;

	if (access(file, R_OK) < 0 || !casedir_plain(file)) {
		log_warn("%s: %s", file, casedir_plain(file) ?
		    strerror(errno) : "not a regular file");
		free(wal);
		return -1;
	}
	r = attach_as(db, file, "?mode=ro");
	if (r == SQLITE_CANTOPEN && empty(wal)) {
		sqlite3_exec(db, "DETACH evidence", NULL, NULL, NULL);
		r = attach_as(db, file, "?mode=ro&immutable=1");
	}
	free(wal);
	if (r != SQLITE_OK)
		return fail(db, file);
	if (number(db, "PRAGMA evidence.application_id", 0) !=
	    EVIDENCE_APPLICATION_ID) {
		log_warn("%s: not an evidence database", file);
		return -1;
	}
	if (number(db, "PRAGMA evidence.user_version", 0) != EVIDENCE_VERSION) {
		log_warn("%s: evidence format %d, this program reads %d", file,
		    (int)number(db, "PRAGMA evidence.user_version", 0),
		    EVIDENCE_VERSION);
		return -1;
	}
	if (!casedir_tables(db, "evidence")) {
		log_warn("%s: a view or a virtual table is in it: none is in "
		    "any case", file);
		return -1;
	}
	return 0;
}

/* --- building -------------------------------------------------------------- */

static int set_step(sqlite3 *db, int64_t most)
{
	sqlite3_stmt *st = NULL;
	int r;

	if (run(db, "CREATE TEMP TABLE IF NOT EXISTS step (most INTEGER NOT "
	    "NULL); DELETE FROM temp.step"))
		return -1;
	r = sqlite3_prepare_v2(db, "INSERT INTO temp.step VALUES (?)", -1, &st,
	    NULL);
	if (r == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, most);
		sqlite3_step(st);
		r = sqlite3_finalize(st);
	}
	return r == SQLITE_OK ? 0 : fail(db, "derived tables");
}

int derive_step(sqlite3 *db, int64_t most)
{
	if (set_step(db, most) || run(db, (const char *)derived_sql))
		return -1;
	return number(db, "SELECT size < (SELECT coalesce(max(seq) + 1, 0) "
	    "FROM evidence.record) FROM built", 0) != 0;
}

static int sign(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, "UPDATE built SET script = ?", -1, &st,
	    NULL);

	if (r == SQLITE_OK) {
		sqlite3_bind_text(st, 1, script_digest(), -1, SQLITE_STATIC);
		sqlite3_step(st);
		r = sqlite3_finalize(st);
	}
	return r == SQLITE_OK ? 0 : fail(db, "derived tables");
}

/* The first `size` records, or all if there are fewer, within the caller's
 * transaction: one snapshot of the evidence. */
static int build(sqlite3 *db, int64_t size)
{
	int64_t left = size;
	int r;

	do {
		r = derive_step(db, left < STEP_RECORDS ? left : STEP_RECORDS);
		left = size - number(db, "SELECT size FROM built", 0);
	} while (r > 0 && left > 0);
	return r < 0 ? -1 : sign(db);
}

/*
 * Whether the tables were made from the first records of this very ledger, and
 * by this script. The last record's salt is random, so it tells ledgers apart
 * even where the head of that time was not kept.
 */
static bool stale(sqlite3 *db)
{
	static const char sql[] =
	    "SELECT count(*) FROM built AS b WHERE script = ? AND (size = 0 OR "
	    "salt = (SELECT salt FROM evidence.record WHERE seq = size - 1)) "
	    "AND NOT EXISTS (SELECT 1 FROM evidence.checkpoint AS c "
	    "WHERE c.size = b.size AND c.root <> b.root) "
	    "AND NOT EXISTS (SELECT 1 FROM evidence.record "
	    "WHERE kind = 'erased' AND seq >= b.size)";
	sqlite3_stmt *st = NULL;
	bool same = false;

	if (!casedir_tables(db, "main"))
		return true;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, script_digest(), -1, SQLITE_STATIC);
		same = sqlite3_step(st) == SQLITE_ROW &&
		    sqlite3_column_int(st, 0) == 1;
	}
	sqlite3_finalize(st);
	return !same;
}

/* A connection to name with the evidence attached. The evidence may come from
 * a stranger: nothing in its schema is trusted to run. */
static sqlite3 *open_with(const char *name, const char *evidence, bool small)
{
	char *file = *name && strcmp(name, ":memory:") ? uri(name, "") : NULL;
	sqlite3 *db = NULL;
	int r = sqlite3_open_v2(file ? file : name, &db, SQLITE_OPEN_URI |
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	free(file);
	if (r != SQLITE_OK) {
		log_warn("%s: %s", name, db ? sqlite3_errmsg(db) :
		    "out of memory");
		goto bad;
	}
	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, 0);
	r = sqlite3_exec(db, "SELECT 1 FROM main.sqlite_schema", NULL, NULL,
	    NULL);
	if (((r == SQLITE_NOTADB || r == SQLITE_CORRUPT) && reset(db)) ||
	    attach(db, evidence) || run(db, "PRAGMA main.synchronous = NORMAL;"
	    "PRAGMA main.cache_size = -131072;" TEMPORARY) ||
	    (small && run(db, SMALL)))
		goto bad;
	return db;
bad:
	sqlite3_close(db);
	return NULL;
}

static sqlite3 *build_first(const char *evidence_path, const char *into,
    int64_t size)
{
	sqlite3 *db = open_with(into, evidence_path, false);

	if (db == NULL)
		return NULL;
	if (run(db, "BEGIN") || build(db, size) || run(db, "COMMIT")) {
		sqlite3_close(db);
		return NULL;
	}
	return db;
}

sqlite3 *derive_build(const char *evidence_path, const char *into)
{
	return build_first(evidence_path, into, INT64_MAX);
}

/* Temporary files, which are unlinked as soon as they are open, go into the
 * case: a monitor that has confined itself can write nowhere else. */
static void temporary_in(const char *folder)
{
	sqlite3_free(sqlite3_temp_directory);
	sqlite3_temp_directory = NULL;
	if (folder && (sqlite3_temp_directory = sqlite3_mprintf("%s",
	    folder)) == NULL)
		log_die("out of memory");
}

static sqlite3 *update(const char *case_path, bool small)
{
	char *file = text("%s/derived.db", case_path);
	char *evidence = text("%s/evidence.db", case_path);
	sqlite3 *db = NULL;

	/* What stands in for it could be a database of the reader's. */
	if (casedir_plain(file))
		db = open_with(file, evidence, small);
	else
		log_warn("%s: not a regular file", file);
	if (db && stale(db) && reset(db)) {
		sqlite3_close(db);
		db = NULL;
	}
	temporary_in(case_path);
	if (db && (run(db, "BEGIN IMMEDIATE") ||
	    build(db, INT64_MAX) || run(db, "COMMIT"))) {
		sqlite3_close(db);
		db = NULL;
	}
	temporary_in(NULL);
	free(file);
	free(evidence);
	return db;
}

int derive_update(const char *case_path)
{
	sqlite3 *db = update(case_path, false);

	sqlite3_close(db);
	return db ? 0 : -1;
}

int derive_update_small(const char *case_path)
{
	sqlite3 *db = update(case_path, true);

	sqlite3_close(db);
	return db ? 0 : -1;
}

/* Asked by opening, for a read-only medium refuses root too. */
static bool writable(const char *case_path)
{
	char *file = text("%s/derived.db", case_path);
	int fd = casedir_plain(file) ? open(file, O_RDWR | O_CREAT |
	    O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd >= 0)
		close(fd);
	free(file);
	return fd >= 0;
}

sqlite3 *derive_open(const char *case_path, bool *temporary)
{
	char *evidence = text("%s/evidence.db", case_path);
	sqlite3 *db = NULL;
	bool here = access(evidence, R_OK) == 0 && writable(case_path);

	if (temporary)
		*temporary = !here;
	db = here ? update(case_path, false) : derive_build(evidence, "");
	free(evidence);
	return db;
}

/* --- held against the evidence ---------------------------------------------- */

/* What sql, in any order of rows, selects in both: the same? */
static bool same_rows(sqlite3 *a, sqlite3 *b, const char *sql)
{
	sqlite3_stmt *x = NULL, *y = NULL;
	bool same = sqlite3_prepare_v2(a, sql, -1, &x, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(b, sql, -1, &y, NULL) == SQLITE_OK &&
	    sqlite3_column_count(x) == sqlite3_column_count(y);
	int r = same ? SQLITE_ROW : SQLITE_DONE;

	while (same && r == SQLITE_ROW) {
		r = sqlite3_step(x);
		same = sqlite3_step(y) == r &&
		    (r == SQLITE_ROW || r == SQLITE_DONE);
		for (int i = 0; same && i < sqlite3_data_count(x); i++) {
			int n = sqlite3_column_bytes(x, i);

			same = sqlite3_column_type(x, i) ==
			    sqlite3_column_type(y, i) &&
			    n == sqlite3_column_bytes(y, i) && (n == 0 ||
			    memcmp(sqlite3_column_blob(x, i),
			    sqlite3_column_blob(y, i), (size_t)n) == 0);
		}
	}
	sqlite3_finalize(x);
	sqlite3_finalize(y);
	return same;
}

/* Rows of a table without WITHOUT ROWID stand in the order they were made in;
 * in how many steps may change that, so all columns sort. `built` says how the
 * tables were made, not what was observed. */
static enum derived compare(sqlite3 *made, sqlite3 *found, char *why, size_t n)
{
	static const char schema[] = "SELECT type, name, tbl_name, sql FROM "
	    "main.sqlite_schema ORDER BY type, name";
	static const char tables[] = "SELECT name, 'SELECT * FROM main.' || "
	    "name || ' ORDER BY ' || (SELECT group_concat(cid + 1) FROM "
	    "pragma_table_info(s.name)) FROM main.sqlite_schema AS s "
	    "WHERE type = 'table' AND name <> 'built' ORDER BY name";
	enum derived r = DERIVED_SAME;
	sqlite3_stmt *st = NULL;

	if (!same_rows(made, found, schema)) {
		snprintf(why, n, "its tables are not those of "
		    "schema/derived.sql");
		return DERIVED_OTHER;
	}
	if (sqlite3_prepare_v2(made, tables, -1, &st, NULL) != SQLITE_OK) {
		snprintf(why, n, "%s", sqlite3_errmsg(made));
		return DERIVED_UNCHECKED;
	}
	while (r == DERIVED_SAME && sqlite3_step(st) == SQLITE_ROW)
		if (!same_rows(made, found,
		    (const char *)sqlite3_column_text(st, 1))) {
			snprintf(why, n, "its table %s is not what the ledger "
			    "gives", (const char *)sqlite3_column_text(st, 0));
			r = DERIVED_OTHER;
		}
	sqlite3_finalize(st);
	return r;
}

static sqlite3 *open_found(const char *file, const char *evidence)
{
	char *name = uri(file, "?mode=ro&immutable=1");
	sqlite3 *db = NULL;
	int r = sqlite3_open_v2(name, &db, SQLITE_OPEN_URI |
	    SQLITE_OPEN_READONLY, NULL);

	free(name);
	if (r == SQLITE_OK) {
		sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, 0);
		sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, 0);
		if (attach(db, evidence) == 0)
			return db;
	}
	sqlite3_close(db);
	return NULL;
}

enum derived derive_check(const char *case_path, char *why, size_t n)
{
	char *file = text("%s/derived.db", case_path);
	char *evidence = text("%s/evidence.db", case_path);
	char *wal = text("%s-wal", evidence);
	enum derived r = DERIVED_UNCHECKED;
	sqlite3 *found = NULL, *made = NULL;

	if (access(file, F_OK) < 0) {
		r = DERIVED_NONE;
	} else if (!casedir_plain(file)) {
		snprintf(why, n, "it is not a regular file");
	} else if (!empty(wal)) {	/* opening it would change the case */
		snprintf(why, n, "a run is writing, or was cut short");
	} else if ((found = open_found(file, evidence)) == NULL) {
		snprintf(why, n, "it cannot be opened");
	} else if (!casedir_tables(found, "main")) {
		snprintf(why, n, "a view or a virtual table stands in it");
		r = DERIVED_OTHER;
	} else if (stale(found)) {
		r = DERIVED_NONE;
	} else if ((made = build_first(evidence, "", number(found,
	    "SELECT size FROM built", 0))) == NULL) {
		snprintf(why, n, "tables could not be made");
	} else {
		r = compare(made, found, why, n);
	}
	sqlite3_close(made);
	sqlite3_close(found);
	free(wal);
	free(evidence);
	free(file);
	return r;
}
