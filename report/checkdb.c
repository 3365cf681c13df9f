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

static void check_integrity(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "PRAGMA integrity_check(100)");

	while (check_step(c, s))
		if (strcmp(text(s, 0), "ok") != 0)
			check_tell(c, true, "evidence.db: integrity_check: %s",
			    text(s, 0));
	sqlite3_finalize(s);
}

static void check_details(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT seq FROM record "
	    "WHERE json_valid(detail)=0 OR json_type(detail)<>'object' "
	    "LIMIT 100");

	while (check_step(c, s))
		check_wrong(c, sqlite3_column_int64(s, 0),
		    "its detail is not a JSON object");
	sqlite3_finalize(s);
}

static void check_conversations(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT r.seq FROM record r "
	    "LEFT JOIN record c ON c.seq = r.conn WHERE r.conn IS NOT NULL "
	    "AND (c.seq IS NULL OR c.seq > r.seq OR c.conn IS NOT c.seq "
	    "OR c.kind NOT IN ('dial','accept','flow'))");

	while (check_step(c, s))
		check_wrong(c, sqlite3_column_int64(s, 0),
		    "its conversation did not begin");
	sqlite3_finalize(s);
}

static void check_case_id(struct check *c, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT value FROM meta "
	    "WHERE name='case_id'");
	sqlite3_stmt *r = check_query(c, db, "SELECT seq FROM record "
	    "WHERE kind='run' AND json_extract(detail,'$.case_id') IS NOT ?1");
	sqlite3_stmt *other = check_query(c, db, "SELECT 1 FROM meta "
	    "WHERE name<>'case_id'");

	if (check_step(c, s) && text(s, 0))
		snprintf(c->case_id, sizeof(c->case_id), "%s", text(s, 0));
	else
		check_tell(c, true, "evidence.db: no case_id");
	if (r)
		sqlite3_bind_text(r, 1, c->case_id, -1, SQLITE_STATIC);
	while (check_step(c, r))
		check_wrong(c, sqlite3_column_int64(r, 0),
		    "is a run of another case");
	if (check_step(c, other))
		check_tell(c, true, "evidence.db: meta says more than the "
		    "case_id, and nothing signs it");
	sqlite3_finalize(other);
	sqlite3_finalize(s);
	sqlite3_finalize(r);
}

void check_database(struct check *c, sqlite3 *db)
{
	check_schema(c, db);
	check_integrity(c, db);
	check_case_id(c, db);
	check_details(c, db);
	check_conversations(c, db);
}
