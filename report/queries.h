/*
 * The SQL behind a page. A number or a table cites its query by a mark, Q1, Q2
 * and so on; the page ends with the texts. A text is the statement that ran,
 * as SQLite writes it out with its values in place, so that `sqlite3` gives the
 * same again.
 */
#ifndef REPORT_QUERIES_H
#define REPORT_QUERIES_H

#include <stddef.h>
#include <stdio.h>

#include <sqlite3.h>

struct query {
	char *what, *sql;
};

struct queries {
	struct query *at;
	size_t n;
};

/* Without comments and what else is no part of a statement. To be freed. */
char *queries_tidy(const char *sql);
/* A prepared statement's text, to be freed; NULL of NULL. */
char *queries_text(sqlite3_stmt *st);
/* That of SQL that runs elsewhere, with key for its ?1. */
char *queries_bound(sqlite3 *db, const char *sql, const char *key);

/* Writes the mark of a query and keeps its text; one that the page has cited
 * before keeps its number. sql is copied; NULL: nothing is written. */
void queries_cite(struct queries *q, FILE *f, const char *what,
    const char *sql);

/* Likewise, the text being that of the statement. */
void queries_cite_st(struct queries *q, FILE *f, const char *what,
    sqlite3_stmt *st);

/* Likewise, of SQL that runs elsewhere, with key for its ?1. */
void queries_cite_sql(struct queries *q, FILE *f, const char *what,
    sqlite3 *db, const char *sql, const char *key);

struct subject;
/* The section that holds them, and what to type; then forgets them. */
void queries_write(struct queries *q, FILE *f, const struct subject *s);
void queries_free(struct queries *q);

#endif
