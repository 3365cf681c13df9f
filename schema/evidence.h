/*
 * evidence.db as its one writer has it open: made or checked at the start,
 * entries inserted, each commit under a signed checkpoint, sealed at the end.
 * Not thread-safe; ledger's writer thread owns it.
 */
#ifndef SCHEMA_EVIDENCE_H
#define SCHEMA_EVIDENCE_H

#include "schema/casedir.h"
#include "schema/entry.h"
#include "schema/ledger.h"

struct evidence;

/* dir and key are lent until evidence_close. keep_s: one checkpoint this often
 * is kept. NULL with the reason logged. */
struct evidence *evidence_open(const struct casedir *dir,
    const struct note_key *key, int keep_s, struct ledger_past *past);
void evidence_close(struct evidence *e);

/* Inserts one completed entry, the next in order. Dies rather than fail. */
void evidence_add(struct evidence *e, const struct entry *r);
/* Commits what was added, if anything was, under a new checkpoint. Dies rather
 * than fail. */
void evidence_commit(struct evidence *e);
/* The newest checkpoint stays, whatever follows. False if it did already. */
bool evidence_keep(struct evidence *e);

/* The connection, for what else belongs into the open transaction. */
sqlite3 *evidence_db(const struct evidence *e);

struct evidence_head {
	int64_t size;		/* records committed */
	int64_t utc_ns;		/* of the newest checkpoint, 0 if none */
	bool kept;		/* it stays, whatever follows */
	char note[NOTE_MAX];
};
const struct evidence_head *evidence_head(const struct evidence *e);

/* Empties the WAL, goes to journal mode DELETE and closes the database; waits
 * for readers, a minute at most. -1 logged: all is kept, but not sealed. */
int evidence_seal(struct evidence *e);

#endif
