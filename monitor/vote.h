/*
 * Which address of ours others see: each address that answers us has one vote
 * in a round (BEP 42's "ip"). Pure.
 */
#ifndef MONITOR_VOTE_H
#define MONITOR_VOTE_H

#include "wire/endpoint.h"

#define VOTE_VOTERS 64u		/* then a new round begins */
#define VOTE_SAID 8u		/* different addresses counted */
#define VOTE_LEAST 3u		/* votes that a majority takes at least */

struct vote {
	struct endpoint voter[VOTE_VOTERS];
	unsigned voters;
	struct {
		struct endpoint at;
		unsigned n;
	} said[VOTE_SAID];
};

/* voter says that it saw us at says. True, with *winner (without port): more
 * than half of those who voted agree, and three at least. Start zeroed. */
bool vote_cast(struct vote *v, const struct endpoint *voter,
    const struct endpoint *says, struct endpoint *winner);

#endif
