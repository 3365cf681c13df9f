/*
 * The ledger: a writer thread that owns evidence.db. Records are numbered as
 * they are handed over, hashed, inserted, and committed in groups, each commit
 * under a signed checkpoint, a `run` only with the `key` that follows it.
 * Nothing that was handed over is dropped: when the queue is full ledger_add
 * waits, and callers who can, stop reading before.
 *
 * The ledger adds `index` records of its own: before an `end`; before the first
 * record of a UTC day later than those this ledger was given before; and, for
 * what a run that was cut short left in no index, behind the first `key`.
 */
#ifndef SCHEMA_LEDGER_H
#define SCHEMA_LEDGER_H

#include "schema/lasthead.h"
#include "schema/record.h"

struct ledger;

struct ledger_conf {
	const struct casedir *dir;
	const struct note_key *key;
	size_t queue_bytes;	/* most kept in memory; 0: 64 MiB */
	int commit_ms;		/* at most this long uncommitted; 0: 500 */
	bool run;		/* a run: it goes on where records were lost,
				 * and says so; others are refused there */
	int checkpoint_s;	/* keep one checkpoint this often; 0: 60, which
				 * is also the most */
	/* Called after a checkpoint that is kept was committed: on the writer
	 * thread, for the last one within ledger_close. May be NULL. note is
	 * NUL-terminated. */
	void (*on_checkpoint)(void *ctx, const char *note);
	void *ctx;
	/* Called when an `erased` record was inserted, on the writer thread and
	 * in that transaction: what it names goes now. True: another follows,
	 * and they commit as one. May be NULL. */
	bool (*on_erased)(void *ctx, sqlite3 *db, int64_t seq);
	void *erased_ctx;
};

/* What the open found: how the run before ended. */
struct ledger_past {
	int64_t size;		/* records already there */
	int64_t run_seq;	/* newest `run`, -1 if none */
	bool ended;		/* it has its `end` */
	int64_t last_utc_ns;	/* newest record's time, 0 if none */
	char case_id[33];	/* hex; made on first open */
	struct lasthead head;	/* CASE/checkpoint.txt, as it was */
	bool lost;		/* it covers more than the records there */
};

/*
 * Opens (or makes) evidence.db and starts the writer. An existing database is
 * checked first: schema, newest checkpoint against the records and tree. NULL
 * with the reason logged. The writer dies (log_die) rather than lose a record.
 */
struct ledger *ledger_open(const struct ledger_conf *conf,
    struct ledger_past *past);

/* Appends one record; its seq. Thread-safe, but order is the caller's. A
 * record that cannot be kept (text not printable ASCII, no detail) is our own
 * fault: dies. */
int64_t ledger_add(struct ledger *l, const struct record *r);

/* Whether the case, when it was opened, had records of an address in no
 * index. */
bool ledger_behind(const struct ledger *l);
/* Adds an index record now; its seq. */
int64_t ledger_index(struct ledger *l, struct stamp at);

/* True while the queue is over half full: stop reading sockets. */
bool ledger_full(const struct ledger *l);

/* Waits until all that was added is committed. */
void ledger_flush(struct ledger *l);

/* Commits all that was added under a checkpoint that stays, whatever follows;
 * note is its. Thread-safe; waits for the writer. */
void ledger_checkpoint(struct ledger *l, char note[NOTE_MAX]);

struct ledger_state {
	int64_t records;	/* handed over, in all */
	int64_t committed;
	size_t queued_bytes;
	int64_t checkpoint_size;	/* newest */
	int64_t checkpoint_utc_ns;
};
void ledger_state(const struct ledger *l, struct ledger_state *s);

/*
 * Commits the rest, keeps the last checkpoint, writes CASE/checkpoint.txt,
 * seals (WAL emptied, journal mode DELETE) and closes. digest gets the hex
 * SHA-256 of evidence.db, note its newest checkpoint (either may be NULL).
 * Waits a minute for readers. -1 logged: all is kept, but not sealed, and
 * digest is empty.
 */
int ledger_close(struct ledger *l, char digest[65], char note[NOTE_MAX]);

/* The same of a ledger that is there, and prints what the operator is to
 * give to somebody else at once: the newest checkpoint, and the digest if the
 * case was sealed. note may be NULL. */
int ledger_hand_over(struct ledger *l, char note[NOTE_MAX]);

#endif
