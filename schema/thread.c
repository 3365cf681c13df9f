#include "schema/thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*call)(void *), void *arg)
{
	sigset_t all, was;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	error = pthread_create(thread, NULL, call, arg);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return error;
}
