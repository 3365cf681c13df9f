/*
 * Room on the disk: a run that keeps evidence ends in order while there is
 * still some, rather than at the first write that fails.
 */
#ifndef MONITOR_DISK_H
#define MONITOR_DISK_H

#include <uv.h>

struct disk {
	uv_timer_t timer;
	const char *path;	/* the case */
	int64_t budget;		/* most bytes it may take; 0: any */
	int64_t spare;		/* least bytes left for others on its disk */
	int64_t used, free;	/* as last looked at */
	unsigned looks;
	void *ctx;
	/* Too little is left, for this reason: called once. */
	void (*full)(void *ctx, const char *why);
};

/* path, budget, spare, ctx and full are set by the caller before. Looks now,
 * and every second. */
void disk_watch(struct disk *d, uv_loop_t *loop);

#endif
