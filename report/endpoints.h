/*
 * The endpoints of a swarm as reports list them: one row for an address, port
 * and UTC day, the highest level first, in one stable order. A port that a
 * third party only listed stands as a row of its own where nobody connected.
 */
#ifndef REPORT_ENDPOINTS_H
#define REPORT_ENDPOINTS_H

#include "report/facts.h"
#include "report/ladder.h"
#include "report/rows.h"

#define ENDPOINT_CONNS 3	/* record numbers shown */

struct endpoint_row {
	const char *ip, *utc_day;	/* lent until the next row */
	int port, level;
	bool listed_only;		/* no connection was tried that day */
	int64_t first_utc_ns, last_utc_ns, bound_ns;
	int64_t contacts;		/* conversations of that day */
	int64_t named, sources;		/* how often that day; by how many ever */
	int64_t first_seq;		/* the record that named it, -1 */
	bool dialled, came;
	int listen_port;		/* as it said; 0: it did not */
	char client[256];		/* as it said, of the newest; "" */
	int64_t claimed, total;		/* -1: no claim that day, not known */
	bool claimed_else;		/* the claim was made on another day */
	int64_t matched, failed, incomplete;	/* pieces, that day */
	int64_t conn[ENDPOINT_CONNS];
	int conns;			/* of those filled */
	unsigned cautions;		/* caution_bit()s */
};

struct endpoints {
	const struct facts *facts;
	struct rows rows;
	sqlite3_stmt *talks, *ids;
	const char *swarm;
};

/* s (swarm): every swarm that has endpoints. They are few and endpoints many,
 * so the index by swarm is stepped over. */
#define SWARM_STEPS \
	"WITH RECURSIVE s (swarm) AS (SELECT min(swarm) FROM endpoint UNION " \
	"ALL SELECT (SELECT min(e.swarm) FROM endpoint AS e WHERE e.swarm > " \
	"s.swarm) FROM s WHERE s.swarm IS NOT NULL)"

/* Which rows: those of one address, one port of it (remote, or said to be
 * listened on), and days; NULL, -1: any. */
struct endpoints_of {
	const char *ip;
	int port;
	const char *from_day, *to_day;	/* YYYY-MM-DD, both included */
};

/* Once for a case, before the rest; of and swarm may be NULL: all. -1
 * logged. */
int endpoints_prepare(const struct facts *c, const struct endpoints_of *of,
    const char *swarm);

/* Rows that stand in tables, ?1 being the swarm: endpoints that were tried, and
 * those that were only named that day. */
#define ENDPOINTS_STAND \
	"(e.port_kind = 'remote' OR e.port_kind = 'listed' AND NOT EXISTS " \
	"(SELECT 1 FROM endpoint AS r WHERE r.swarm = e.swarm AND r.ip = " \
	"e.ip AND r.port = e.port AND r.port_kind = 'remote' AND r.utc_day = " \
	"e.utc_day)) "
#define ENDPOINTS_LISTED \
	"FROM endpoint AS e WHERE e.swarm = ?1 AND " ENDPOINTS_STAND
#define ENDPOINTS_BY_LEVEL \
	"SELECT e.level, count(*) " ENDPOINTS_LISTED "GROUP BY e.level"
#define ENDPOINTS_ADDRESSES \
	"SELECT count(DISTINCT ip) FROM endpoint WHERE swarm = ?1"

/* Rows of each level, over[0 .. LADDER_TOP]; and distinct addresses. */
int endpoints_count(const struct facts *c, const char *swarm,
    int64_t over[LADDER_TOP + 1], int64_t *addresses);

/* swarm is lent until the close; of, which may be NULL, is not. */
void endpoints_open(struct endpoints *e, const struct facts *c,
    const char *swarm, const struct endpoints_of *of);
bool endpoints_next(struct endpoints *e, struct endpoint_row *r);
int endpoints_close(struct endpoints *e);

/* The query of the rows, by which sqlite3 gives the same ones, those of one
 * level in the order of their addresses' texts; and that of the conversations
 * they tell of. To be freed; NULL if it fails. */
char *endpoints_rows_sql(const struct endpoints *e);
char *endpoints_talks_sql(const struct endpoints *e);

#endif
