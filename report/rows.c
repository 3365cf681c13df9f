#include "report/rows.h"

#include <string.h>

#include "schema/log.h"

static void fail(struct rows *q, sqlite3 *db)
{
	if (!q->failed)
		log_warn("report: %s", sqlite3_errmsg(db));
	q->failed = true;
}

void rows_open(struct rows *q, sqlite3 *db, const char *sql, const char *key)
{
	*q = (struct rows){ 0 };
	if (sqlite3_prepare_v2(db, sql, -1, &q->st, NULL) != SQLITE_OK)
		fail(q, db);
	else if (key)
		sqlite3_bind_text(q->st, 1, key, -1, SQLITE_STATIC);
}

bool rows_next(struct rows *q)
{
	int r;

	if (q->failed)
		return false;
	r = sqlite3_step(q->st);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		fail(q, sqlite3_db_handle(q->st));
	return r == SQLITE_ROW;
}

int rows_close(struct rows *q)
{
	sqlite3_finalize(q->st);
	q->st = NULL;
	return q->failed ? -1 : 0;
}

bool rows_null(const struct rows *q, int column)
{
	return sqlite3_column_type(q->st, column) == SQLITE_NULL;
}

int64_t rows_int(const struct rows *q, int column)
{
	return sqlite3_column_int64(q->st, column);
}

const char *rows_text(const struct rows *q, int column)
{
	return (const char *)sqlite3_column_text(q->st, column);
}

char *rows_copy(const struct rows *q, int column)
{
	const char *s = rows_text(q, column);
	char *copy = s ? strdup(s) : NULL;

	if (s && copy == NULL)
		log_die("out of memory");
	return copy;
}

int64_t rows_number(sqlite3 *db, const char *sql, const char *key,
    int64_t otherwise)
{
	struct rows q;

	rows_open(&q, db, sql, key);
	if (rows_next(&q) && !rows_null(&q, 0))
		otherwise = rows_int(&q, 0);
	rows_close(&q);
	return otherwise;
}
