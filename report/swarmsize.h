/*
 * How large a swarm may be: capture and recapture out of who named endpoints,
 * or why no estimate is given.
 */
#ifndef REPORT_SWARMSIZE_H
#define REPORT_SWARMSIZE_H

#include "report/composition.h"

/* Fills what composition.h has of it. -1 logged. */
int swarmsize_read(struct composition *m, const struct facts *c,
    const char *swarm);

#endif
