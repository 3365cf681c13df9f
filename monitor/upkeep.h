/*
 * What a long run needs besides observing: whom it must not contact, room on
 * the disk, numbers for whoever looks after it.
 */
#ifndef MONITOR_UPKEEP_H
#define MONITOR_UPKEEP_H

#include "monitor/account.h"
#include "monitor/metrics.h"

struct upkeep {
	struct blocklist blocked;
	struct disk disk;
	struct metrics metrics;
	bool ended_early;	/* for want of room */
	void *ctx;
	/* The run must end, for this reason. */
	void (*end)(void *ctx, const char *why);
};

/* Reads the blocklists, their digests into the account. -1: each fault was
 * logged. */
int upkeep_read(struct upkeep *u, const struct options *o, struct account *a);

/* For book_conf and datagrams_conf. */
bool upkeep_blocked(void *upkeep, const struct endpoint *at, bool incoming);

/* ctx and end are set by the caller before. */
void upkeep_start(struct upkeep *u, uv_loop_t *loop, const struct options *o,
    const struct status *status, const struct account *a);
/* Records what the blocklists did; the last metrics. */
void upkeep_end(struct upkeep *u, struct account *a);
void upkeep_fini(struct upkeep *u);

#endif
