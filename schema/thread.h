/*
 * Threads of ours beside the main one, whose signals they do not take.
 */
#ifndef SCHEMA_THREAD_H
#define SCHEMA_THREAD_H

#include <pthread.h>

/* Runs call(arg) with every signal blocked. 0, or pthread_create's error. */
int thread_start(pthread_t *thread, void *(*call)(void *), void *arg);

#endif
