/*
 * What the parts of an excerpt share: excerpt.c is the story, excerpt_index.c
 * finds the records, excerpt_hide.c says what may be shown of them,
 * excerpt_out.c writes the new case.
 */
#ifndef REPORT_EXCERPT_PART_H
#define REPORT_EXCERPT_PART_H

#include "schema/casedir.h"
#include "schema/index.h"
#include "schema/treeread.h"

#define ALLOWED_MOST 4096	/* addresses that records about the run name */

/* A subject's share in one index. */
struct excerpt_subject {
	int64_t seq;			/* the index record */
	char subject[SUBJECT_MAX];
	char salt[2 * SPARSE_SALT + 1];	/* "": absent */
	char *seqs;			/* its list, NULL if absent */
	struct hash *path;
	size_t path_n;
};

struct excerpt {
	/* Asked for. */
	const char *path, *out_path, *key, *swarm;
	char ip[ENDPOINT_IP_MAX], from_day[11], to_day[11];
	int port;			/* -1: any */
	bool all_packets, witnesses, no_sandbox;
	/* The case. */
	sqlite3 *db;
	int64_t size;
	int64_t to;			/* the newest index covers up to here */
	struct treeread *tree;
	sqlite3 *lists;			/* index.db, once excerpt_list asked */
	/* Found. */
	struct excerpt_subject *subject;
	size_t subjects, subjects_room;
	struct index_said *index;
	size_t indexes;
	struct seqs common, mine, context;
	int64_t uncovered;		/* records behind the newest index */
	/* Addresses that are no peers': ours, trackers', time servers'. */
	char (*allowed)[ENDPOINT_IP_MAX];
	size_t allowed_n;
	sqlite3_stmt *known;
	/* Written. */
	sqlite3 *out;
	int64_t shown, omitted, raws, raws_omitted, names, gone;
	int64_t packets, packets_omitted;
};

/* Opens the case as of its newest checkpoint. -1 logged. */
int excerpt_open_case(struct excerpt *e);
void excerpt_close_case(struct excerpt *e);	/* twice is no harm */
/* Finds subject, index, common, mine, context. -1 logged. */
int excerpt_find(struct excerpt *e);

/* The list of any subject of an index, proved against its root: *out is NULL if
 * the index does not have it, else to be freed. -1 logged. */
int excerpt_list(struct excerpt *e, const struct index_said *said,
    const char *subject, char **out);

/* --- what may be shown ------------------------------------------------------ */

/* One record as the case has it. */
struct excerpt_record {
	int64_t seq, conn;		/* conn -1: none */
	const char *kind, *swarm, *ip, *detail, *digest;
	int port;			/* -1: none */
	bool common, owned;		/* about the run; of this address */
};

/* Whether it is of the port and swarm asked for. */
bool excerpt_selects(const struct excerpt *e, const struct excerpt_record *r);
/* Whether the conversation conn is this address's. */
bool excerpt_is_conn(struct excerpt *e, int64_t conn);
/* Whether text has the address, written in any way. */
bool excerpt_is_named(struct excerpt *e, const char *text);
/* Why the record cannot be shown, NULL if it can. */
const char *excerpt_hides(struct excerpt *e, const struct excerpt_record *r);
/* Why its raw bytes cannot. */
const char *excerpt_hides_raw(struct excerpt *e,
    const struct excerpt_record *r, struct span raw);
/* What a record about the run names may be named. */
void excerpt_allow(struct excerpt *e, const char *text);

/* --- writing ----------------------------------------------------------------- */

/* OUT and its evidence.db, without triggers. -1 logged. */
int excerpt_open_out(struct excerpt *e);
/* All records found. -1 logged. */
int excerpt_write(struct excerpt *e);
/* A thing left out. */
int excerpt_omit(struct excerpt *e, int64_t seq, const char *what, int64_t n,
    const char *sha256, const char *why);
/* Checkpoint, triggers, notes; -1 logged. */
int excerpt_close_out(struct excerpt *e);

/* The packets of the address, into OUT/packets/excerpt.pcap, without what the
 * records leave out; -1 logged. */
int excerpt_packets(struct excerpt *e);

#endif
