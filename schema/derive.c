#include "schema/derive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/derivation.h"
#include "schema/derivedb.h"
#include "schema/log.h"

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
		sqlite3_bind_text(st, 1, derivation_digest(), -1, SQLITE_STATIC);
		same = sqlite3_step(st) == SQLITE_ROW &&
		    sqlite3_column_int(st, 0) == 1;
	}
	sqlite3_finalize(st);
	return !same;
}

/* Closes db if it cannot be made; NULL then. */
static sqlite3 *make(sqlite3 *db, const struct derivation *d)
{
	if (db == NULL || derivation_make(db, d) == 0)
		return db;
	sqlite3_close(db);
	return NULL;
}

static sqlite3 *build_first(const char *evidence, const char *into,
    int64_t size)
{
	const char *tmp = getenv("TMPDIR");
	struct derivation d = { .evidence = evidence, .size = size,
		.folder = tmp && *tmp ? tmp : "/var/tmp" };

	return make(derivedb_open(into, evidence, DERIVEDB_LARGE), &d);
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
	char *file = derivedb_text("%s/derived.db", case_path);
	char *evidence = derivedb_text("%s/evidence.db", case_path);
	struct derivation d = { .evidence = evidence, .folder = case_path,
		.size = INT64_MAX, .small = small };
	sqlite3 *db = NULL;

	/* What stands in for it could be a database of the reader's. */
	if (casedir_plain(file))
		db = derivedb_open(file, evidence, small ? DERIVEDB_SMALL :
		    DERIVEDB_LARGE);
	else
		log_warn("%s: not a regular file", file);
	if (db && stale(db) && derivedb_reset(db)) {
		sqlite3_close(db);
		db = NULL;
	}
	temporary_in(case_path);
	db = make(db, &d);
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
	char *file = derivedb_text("%s/derived.db", case_path);
	int fd = casedir_plain(file) ? open(file, O_RDWR | O_CREAT |
	    O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd >= 0)
		close(fd);
	free(file);
	return fd >= 0;
}

sqlite3 *derive_open(const char *case_path, bool *temporary)
{
	char *evidence = derivedb_text("%s/evidence.db", case_path);
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

enum derived derive_check(const char *case_path, char *why, size_t n)
{
	char *file = derivedb_text("%s/derived.db", case_path);
	char *evidence = derivedb_text("%s/evidence.db", case_path);
	enum derived r = DERIVED_UNCHECKED;
	sqlite3 *found = NULL, *made = NULL;

	if (access(file, F_OK) < 0) {
		r = DERIVED_NONE;
	} else if (!casedir_plain(file)) {
		snprintf(why, n, "it is not a regular file");
	} else if (casedir_logged(evidence)) {	/* opening would change the case */
		snprintf(why, n, "a run is writing, or was cut short");
	} else if ((found = derivedb_read(file, evidence)) == NULL) {
		snprintf(why, n, "it cannot be opened");
	} else if (!casedir_tables(found, "main")) {
		snprintf(why, n, "a view or a virtual table stands in it");
		r = DERIVED_OTHER;
	} else if (stale(found)) {
		r = DERIVED_NONE;
	} else if ((made = build_first(evidence, "", derivedb_number(found,
	    "SELECT size FROM built", 0))) == NULL) {
		snprintf(why, n, "tables could not be made");
	} else {
		r = compare(made, found, why, n);
	}
	sqlite3_close(made);
	sqlite3_close(found);
	free(evidence);
	free(file);
	return r;
}
