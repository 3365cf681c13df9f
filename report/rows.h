/*
 * Rows of a query, for code that reads many: an error is logged once, ends the
 * rows, and is said at the close.
 */
#ifndef REPORT_ROWS_H
#define REPORT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

struct rows {
	sqlite3_stmt *st;
	bool failed;
};

/* key is bound to ?1 if it is not NULL; it is lent until the close. */
void rows_open(struct rows *q, sqlite3 *db, const char *sql, const char *key);
bool rows_next(struct rows *q);
/* 0, or -1 if anything failed since the open. */
int rows_close(struct rows *q);

bool rows_null(const struct rows *q, int column);
int64_t rows_int(const struct rows *q, int column);	/* 0 for NULL */
const char *rows_text(const struct rows *q, int column); /* NULL for NULL */
/* A copy to be freed, NULL for NULL; dies on out of memory. */
char *rows_copy(const struct rows *q, int column);

/* The one integer a query yields, otherwise if none. */
int64_t rows_number(sqlite3 *db, const char *sql, const char *key,
    int64_t otherwise);

#endif
