/*
 * What a swarm was made of, and how that changed: one chart for each view, and
 * an estimate of its size where the evidence allows one.
 */
#ifndef REPORT_COMPOSITION_H
#define REPORT_COMPOSITION_H

#include "report/chart.h"
#include "report/estimate.h"
#include "report/page.h"

enum view {
	VIEW_LEVELS,		/* endpoints by level */
	VIEW_PRESENT,		/* over time, by level */
	VIEW_MOVES,		/* first and last seen, over time */
	VIEW_HELD,		/* seeds, partial holders by what they claim */
	VIEW_CLIENTS,
	VIEW_COUNTRIES,
	VIEW_NETWORKS,
	VIEW_SOURCES,		/* who named them, and overlap */
	VIEW_REACHED,		/* reachable or not */
	VIEW_TRANSPORTS,
	VIEW_ENCRYPTION,
	VIEWS
};

struct composition {
	struct chart view[VIEWS];
	/* Capture-recapture: two counts, what they are, and what follows. */
	char first[64], second[64];	/* "named by trackers" */
	int64_t a, b, both;
	int64_t from_utc_ns, to_utc_ns;
	char *count_sql, *window_sql;	/* the queries behind these; owned */
	bool estimated;
	struct estimate_size size;
	char refusal[300];		/* why there is no estimate */
};

/* Once for a case with these databases, before the rest; of one swarm, or of
 * all (NULL). -1 logged. */
int composition_prepare(const struct facts *c, const struct geo *geo,
    const char *swarm);

/* Of one swarm; fini in any case. -1 logged. */
int composition_read(struct composition *m, const struct subject *s,
    const struct facts *c, const char *swarm);
/* Whether a view's CSV is named so: "-levels.csv". */
bool composition_file(const char *name);
void composition_fini(struct composition *m);

#endif
