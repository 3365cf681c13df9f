/*
 * The check of an excerpt: every record and endpoint in the tree by its path,
 * the address's lists committed to by every index, nothing of them missing
 * but what is said to be left out or erased.
 */
#ifndef REPORT_CHECK_EXCERPT_H
#define REPORT_CHECK_EXCERPT_H

#include "report/checkpart.h"

/* Whether the case is one. */
bool check_is_excerpt(sqlite3 *db);
void check_excerpt(struct check *c, sqlite3 *db, const char *path);

#endif
