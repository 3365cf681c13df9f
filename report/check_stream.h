/* Part of the check of an excerpt: its packets against what `closed` records
 * say of each direction's bytes. */
#ifndef REPORT_CHECK_STREAM_H
#define REPORT_CHECK_STREAM_H

#include "report/checkpart.h"

/* ip: the excerpt's address. A stream that is whole and has another digest is
 * wrong; those that are not whole are counted in a remark. */
void check_streams(struct check *c, sqlite3 *db, const char *path,
    const char *ip);

#endif
