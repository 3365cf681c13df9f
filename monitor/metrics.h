/*
 * How the run goes, for machines: a file in Prometheus' text format (for the
 * node exporter's textfile collector), renewed every five seconds.
 */
#ifndef MONITOR_METRICS_H
#define MONITOR_METRICS_H

#include "monitor/blocklist.h"
#include "monitor/disk.h"
#include "monitor/status.h"

struct metrics {
	uv_timer_t timer;
	const char *file;
	char *hidden;		/* written whole, then renamed */
	const struct status *of;
	const struct disk *disk;
	const struct blocklist *blocked;
	int64_t began_utc_ns;
	bool told;		/* that it cannot be written */
};

/* file, of, disk, blocked and began_utc_ns are set by the caller before. */
void metrics_start(struct metrics *m, uv_loop_t *loop);
/* The last one. */
void metrics_end(struct metrics *m);

#endif
