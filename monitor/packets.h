/*
 * The packets of a run: the recorder's child process, its savefiles on record,
 * and those that a killed run left.
 */
#ifndef MONITOR_PACKETS_H
#define MONITOR_PACKETS_H

#include <uv.h>

#include "capture/filter.h"
#include "capture/packetlog.h"
#include "monitor/options.h"
#include "monitor/vantage.h"

struct packets {
	const struct options *options;
	const struct vantage *vantage;
	struct runlog *run;	/* NULL: it has not begun */
	struct recorder *recorder;	/* NULL: nothing is captured */
	struct recorder_file *left;	/* of killed runs */
	size_t left_count;
	char filter[CAPTURE_FILTER_MAX];
	char why[256];			/* there is no recorder */
	uv_poll_t savefiles;
	uv_timer_t look;
	bool watching;
	struct vantage unseen;		/* addresses that came later */
};

/* Forks: before any thread or socket. What is missing is said by the log now
 * and by packets_account on record. */
void packets_start(struct packets *p, const struct options *o,
    const struct vantage *v, const struct casedir *dir, uint16_t listen, int ring_mib);

/* Records what killed runs left, and why there are no packets, if so. */
void packets_account(struct packets *p, struct runlog *run);

/* Takes finished savefiles as they come. */
void packets_watch(struct packets *p, uv_loop_t *loop);

/* Ends the capture and records its last savefile. The loop need not run. */
void packets_end(struct packets *p);
void packets_free(struct packets *p);

#endif
