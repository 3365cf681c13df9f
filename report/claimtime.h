/*
 * Times as other people's tables write them. Pure: nothing is guessed here; a
 * text is read in one way, or in two (which of day and month comes first), or
 * refused with the reason.
 *
 *	2026-01-31T23:59:59.5Z  2026-01-31 23:59 +0100  2026/01/31 23:59:59
 *	20260131T235959Z        1/31/2026 11:59:59 PM   31.01.2026 23:59:59
 *	31-Jan-2026 23:59:59    Jan 31, 2026 11:59 PM   1769903999[.5]
 *	1769903999000 (ms)      1769903999000000 (us)
 */
#ifndef REPORT_CLAIMTIME_H
#define REPORT_CLAIMTIME_H

#include "wire/cur.h"

#define CLAIMTIME_DAY_NS 86400000000000LL

enum dateorder {
	DATES_UNKNOWN,
	DATES_MDY,
	DATES_DMY
};

struct claimtime {
	int year, first, second;	/* the two numbers beside the year */
	bool numeric;	/* first and second may be day and month, or month
			 * and day; else first is the month */
	bool dotted;	/* 31.01.2026: the day comes first */
	int64_t of_day_ns;
	int64_t step_ns;	/* 1 s, 60 s where no seconds are given, and
				 * so on: how finely it was written */
	bool epoch;	/* utc_ns is set, nothing else */
	int64_t utc_ns;
	bool has_zone;
	int32_t zone_s;		/* east of UTC */
};

/* NULL, or why it cannot be read: a constant sentence. */
const char *claimtime_read(struct span text, struct claimtime *t);

/* Which order this one text shows by itself, if any. */
enum dateorder claimtime_order(const struct claimtime *t);

/*
 * Nanoseconds since 1970, UTC, of a time on a clock zone_s east of UTC (its
 * own zone comes first). NULL, or why not. order matters to numeric ones.
 */
const char *claimtime_utc(const struct claimtime *t, enum dateorder order,
    int32_t zone_s, int64_t *utc_ns);

/* "UTC", "Z", "+02:00", "-0530", "+2": seconds east of UTC; false if none. */
bool claimtime_zone(struct span text, int32_t *zone_s);

#endif
