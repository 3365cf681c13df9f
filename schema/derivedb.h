/*
 * A connection for derived tables: a database of the caller's, with the
 * evidence attached to be read and nothing else.
 */
#ifndef SCHEMA_DERIVEDB_H
#define SCHEMA_DERIVEDB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

/* How much memory a connection may take for its pages and for sorting. */
enum derivedb_room {
	DERIVEDB_LARGE,		/* alone */
	DERIVEDB_HALF,		/* one of two that work at the same time */
	DERIVEDB_SMALL		/* some 50 MiB */
};

/*
 * Opens or makes name (":memory:", or "" for a temporary file of SQLite's),
 * with the evidence attached as `evidence`, read-only. What is no database at
 * name is emptied. The evidence may come from a stranger: nothing in its
 * schema is trusted to run. NULL with the reason logged.
 */
sqlite3 *derivedb_open(const char *name, const char *evidence,
    enum derivedb_room room);

/* The same, of a derived.db that is there and must not change. */
sqlite3 *derivedb_read(const char *name, const char *evidence);

/* Sets what one of these connections may take from now on. -1 logged. */
int derivedb_room(sqlite3 *db, enum derivedb_room room);

/* Attaches file ("": a temporary one of SQLite's) under the name `as`, with so
 * much for its pages: not evidence, not kept, so nothing is done to make it
 * durable. -1 logged. */
int derivedb_work(sqlite3 *db, const char *as, const char *file, int kib);

/* Empties the database, whatever it holds. -1 logged. */
int derivedb_reset(sqlite3 *db);

int derivedb_run(sqlite3 *db, const char *sql);		/* -1 logged */
/* The one integer that sql selects, or otherwise if there is none. */
int64_t derivedb_number(sqlite3 *db, const char *sql, int64_t otherwise);

/* printf into memory that the caller frees. */
char *derivedb_text(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
