/*
 * When which tracker is asked (BEP 12), as arithmetic: the clock and the
 * random numbers are the caller's.
 *
 * A walk goes through trackers in order, tier by tier, until one answers; the
 * one that did moves to the front of its tier and its interval decides when
 * the walk begins again. A private torrent has one walk over all its tiers,
 * as BEP 12 and 27 say: one tracker at a time. Any other has one walk per
 * tier, as many clients do, because an observer wants to see what every tier
 * knows.
 */
#ifndef MONITOR_TIER_H
#define MONITOR_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIER_INTERVAL_S 1800		/* where a tracker names none */
#define TIER_INTERVAL_LEAST_S 60
#define TIER_INTERVAL_MOST_S 86400
#define TIER_BACKOFF_S 15		/* doubles with each failure in a row */
#define TIER_BACKOFF_MOST_S 3600

struct tier_slot {
	unsigned tier;
	unsigned id;		/* the caller's */
	unsigned failures;	/* in a row */
	int64_t after_ns;	/* not asked before, having failed */
};

struct tier_walk {
	struct tier_slot *slots;	/* lent; kept in the order to ask */
	size_t n;
	int64_t due_ns;
	bool asking;
};

/* slots come in tier order. Each tier is shuffled with rnd, n numbers. */
void tier_init(struct tier_walk *w, struct tier_slot *slots, size_t n,
    const uint32_t *rnd, int64_t now_ns);

/* When tier_next has something; INT64_MAX while one is being asked. */
int64_t tier_due(const struct tier_walk *w);

/* Whom to ask now: the slot's id in *id, or false. Then report one of: */
bool tier_next(struct tier_walk *w, int64_t now_ns, unsigned *id);
/* it answered, naming these (-1: not), */
void tier_ok(struct tier_walk *w, unsigned id, int64_t interval_s,
    int64_t min_interval_s, int64_t now_ns);
/* or it failed; retry_s is the interval of a refusal that named one, or -1. */
void tier_failed(struct tier_walk *w, unsigned id, int64_t retry_s,
    int64_t now_ns);

/* What we wait after such an answer, in seconds. */
int64_t tier_interval(int64_t interval_s, int64_t min_interval_s);

#endif
