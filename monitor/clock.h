/*
 * The clock ledger: what the kernel says of its clock, what SNTP servers say
 * of ours (RFC 4330), steps and suspends; and stalls, during which time-outs
 * prove nothing.
 */
#ifndef MONITOR_CLOCK_H
#define MONITOR_CLOCK_H

#include <uv.h>

#include "schema/record.h"

struct clockwatch;

struct clockwatch_conf {
	uv_loop_t *loop;
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	const char *const *ntp;	/* HOST or HOST:PORT or [v6]:PORT */
	size_t ntps;
	int every_s;		/* 0: 300 for servers, 60 for the kernel */
	uint16_t ports_from, ports_to;	/* local ports to bind into */
};

/* Records the kernel's state at once, asks the servers, then on its timers.
 * NULL: out of memory. */
struct clockwatch *clockwatch_new(const struct clockwatch_conf *conf);

/*
 * The time a wait began until now: was any of it spent in a stall (the loop
 * late by more than 250 ms, the queue full, the kernel dropping datagrams)?
 */
bool clockwatch_stalled(const struct clockwatch *c, int64_t since_mono_ns);

/* The caller noticed a stall itself: records it. cause: "queue", "udp". */
void clockwatch_stall(struct clockwatch *c, const char *cause,
    int64_t from_utc_ns, int64_t to_utc_ns, int64_t lag_ns, int64_t dropped);

/*
 * The current bound on |our clock - UTC| in ns, or -1: unknown. The median of
 * the servers' bounds, each grown by 100 ppm since its answer, so that one
 * server that is wrong does not decide; or the kernel's, if that is wider or
 * nothing else is known. A step of the clock, or the host's sleep, voids what
 * servers said before, and they are asked anew.
 */
int64_t clockwatch_bound(const struct clockwatch *c);

/* A last round before `end`: kernel and servers once more (those not asked in
 * the last 15 seconds), bounded by wait_ms; closes its handles, then done(ctx),
 * from the loop. clockwatch_free then, or in done itself. */
void clockwatch_stop(struct clockwatch *c, int wait_ms,
    void (*done)(void *ctx));
void clockwatch_free(struct clockwatch *c);

#endif
