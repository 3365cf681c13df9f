/*
 * What the parts of a check share: telling, and reading evidence.db. check.c
 * walks the records and gives each to the parts, which have files of their own:
 * check_tree, check_run, check_stamp, check_index. An excerpt is check_excerpt's.
 */
#ifndef REPORT_CHECKPART_H
#define REPORT_CHECKPART_H

#include <sqlite3.h>

#include "report/check.h"

/* Something wrong, or a remark. These two from any thread. */
void check_tell(struct check *c, bool wrong, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What is wrong with a record; of many only the first are told. */
void check_wrong(struct check *c, int64_t seq, const char *what);

/* NULL, the reason told, if it cannot be asked. */
sqlite3_stmt *check_query(struct check *c, sqlite3 *db, const char *sql);
/* One more row? An unreadable page is told; s may be NULL. */
bool check_step(struct check *c, sqlite3_stmt *s);
/* The first row where ?1 is key, if there is one; s may be NULL. */
bool check_ask(struct check *c, sqlite3_stmt *s, int64_t key);

/* The schema to the letter, and the case's id, which is all that meta says but
 * for what an excerpt is. */
void check_database(struct check *c, sqlite3 *db);
/* SQLite's own integrity_check. */
void check_integrity(struct check *c, sqlite3 *db);

/* What lies beside evidence.db: savefiles and copies of torrents. */
void check_files(struct check *c, sqlite3 *db, const char *path);
/* Reports read derived.db, so what is in it must follow from the evidence. */
void check_derived(struct check *c, const char *path);

#endif
