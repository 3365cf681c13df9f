/*
 * Imports made again, and captures that were dissected as they were recorded:
 * what the savefiles of others' conversations say, record by record, held
 * against the records that were made of them.
 */
#ifndef CAPTURE_REMAKE_H
#define CAPTURE_REMAKE_H

#include "capture/replay.h"

/* r->imported counts the records that are the same; of a run that differs the
 * first difference is told. 0, or -1 logged. */
int remake_imports(struct replay *r, sqlite3 *db, const char *path);

#endif
