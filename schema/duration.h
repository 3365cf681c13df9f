/*
 * Times as options give them.
 */
#ifndef SCHEMA_DURATION_H
#define SCHEMA_DURATION_H

#include <stdint.h>

#define DURATION_MOST (36525LL * 86400)	/* a century: fits in ns, too */

/* "90", "90s", "30m", "12h", "2d" in seconds, at most DURATION_MOST; -1 for
 * anything else. */
int64_t duration_s(const char *text);

#endif
