/*
 * What a case holds about one address: findings, one for each swarm, port and
 * UTC day, because addresses change hands; each with its statements, files
 * received and conversations.
 */
#ifndef REPORT_ADDRESS_H
#define REPORT_ADDRESS_H

#include "report/endpoints.h"
#include "report/frames.h"
#include "report/received.h"
#include "report/statement.h"
#include "wire/endpoint.h"

struct finding {
	char swarm[65];
	char *name;			/* of the torrent, as it says; hostile */
	int64_t torrent_bytes;		/* -1 unknown */
	struct endpoint_row row;	/* ip and utc_day are the finding's own */
	char ip[ENDPOINT_IP_MAX], utc_day[11];
	int64_t from_utc_ns, to_utc_ns;	/* the day; to: exclusive */
	struct talk *talk;
	size_t talks;
	char *rows_sql;			/* the query that row came from */
	struct statements said;
	struct received received;
};

struct address {
	const struct facts *facts;	/* lent */
	struct finding *at;		/* by swarm, day, port */
	size_t n;
	struct frames frames;		/* of all its conversations */
};

/* endpoints_prepare for this address comes first. of->ip is set; swarm: only
 * this one, or NULL; packets: savefiles are searched. -1 logged. */
int address_read(struct address *a, const struct facts *c,
    const struct endpoints_of *of, const char *swarm, bool packets);
void address_free(struct address *a);

/* Whether the case names the address at all, in any swarm, on any day. */
bool address_known(const struct facts *c, const char *ip);

#endif
