/* Times and their bounds as reports print them: ISO 8601, UTC. */
#ifndef REPORT_WHEN_H
#define REPORT_WHEN_H

#include <stdint.h>

#define WHEN_MAX 40
#define BOUND_UNKNOWN (-1)

/*
 * "2026-01-01T00:00:00Z"; with three decimals if the clock's bound is known
 * and below a second: a digit is printed only where the clock carried it.
 * Truncated, never rounded up. Returns buf.
 */
const char *when_text(int64_t utc_ns, int64_t bound_ns, char buf[WHEN_MAX]);
/* All nine decimals, for machines. */
const char *when_exact(int64_t utc_ns, char buf[WHEN_MAX]);

/* "± 12 ms", rounded up; "± unknown". */
const char *when_bound(int64_t bound_ns, char buf[WHEN_MAX]);

/* "1 h 02 min 03 s", "3.5 s". */
const char *when_span(int64_t ns, char buf[WHEN_MAX]);

#endif
