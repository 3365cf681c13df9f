/*
 * The `clock` record: what a source says of this host's clock.
 */
#ifndef SCHEMA_CLOCKLOG_H
#define SCHEMA_CLOCKLOG_H

#include "schema/json.h"

struct clock_said {
	const char *source, *outcome;
	const char *server, *error;	/* or NULL */
	bool has_offset, has_delay, has_dispersion, has_stratum, has_sync, sync;
	int64_t offset_ns, delay_ns, dispersion_ns, stratum;
	int64_t bound_ns;	/* -1: unknown */
};

/* The kernel's own view: ntp_adjtime(3). */
struct clock_said clocklog_kernel(void);

/* Its detail, without the closing brace. */
void clocklog_detail(const struct clock_said *s, struct json *j);

#endif
