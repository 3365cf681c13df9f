#include "report/checkpart.h"

#include <stdio.h>
#include <string.h>

#include "evidence_sql.h"

#include "schema/casedir.h"
#include "schema/log.h"

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

/* The schema must be ours to the letter: a view or a trigger more could change
 * what queries show. */
static void check_schema(struct check *c, sqlite3 *db)
{
	static const char *all = "SELECT coalesce(group_concat("
	    "type||' '||name||' '||coalesce(sql,''),';'),'') FROM (SELECT * "
	    "FROM sqlite_schema ORDER BY type,name)";
	sqlite3_stmt *ours = NULL, *theirs = check_query(c, db, all);
	sqlite3 *mem = NULL;

	if (sqlite3_open(":memory:", &mem) != SQLITE_OK ||
	    sqlite3_exec(mem, (const char *)evidence_sql, NULL, NULL,
	    NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(mem, all, -1, &ours, NULL) != SQLITE_OK ||
	    sqlite3_step(ours) != SQLITE_ROW)
		log_die("out of memory");
	if (check_step(c, theirs) && strcmp(text(ours, 0), text(theirs, 0)))
		check_tell(c, true, "evidence.db: its tables and triggers are "
		    "not those of format version %d", EVIDENCE_VERSION);
	sqlite3_finalize(ours);
	sqlite3_finalize(theirs);
	sqlite3_close(mem);
}

void check_integrity(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "PRAGMA integrity_check(100)");

	while (check_step(c, s))
		if (strcmp(text(s, 0), "ok") != 0)
			check_tell(c, true, "evidence.db: integrity_check: %s",
			    text(s, 0));
	sqlite3_finalize(s);
}

/* What the tables' own CHECKs refuse, where no leaf and no signature would
 * show it; SQLite's integrity_check does not always look at these. */
static void check_constraints(struct check *c, sqlite3 *db)
{
	static const char *const none[][2] = {
		{ "SELECT count(*) FROM gone WHERE (hash IS NULL) <> "
		    "(what = 'raw') OR length(hash) <> 32 OR what NOT IN "
		    "('record', 'named', 'raw', 'subject')", "gone" },
		{ "SELECT count(*) FROM omitted WHERE what NOT IN "
		    "('record', 'raw', 'packet') OR (what <> 'packet' "
		    "AND n <> 0)", "omitted" },
		{ "SELECT count(*) FROM subject WHERE length(path) % 32 <> 0",
		    "subject" },
		{ "SELECT count(*) FROM proof WHERE length(path) % 32 <> 0",
		    "proof" } };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		sqlite3_stmt *s = check_query(c, db, none[i][0]);

		if (check_step(c, s) && sqlite3_column_int64(s, 0))
			check_tell(c, true, "evidence.db: %lld rows of %s are "
			    "none that it can have", (long long)
			    sqlite3_column_int64(s, 0), none[i][1]);
		sqlite3_finalize(s);
	}
}

static void check_case_id(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT value FROM meta "
	    "WHERE name='case_id'");
	sqlite3_stmt *other = check_query(c, db, "SELECT 1 FROM meta "
	    "WHERE name<>'case_id' AND NOT (?1 AND name='excerpt')");

	if (check_step(c, s) && text(s, 0) &&
	    strlen(text(s, 0)) < sizeof(c->case_id))
		snprintf(c->case_id, sizeof(c->case_id), "%s", text(s, 0));
	else
		check_tell(c, true, "evidence.db: no case_id of 32 digits");
	if (other)
		sqlite3_bind_int(other, 1, c->excerpt);
	if (check_step(c, other))
		check_tell(c, true, "evidence.db: meta says more than the "
		    "case_id, and nothing signs it");
	sqlite3_finalize(other);
	sqlite3_finalize(s);
}

void check_database(struct check *c, sqlite3 *db)
{
	check_schema(c, db);
	check_constraints(c, db);
	check_case_id(c, db);
}
