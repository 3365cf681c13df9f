/*
 * Jumps of the clocks between two readings: the wall clock was set, or the host
 * slept. CLOCK_MONOTONIC does neither; CLOCK_BOOTTIME goes on in sleep.
 */
#ifndef MONITOR_JUMP_H
#define MONITOR_JUMP_H

#include <stdint.h>

#define JUMP_LEAST_NS 50000000	/* less is noise of the reading */

/* Read one right after the other. */
struct jump_clocks {
	int64_t mono_ns, wall_ns, boot_ns;
};

/* How long the host slept, and by how much the wall clock was set beside that
 * (positive: forward); 0 where there is nothing to tell. */
void jump_between(const struct jump_clocks *before,
    const struct jump_clocks *after, int64_t *slept_ns, int64_t *stepped_ns);

#endif
