/*
 * By how much the observer's clock can have been off during a run, from its
 * `clock` records in order. Time sources give bounds, of which the widest
 * counts, because a time stands between two answers. A step of the clock that
 * no source answered before, or none after, widens it by as much: on that side
 * nobody measured.
 */
#ifndef REPORT_CLOCKBOUND_H
#define REPORT_CLOCKBOUND_H

#include <stdint.h>

/* Zero it first. */
struct clockbound {
	int64_t asked, answered;	/* questions; those that gave a bound */
	int64_t steps, suspends;
	int64_t widest_ns;	/* of the answers */
	int64_t open_ns;	/* steps since the last answer */
	int64_t apart_ns;	/* steps that stay unmeasured on a side */
};

/* source: of the record; NULL or another than "step" and "suspend": a time
 * source was asked. offset_ns: of the step. bound_ns below zero: none given. */
void clockbound_add(struct clockbound *b, const char *source,
    int64_t offset_ns, int64_t bound_ns);

/* The bound in ns, or -1 (BOUND_UNKNOWN): no source ever gave one. */
int64_t clockbound_ns(const struct clockbound *b);

#endif
