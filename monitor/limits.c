#include "monitor/limits.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "schema/log.h"

#define SPARE_FDS 64

/* The kernel's table of descriptors doubles as they are taken and never
 * shrinks. Once threads share it each doubling waits, some 10 ms in which
 * nobody is heard, until no processor can be reading the old one: so it gets its
 * size while there is but this thread. */
static void make_table(unsigned fds)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)fds - 1);

	if (fd >= 0)
		close(fd);
}

int limits_raise(struct options *o)
{
	struct rlimit lim;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur == RLIM_INFINITY ||
	    o->max_connections + SPARE_FDS <= lim.rlim_cur) {
		make_table(o->max_connections + SPARE_FDS);
		return 0;
	}
	if (lim.rlim_cur < 2 * SPARE_FDS) {
		log_warn("only %llu descriptors are allowed (ulimit -n), too "
		    "few: %d are the least", (unsigned long long)lim.rlim_cur,
		    2 * SPARE_FDS);
		return -1;
	}
	o->max_connections = (unsigned)(lim.rlim_cur - SPARE_FDS);
	make_table((unsigned)lim.rlim_cur);
	log_warn("--max-connections is %u: no more descriptors",
	    o->max_connections);
	return 0;
}
