#include "monitor/limits.h"

#include <signal.h>
#include <sys/resource.h>

#include "schema/log.h"

#define SPARE_FDS 64

int limits_raise(struct options *o)
{
	struct rlimit lim;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur == RLIM_INFINITY ||
	    o->max_connections + SPARE_FDS <= lim.rlim_cur)
		return 0;
	if (lim.rlim_cur < 2 * SPARE_FDS) {
		log_warn("only %llu descriptors are allowed (ulimit -n), too "
		    "few: %d are the least", (unsigned long long)lim.rlim_cur,
		    2 * SPARE_FDS);
		return -1;
	}
	o->max_connections = (unsigned)(lim.rlim_cur - SPARE_FDS);
	log_warn("--max-connections is %u: no more descriptors",
	    o->max_connections);
	return 0;
}
