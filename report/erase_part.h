/*
 * What the parts of an erasure share: erase.c is the story, erase_plan.c finds
 * what goes, erase_do.c takes it out.
 */
#ifndef REPORT_ERASE_PART_H
#define REPORT_ERASE_PART_H

#include "report/excerpt_part.h"
#include "schema/json.h"

#define ERASE_CHUNK 2000	/* things named by one `erased` record */

struct erase_named {
	int64_t seq, n;
};

/* A subject that goes, its node to stay. */
struct erase_subject {
	int64_t seq, node;
	char subject[SUBJECT_MAX];
	struct hash hash;
};

/* A subject that stays, its list to be written down. */
struct erase_list {
	int64_t seq;
	char subject[SUBJECT_MAX];
	char *seqs;
};

/* A savefile to be written anew without the packets. */
struct erase_packets {
	char file[64], was[65], now[65];
	int64_t bytes, packets, gone;
};

struct erase {
	struct excerpt e;		/* selection, case, lists */
	const char *ground;
	struct seqs records, raws;
	struct erase_named *named;
	size_t names, names_room;
	struct erase_subject *subject;
	size_t subjects;
	struct erase_list *list;
	size_t lists, lists_room;
	struct erase_packets *file;
	size_t files;
	size_t done;			/* chunks taken out */
	bool before;			/* something was erased before */
};

/* What goes. e is open, and its lists are found. -1 logged. */
int erase_plan(struct erase *x);
void erase_free(struct erase *x);

/* Savefiles without the address's packets, and without those that name it,
 * beside the old ones; by the plan. -1 logged. */
int erase_packets(struct erase *x);
/* They take their places. -1 logged. */
int erase_settle(struct erase *x);

/* How many `erased` records the plan takes. */
size_t erase_chunks(const struct erase *x);
/* The detail of the k-th `erased` record; -1: it does not fit. */
int erase_detail(const struct erase *x, size_t k, struct json *j);
/* What that record names goes, in the writer's transaction: ledger_conf's
 * on_erased. Dies rather than fail. */
bool erase_take(void *x, sqlite3 *db, int64_t seq);

#endif
