/*
 * Memory per connected idle peer. Run as it is, this hands over to idle.py,
 * which brings up the peers and measures; run with "monitor ..." it is the
 * monitor, and says on stdout at each SIGUSR2 how many bytes of heap are in
 * use, which no look from outside can tell from what the allocator keeps.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/run.h"

static void *tell(void *set)
{
	int number;

	while (sigwait(set, &number) == 0) {
		struct mallinfo2 m = mallinfo2();

		printf("used %zu\n", m.uordblks + m.hblkhd);
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static sigset_t set;
	pthread_t thread;

	if (argc < 2 || strcmp(argv[1], "monitor") != 0) {
		execlp("python3", "python3", "tests/bench/idle.py", argv[0],
		    (char *)NULL);
		perror("python3");
		return 1;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, tell, &set) != 0)
		return 1;
	return monitor_main(argc - 1, argv + 1);
}
