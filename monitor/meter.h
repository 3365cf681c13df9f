/*
 * How much may be read: so many bytes a second, a quarter of a second's worth
 * saved up at most. A read may run into debt, which is paid first, so that
 * over any time no more comes in than that time's worth, what was saved up and
 * one read. Pure.
 */
#ifndef MONITOR_METER_H
#define MONITOR_METER_H

#include <stdint.h>

#define METER_MOST 8000000000	/* so that a second's worth in ns fits */

struct meter {
	int64_t per_s;		/* bytes, at most METER_MOST; 0: no bound */
	int64_t left;		/* in bytes; below 0: debt */
	int64_t paid_ns;	/* up to here, what time gives is in left */
};

void meter_init(struct meter *m, int64_t per_s, int64_t now_ns);
/* Bytes that may be read now; 0 or less: none. */
int64_t meter_left(struct meter *m, int64_t now_ns);
void meter_take(struct meter *m, int64_t bytes);

#endif
