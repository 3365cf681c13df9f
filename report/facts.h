/*
 * What a report says of a case as a whole: its runs, clocks, packets, stalls
 * and newest checkpoint, read once from the ledger.
 */
#ifndef REPORT_FACTS_H
#define REPORT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* One `run` record and what followed until the next. Texts may be NULL. */
struct run_fact {
	int64_t seq, last_seq;
	int64_t from_utc_ns, to_utc_ns;	/* to: of its last record */
	char *program, *version, *commit, *executable_sha256;
	char *operator, *purpose, *ground, *retention;
	char *vantage;		/* addresses, comma-separated */
	char *host, *command, *config;
	char *end_why;		/* NULL: no `end` record */
	bool ended, ended_ok;
	bool imported;		/* it read packets that somebody else recorded */
	int64_t piece_bytes_sent, records, connections;
	int64_t clock_asked, clock_answered, clock_steps, clock_suspends;
	int64_t bound_ns;	/* clockbound_ns, or BOUND_UNKNOWN */
	int64_t savefiles, packets, packet_bytes, dropped_kernel,
	    dropped_interface, salvaged;
	char *no_packets;	/* why there are none */
	int64_t stalls, stalled_ns, stall_dropped;
	char *fingerprint, *vkey;
};

/* A stretch of time, for what must be held against a conversation. */
struct window {
	int64_t from_utc_ns, to_utc_ns;
};
struct windows {
	struct window *at;	/* in order, disjoint */
	size_t n;
};

struct facts {
	const char *path;	/* as given */
	char *name;		/* its last part, without slashes */
	sqlite3 *db;		/* derived, with evidence attached; owned */
	char *case_id;
	int64_t records, first_utc_ns, last_utc_ns, erased;
	bool sealed;
	bool imported;		/* some run read packets of somebody else's */
	char digest[65];	/* of evidence.db, if sealed and read whole */
	char *checkpoint;	/* the newest note */
	int64_t checkpoint_size;
	struct run_fact *run;
	size_t runs;
	struct windows stall, drop;
	int64_t strangers;	/* incoming that named none of our torrents; -1
				 * not counted */
	char **geo;		/* digests the ledger recorded */
	size_t geos;
};

/* whole: also what takes a pass over the case, its digest and what strangers
 * did. -1 logged. Close in any case. */
int facts_open(struct facts *c, const char *path, bool whole);
void facts_close(struct facts *c);

/* The bound of the clock in the run that the time falls into. */
int64_t facts_bound(const struct facts *c, int64_t utc_ns);

/* Whether a run says that this address was the observer's own. */
bool facts_own(const struct facts *c, const char *ip);

/* Whether any of the windows touches [from, to]. Binary search. */
bool windows_touch(const struct windows *w, int64_t from, int64_t to);

#endif
