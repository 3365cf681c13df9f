/*
 * What an `index` record commits to, gathered while records pass by, in
 * bounded memory (INDEXER_ROOM, twice that while it is read back; the rest is
 * sorted in a file without a name): which records belong to which subject,
 * ip|UTC-date. docs/evidence-format.md, "Index".
 */
#ifndef SCHEMA_INDEXER_H
#define SCHEMA_INDEXER_H

#include <sqlite3.h>

#include "wire/endpoint.h"

#define INDEXER_ROOM (8u << 20)
#define SUBJECT_MAX (ENDPOINT_IP_MAX + 11)	/* ip|YYYY-MM-DD and its NUL */

struct indexer;

/* folder as spill_new takes it. db: where the opening record of a conversation
 * is looked up; lent. Dies on out of memory. */
struct indexer *indexer_new(const char *folder, sqlite3 *db);
void indexer_free(struct indexer *x);

struct indexed {
	int64_t seq, utc_ns, conn;	/* conn -1: none */
	const char *kind, *ip, *detail;	/* ip may be NULL */
};
/* One record, in order of seq. -1 logged: no room on disk. */
int indexer_add(struct indexer *x, const struct indexed *r);
/* An address that the record last added names. */
int indexer_name(struct indexer *x, const char *ip);
/* Rows of table record from seq on, and what they name, below seq to. */
int indexer_read(struct indexer *x, int64_t from, int64_t to);

/* A subject and one of its records; of the common ones, which every excerpt
 * needs (indexer_is_common), the subject is "". */
struct index_pair {
	char subject[SUBJECT_MAX];
	int64_t seq;
};
/* From the first again, by subject (bytes), then seq, each pair once. */
int indexer_rewind(struct indexer *x);
/* False at the end, or, *bad set, if they cannot be read back. */
bool indexer_next(struct indexer *x, struct index_pair *p, bool *bad);
/* Forgets all pairs. */
void indexer_clear(struct indexer *x);

/* Records about the run, the clock, the software, the torrents, the index, our
 * own DHT node. */
bool indexer_is_common(const char *kind, bool has_conn, bool has_ip);

/* YYYY-MM-DD, UTC. */
void indexer_day(int64_t utc_ns, char out[11]);

#endif
