/*
 * The records about one address, in order, each with a sentence that says what
 * it holds: the chronology of an address record.
 */
#ifndef REPORT_TELL_H
#define REPORT_TELL_H

#include "report/endpoints.h"
#include "report/frames.h"

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
/* The packet that brought it: the last that the address sent no later. NULL if
 * it sent nothing by this record, or no packets are kept. */
const struct frame *tell_packet(const struct told *r,
    const struct frames *frames, const char *ip);
int tell_close(struct tell *t);	/* -1 if anything failed */

#endif
