#include "schema/derivedb.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/log.h"

#define BUSY_MS 60000
#define PAGE_RECORDS 256	/* at most, erased ones too, in a page of ours */
/* What does not fit into a temporary database's cache stands in a file of
 * SQLite's, already unlinked. What is dropped there is not overwritten. */
#define TEMPORARY "PRAGMA main.synchronous = NORMAL;" \
	"PRAGMA temp_store = FILE; PRAGMA temp.secure_delete = OFF"

/* SQLite sorts in as much memory as main's cache may take, and twice that with
 * a thread for sorting. What a processor's own cache holds is sorted faster,
 * and what is longer merged from files. */
static const char *const rooms[] = {
	[DERIVEDB_LARGE] = ("PRAGMA temp.page_size = 16384; PRAGMA "
	    "main.cache_size = -131072; PRAGMA temp.cache_size = -65536; "
	    "PRAGMA threads = 1"),
	[DERIVEDB_HALF] = ("PRAGMA temp.page_size = 16384; PRAGMA "
	    "main.cache_size = -4096; PRAGMA temp.cache_size = -49152; "
	    "PRAGMA threads = 0"),
	/* Pages of 16 KiB took 45 MiB more here. */
	[DERIVEDB_SMALL] = ("PRAGMA main.cache_size = -16384; PRAGMA "
	    "temp.cache_size = -4096; PRAGMA threads = 0"),
};

char *derivedb_text(const char *fmt, ...)
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

int derivedb_run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 :
	    fail(db, "derived tables");
}

int64_t derivedb_number(sqlite3 *db, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		otherwise = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return otherwise;
}

/* The documented way to empty a database whatever it holds, garbage too. */
int derivedb_reset(sqlite3 *db)
{
	int r;

	sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 1, 0);
	r = sqlite3_exec(db, "VACUUM", NULL, NULL, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 0, 0);
	return r == SQLITE_OK ? 0 : fail(db, "derived tables");
}

static int attach(sqlite3 *db, const char *file, const char *query,
    const char *as)
{
	char *name = *file ? casedir_uri(file, query) : NULL;
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, "ATTACH ? AS ?", -1, &st, NULL);

	if (r == SQLITE_OK) {
		sqlite3_bind_text(st, 1, name ? name : "", -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, as, -1, SQLITE_STATIC);
		sqlite3_step(st);
		r = sqlite3_finalize(st);
	}
	free(name);
	return r;
}

static int attach_evidence(sqlite3 *db, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *folder = slash ? derivedb_text("%.*s", (int)(slash - file), file) :
	    derivedb_text(".");
	int r = attach(db, file, casedir_attached(folder, file), "evidence");

	free(folder);
	if (r == SQLITE_OK)	/* the file is only read now */
		r = sqlite3_exec(db, "SELECT 1 FROM evidence.sqlite_schema",
		    NULL, NULL, NULL);
	return r == SQLITE_OK ? 0 : fail(db, file);
}

static int evidence_of(sqlite3 *db, const char *file)
{
	int64_t version;

	if (access(file, R_OK) < 0 || !casedir_plain(file)) {
		log_warn("%s: %s", file, casedir_plain(file) ?
		    strerror(errno) : "not a regular file");
		return -1;
	}
	if (attach_evidence(db, file))
		return -1;
	if (derivedb_number(db, "PRAGMA evidence.application_id", 0) !=
	    EVIDENCE_APPLICATION_ID) {
		log_warn("%s: not an evidence database", file);
		return -1;
	}
	version = derivedb_number(db, "PRAGMA evidence.user_version", 0);
	if (version != EVIDENCE_VERSION) {
		log_warn("%s: evidence format %d, this program reads %d", file,
		    (int)version, EVIDENCE_VERSION);
		return -1;
	}
	if (!casedir_tables(db, "evidence")) {
		log_warn("%s: a view or a virtual table is in it: none is in "
		    "any case", file);
		return -1;
	}
	/* Found by fuzz_case: tables are made in steps of so many numbers. */
	if (derivedb_number(db, "SELECT coalesce(max(seq), 0) FROM "
	    "evidence.record", 0) / PAGE_RECORDS >
	    derivedb_number(db, "PRAGMA evidence.page_count", 0)) {
		log_warn("%s: its records have numbers that so few of them "
		    "cannot have; run verify", file);
		return -1;
	}
	return 0;
}

int derivedb_room(sqlite3 *db, enum derivedb_room room)
{
	return derivedb_run(db, rooms[room]);
}

static int pragma(sqlite3 *db, const char *as, const char *what)
{
	char *sql = derivedb_text("PRAGMA %s.%s", as, what);
	int r = derivedb_run(db, sql);

	free(sql);
	return r;
}

int derivedb_work(sqlite3 *db, const char *as, const char *file, int kib)
{
	char *cache;
	int r;

	if (attach(db, file, "", as) != SQLITE_OK)
		return fail(db, "derived tables");
	/* It can be said only between transactions. */
	if (sqlite3_get_autocommit(db) && pragma(db, as, "synchronous = OFF"))
		return -1;
	/* A statement that fails ends it all: nothing is ever rolled back. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, 0);
	r = pragma(db, as, "journal_mode = OFF");
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, 0);
	cache = derivedb_text("cache_size = -%d", kib);
	r = r || pragma(db, as, "page_size = 16384") ||
	    pragma(db, as, "secure_delete = OFF") || pragma(db, as, cache);
	free(cache);
	return r ? -1 : 0;
}

static void trust_nothing(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, 0);
}

sqlite3 *derivedb_open(const char *name, const char *evidence,
    enum derivedb_room room)
{
	char *file = *name && strcmp(name, ":memory:") ? casedir_uri(name, "") :
	    NULL;
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
	trust_nothing(db);
	r = sqlite3_exec(db, "SELECT 1 FROM main.sqlite_schema", NULL, NULL,
	    NULL);
	if (((r == SQLITE_NOTADB || r == SQLITE_CORRUPT) &&
	    derivedb_reset(db)) || evidence_of(db, evidence) ||
	    derivedb_run(db, TEMPORARY) || derivedb_room(db, room))
		goto bad;
	return db;
bad:
	sqlite3_close(db);
	return NULL;
}

sqlite3 *derivedb_read(const char *name, const char *evidence)
{
	char *file = casedir_uri(name, "?mode=ro&immutable=1");
	sqlite3 *db = NULL;
	int r = sqlite3_open_v2(file, &db, SQLITE_OPEN_URI |
	    SQLITE_OPEN_READONLY, NULL);

	free(file);
	if (r == SQLITE_OK) {
		trust_nothing(db);
		if (evidence_of(db, evidence) == 0)
			return db;
	}
	sqlite3_close(db);
	return NULL;
}
