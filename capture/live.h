/*
 * Packets of others, recorded as they pass an interface of this host: a run
 * whose savefiles are evidence, dissected meanwhile if that is wanted.
 */
#ifndef CAPTURE_LIVE_H
#define CAPTURE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/import.h"

#define LIVE_BUFFER_MIB 128	/* of the kernel's ring */
#define LIVE_DISSECT_S 10	/* dissected savefiles are at most so old */

struct live_conf {
	struct import_conf import;	/* all but the files */
	const char *interface;
	const char *filter;	/* pcap-filter text, or NULL */
	int64_t duration_s;	/* 0: until a signal */
	bool dissect;		/* records of each savefile once it is done */
	const char *on_checkpoint;	/* shell command, or NULL */
};

/* Exit status: 0, or 1 with the reason logged (nothing is allowed to record,
 * the recorder ended by itself, the ledger could not be kept). */
int live_run(const struct live_conf *conf);

#endif
