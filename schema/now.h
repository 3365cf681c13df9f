/*
 * The time, asked for here and nowhere else: bytes are stamped once, on
 * arrival.
 */
#ifndef SCHEMA_NOW_H
#define SCHEMA_NOW_H

#include <time.h>

#include "schema/record.h"

#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll

static inline int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* UTC, and monotonic since boot (CLOCK_MONOTONIC: stands still in suspend). */
static inline struct stamp stamp_now(void)
{
	return (struct stamp){ clock_ns(CLOCK_REALTIME),
	    clock_ns(CLOCK_MONOTONIC) };
}

#endif
