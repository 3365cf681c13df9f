/*
 * Where peers that find us knock: one listening TCP socket per address family.
 */
#ifndef MONITOR_LISTENER_H
#define MONITOR_LISTENER_H

#include <uv.h>

#include "wire/endpoint.h"

struct listener {
	uv_poll_t poll;
	uv_timer_t rest;	/* after the process ran out of descriptors */
	unsigned rests;		/* so far */
	int fd;			/* -1: not listening */
	void *ctx;
	/* A connection: fd is the callee's, non-blocking. */
	void (*accepted)(void *ctx, int fd, const struct endpoint *from,
	    const struct endpoint *local);
};

/*
 * Binds to at (its address may be zero: any; IPv6 sockets take IPv6 only) and
 * listens. ctx and accepted are set by the caller before. 0, or -1 with errno.
 */
int listener_open(struct listener *l, uv_loop_t *loop,
    const struct endpoint *at);

/* Stops; the struct must live until the loop has closed its handles. */
void listener_close(struct listener *l);

#endif
