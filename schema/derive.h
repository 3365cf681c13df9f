/*
 * derived.db: what schema/derived.sql makes of evidence.db. Never evidence;
 * bound to the tree head it was built from; dropped and rebuilt at will with
 * identical result.
 */
#ifndef SCHEMA_DERIVE_H
#define SCHEMA_DERIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* Brings CASE/derived.db up to date by the records added since it was made, or
 * builds it: also if it was made from other records, by another version, or
 * if records were erased since. 0, or -1 with the reason logged. */
int derive_update(const char *case_path);
/* The same in some 50 MiB of memory, where more would break a promise. */
int derive_update_small(const char *case_path);

/*
 * Builds the tables into a fresh database file (or ":memory:", or "" for a
 * temporary file of SQLite's) from the evidence database at evidence_path:
 * what `verify` and reports on read-only cases use. The evidence stays
 * attached, read-only, as `evidence`. NULL with the reason logged.
 */
sqlite3 *derive_build(const char *evidence_path, const char *into);

/*
 * The case to read from: its derived tables, up to date, and its evidence
 * attached read-only as `evidence`. Uses CASE/derived.db, or a temporary one
 * where the case cannot be written (*temporary says so; may be NULL). NULL
 * with the reason logged if it is no case of ours.
 */
sqlite3 *derive_open(const char *case_path, bool *temporary);

enum derived {
	DERIVED_SAME,		/* what the evidence gives, as far as it goes */
	DERIVED_NONE,		/* there is none, or the next reader rebuilds it */
	DERIVED_OTHER,		/* something else */
	DERIVED_UNCHECKED	/* could not be told without changing the case */
};

/* Holds CASE/derived.db against tables made anew, changing no byte of the
 * case. why says what DERIVED_OTHER and DERIVED_UNCHECKED mean. */
enum derived derive_check(const char *case_path, char *why, size_t n);

#endif
