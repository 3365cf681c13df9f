/*
 * derived.db: what schema/derived.sql makes of evidence.db. Never evidence;
 * bound to the tree head it was built from; dropped and rebuilt at will with
 * identical result.
 */
#ifndef SCHEMA_DERIVE_H
#define SCHEMA_DERIVE_H

#include <sqlite3.h>

/* Brings CASE/derived.db up to date by the records added since it was made, or
 * builds it. 0, or -1 with the reason logged. */
int derive_update(const char *case_path);

/*
 * Builds the tables into a fresh database file (or ":memory:") from the
 * evidence database at evidence_path: what `verify` and reports on read-only
 * cases use. NULL with the reason logged.
 */
sqlite3 *derive_build(const char *evidence_path, const char *into);

#endif
