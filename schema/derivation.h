/*
 * Running the texts of schema/derived*.sql: over all records that are not in
 * yet, in steps, or with the conversations on a thread of their own.
 */
#ifndef SCHEMA_DERIVATION_H
#define SCHEMA_DERIVATION_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

struct derivation {
	const char *evidence;	/* path of the database */
	const char *folder;	/* for what is in the works */
	int64_t size;		/* records to take in, in all: or all there are */
	bool small;		/* some 50 MiB of memory, one thread */
};

/* Makes the tables in db, a derivedb_open of the same evidence, or brings them
 * up to date, in one transaction. -1 with the reason logged. */
int derivation_make(sqlite3 *db, const struct derivation *d);

/* One step of at most `most` records, in the caller's transaction if there is
 * one; db has evidence attached. 1 if there are more, 0 if all are in, -1
 * logged. In steps of any sizes the result is the same. */
int derivation_step(sqlite3 *db, int64_t most);

/* SHA-256 of the texts, hex. */
const char *derivation_digest(void);

#endif
