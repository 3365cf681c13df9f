/*
 * Whether one shift of all claimed times, a zone or a clock that is off,
 * would make most claims fit the evidence. It is said, and never applied.
 */
#ifndef REPORT_SHIFT_H
#define REPORT_SHIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIFT_MOST_NS (26LL * 3600 * 1000000000)

/* A claim fits if its time is moved by any of [from, to]. */
struct shift_in {
	int64_t from_ns, to_ns;
	size_t claim;
};

struct shift {
	bool found;
	int64_t by_ns;		/* a quarter of an hour's multiple if one does,
				 * else the middle */
	int64_t least_ns, most_ns;	/* as good between these */
	bool zone;		/* by_ns is a multiple of a quarter of an hour */
	size_t fit, fit_now;	/* claims that fit then, and as they stand */
	size_t of;		/* claims that some shift would make fit */
};

/* Sorts in place. found only if at least three claims fit, more than half of
 * all that any shift would help, and more than twice as many as now. */
void shift_find(struct shift_in *in, size_t n, struct shift *out);

#endif
