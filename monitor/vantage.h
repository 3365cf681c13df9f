/*
 * Where we stand: this host's addresses, and which of them a run uses.
 */
#ifndef MONITOR_VANTAGE_H
#define MONITOR_VANTAGE_H

#include "monitor/options.h"

#define VANTAGE_MAX 64

struct vantage {
	struct endpoint at[VANTAGE_MAX];	/* all of the host's, port 0 */
	size_t n;
	struct endpoint bind4, bind6;	/* to bind to; family 0: not used */
	/* Those that our packets bear. */
	struct endpoint local[VANTAGE_MAX];
	size_t locals;
	bool more;			/* than there is room for */
};

/* By --bind, where given. No address at all is no error: n is 0. */
void vantage_find(struct vantage *v, const struct options *o);

/* One more address of ours; false if it is known, or there is no room. */
bool vantage_use(struct vantage *v, const struct endpoint *e);
/* Whether one of the addresses that our packets bear; port aside. */
bool vantage_is_local(const struct vantage *v, const struct endpoint *e);

#endif
