/*
 * The part of a check that reads the packets again (capture/replay.h).
 */
#ifndef REPORT_CHECK_REPLAY_H
#define REPORT_CHECK_REPLAY_H

#include <sqlite3.h>

#include "report/check.h"

void check_replay(struct check *c, sqlite3 *db, const char *path);

#endif
