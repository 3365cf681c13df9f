/*
 * The ladder: what each level of evidence about an endpoint shows, and what
 * it does not. Every report takes its words from here and from nowhere else,
 * so that none can say more than was observed.
 */
#ifndef REPORT_LADDER_H
#define REPORT_LADDER_H

#define LADDER_TOP 5

struct ladder {
	const char *name;
	const char *observed;	/* a sentence about "it", the endpoint */
	const char *not_shown;	/* completes "This does not show ..." */
};

/* level 0 .. LADDER_TOP; anything else counts as the nearest. */
const struct ladder *ladder_at(long long level);

/* What no level shows. */
extern const char ladder_never[];

#endif
