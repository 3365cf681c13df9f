/*
 * `index` records (docs/evidence-format.md, "Index"): made by the ledger's
 * writer, made again from the records by whoever checks or excerpts.
 */
#ifndef SCHEMA_INDEX_H
#define SCHEMA_INDEX_H

#include "schema/casedir.h"
#include "schema/entry.h"
#include "schema/indexer.h"
#include "schema/indexfile.h"

/* --- by the writer; not thread-safe; dies rather than fail ----------------- */

struct index;

/* dir and db (the writer's own) are lent. Records of the case that are in no
 * index yet, below size, are read. */
struct index *index_new(const struct casedir *dir, sqlite3 *db, int64_t size);
void index_free(struct index *x);
/* Whether records that belong to somebody are in no index. */
bool index_behind(const struct index *x);
/* A record that was added. */
void index_add(struct index *x, const struct entry *e);
/* The detail of an index record that stands at seq and covers what was added
 * since the one before; until the next call. */
const char *index_make(struct index *x, int64_t seq);
/* Its subjects, once it is inserted. */
void index_keep(struct index *x, int64_t seq);

/* --- again ----------------------------------------------------------------- */

struct index_tell {
	void (*wrong)(void *ctx, const char *text);
	void *ctx;
};

/* What an index record says. */
struct index_said {
	int64_t seq, from, to, subjects;
	struct hash root;
};
/* From the columns of a row: seq, detail. False: it says it otherwise. */
bool index_read(sqlite3 *db, int64_t seq, struct index_said *out);

/*
 * Computes the root again, of the pairs in x (which holds those of records
 * from to to-1), and of tables subject and gone; tells what is not as said.
 * file (may be NULL) gets the lists and nodes. True: nothing is wrong. folder
 * as spill_new takes it.
 */
bool index_again(sqlite3 *db, const struct index_said *said, struct indexer *x,
    const char *folder, struct indexfile *file, const struct index_tell *tell);

/* The days that an index has subjects of: its detail's list as it should
 * be, to be freed. */
struct index_days {
	int32_t *day;
	size_t n, room;
};
void index_days_add(struct index_days *d, const char *subject);

#endif
