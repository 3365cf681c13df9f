/*
 * How the run goes, for the operator: rows that renew themselves on a terminal,
 * a line every half minute elsewhere.
 */
#ifndef MONITOR_STATUS_H
#define MONITOR_STATUS_H

#include "capture/recorder.h"
#include "monitor/clock.h"
#include "monitor/crowd.h"
#include "monitor/finders.h"
#include "monitor/trackers.h"

struct status {
	uv_timer_t timer;
	const struct crowd *crowd;
	const struct trackers *trackers;
	const struct finders *finders;
	const struct ledger *ledger;
	const struct clockwatch *clock;
	struct recorder *const *recorder;	/* *recorder NULL: no packets */
	bool live;		/* a terminal looks on */
	int64_t last_ns, last_rx, last_records;
};

/* The pointers are set by the caller before. */
void status_start(struct status *s, uv_loop_t *loop);

/* A line now. */
void status_say(struct status *s);

#endif
