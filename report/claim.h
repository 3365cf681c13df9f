/*
 * Claims: rows of a table that say that an address shared a torrent at a
 * time, read from whatever columns the table has. A row that cannot be read
 * is kept with its line and the reason.
 */
#ifndef REPORT_CLAIM_H
#define REPORT_CLAIM_H

#include "report/claimtable.h"
#include "report/claimtime.h"
#include "wire/endpoint.h"

#define CLAIMS_MOST 250000

/* What a column can be; the names --map takes. */
#define CLAIM_FIELDS(X) \
	X(IP, "ip") X(PORT, "port") X(UTC, "utc") X(DATE, "date") \
	X(TIME, "time") X(ZONE, "zone") X(END, "end") \
	X(INFOHASH, "infohash") X(CLIENT, "client") X(PIECES, "pieces") \
	X(BYTES, "bytes") X(FILE, "file")

enum claim_field {
#define X(id, name) CLAIM_##id,
	CLAIM_FIELDS(X)
#undef X
	CLAIM_FIELD_COUNT,
	CLAIM_NONE = CLAIM_FIELD_COUNT
};

struct claim {
	int64_t line;
	char *fault;		/* why it is unreadable; then all of below may
				 * lack; owned */
	char ip[ENDPOINT_IP_MAX];
	int port;		/* -1: not claimed */
	char infohash[65];
	bool timed;		/* from and to are set */
	int64_t from_utc_ns, to_utc_ns;		/* to: of a session, or from */
	bool session, ends_first;	/* an end is given; before its start */
	int64_t step_ns;	/* how finely the time is written */
	int64_t pieces, bytes;	/* -1: not claimed */
	char *client, *file;	/* as written, NULL if not claimed; owned */
	char *text[4];		/* ip, port, time, infohash as written; owned */
	int64_t same;		/* line of an earlier row that is the same, 0 */
	size_t cells;		/* of the row, if more than columns, else 0 */
	int64_t at_once;	/* rows with this very time, itself included */
};

struct claimlist {
	struct claim *at;
	size_t n, readable;
	struct claimtable table;	/* how it was read; its text is gone */
	char *column[CLAIM_FIELD_COUNT];	/* as the table names it, or NULL */
	size_t columns, columns_unused;
	enum dateorder order;
	bool order_mixed, utc_named;	/* the column's name says UTC */
	bool whole_minutes;	/* nearly all times have no seconds */
};

struct claim_options {
	const char *const *map;		/* "THEIRS=OURS" */
	size_t maps;
	int32_t zone_s;			/* of times without one */
	enum dateorder order;		/* as told, or DATES_UNKNOWN */
};

/*
 * Reads the whole file. -1 with the reason logged (file, line or column named)
 * if it is no table of claims at all. Fini in any case.
 */
int claimlist_read(struct claimlist *c, const char *file, struct span bytes,
    const struct claim_options *o);
void claimlist_fini(struct claimlist *c);

#endif
