/*
 * What the kernel allows a run: descriptors.
 */
#ifndef MONITOR_LIMITS_H
#define MONITOR_LIMITS_H

#include "monitor/options.h"

/* A descriptor for each connection, and some for the rest: raises the limit,
 * and lowers --max-connections to it. -1 logged: too few for anything. */
int limits_raise(struct options *o);

#endif
