/*
 * CASE/index.db: the lists and leaves behind the `index` records, so that one
 * subject's are found without reading the case. Never evidence: it may be
 * deleted, it is made again from the records, and whoever reads it holds what
 * he takes against the signed root.
 */
#ifndef SCHEMA_INDEXFILE_H
#define SCHEMA_INDEXFILE_H

#include <sqlite3.h>

#include "schema/seqs.h"
#include "schema/sparse.h"

struct indexfile;

/* Opens (or makes) the file for one more index record; NULL, logged, if it
 * cannot be written, which loses nothing. */
struct indexfile *indexfile_begin(const char *case_path, int64_t seq);
/* Pairs by subject, then seq; then nodes as sparse_put takes them. */
void indexfile_pair(struct indexfile *f, const char *subject, int64_t seq);
void indexfile_node(void *f, const struct sparse_node *n);
/* Keeps it (or, false, leaves the file as it was) and closes. */
void indexfile_end(struct indexfile *f, bool keep);

/* Takes out what the evidence has no subject of any more (it was erased):
 * lists, and in the trees of their indexes the leaves, for which nodes stay.
 * -1: the file is there and of no use for it, and must go. */
int indexfile_forget(const char *case_path);

/* For reading; NULL, unlogged, if there is none of this version. */
sqlite3 *indexfile_read(const char *case_path);

/* Adds a subject's list under index record seq. 1 found, 0 there is none, -1
 * the file is of no use. */
int indexfile_list(sqlite3 *file, int64_t seq, const char *subject,
    struct seqs *out);
/*
 * The way from key to the root of index record seq: path gets 64 siblings,
 * leaves (to be freed; n of them) what stands at key itself. -1: the file is
 * of no use for it.
 */
int indexfile_path(sqlite3 *file, int64_t seq, uint64_t key,
    struct hash path[SPARSE_DEPTH], struct hash **leaves, size_t *n);

#endif
