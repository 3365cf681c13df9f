/*
 * The records about one address, in order, each with a sentence that says what
 * it holds: the chronology of an address record.
 */
#ifndef REPORT_TELL_H
#define REPORT_TELL_H

#include "report/endpoints.h"

struct told {
	int64_t seq, utc_ns, conn;	/* conn -1: hearsay, no conversation */
	const char *kind, *swarm, *ip;	/* lent until the next; may be NULL */
	int port;
	const char *by;			/* "peer", "us", or NULL */
	const char *text;		/* holds texts of strangers */
};

struct tell {
	const struct facts *facts;
	struct rows rows;
};

/* of->ip is set, and lent. */
void tell_open(struct tell *t, const struct facts *c,
    const struct endpoints_of *of, const char *swarm);
bool tell_next(struct tell *t, struct told *r);
int tell_close(struct tell *t);	/* -1 if anything failed */

#endif
