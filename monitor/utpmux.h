/*
 * All uTP conversations (BEP 29) on the UDP sockets that they share with the
 * DHT: which datagram is whose, when each is due, who may begin one. Each is
 * a stream.
 *
 * A SYN's source address may be forged, so an accepted conversation is heard,
 * and `opened` called, only once the far end acknowledged a random number of
 * ours; few may be so far unproven at a time. Nothing sent to an unproven
 * address is longer, or more often sent, than what it sent.
 */
#ifndef MONITOR_UTPMUX_H
#define MONITOR_UTPMUX_H

#include <uv.h>

#include "monitor/datagram.h"
#include "monitor/stream.h"

struct utpmux;

struct utpmux_conf {
	uv_loop_t *loop;
	struct datagrams *udp;
	struct endpoint bind4, bind6;	/* as the sockets are bound */
	uint16_t port;
	void *ctx;
	/* May a conversation of this address begin now? */
	bool (*admit)(void *ctx, const struct endpoint *from);
	/* It began; the stream is the callee's, who starts or closes it. */
	void (*accepted)(void *ctx, struct stream *s,
	    const struct endpoint *from, const struct endpoint *local);
};

/* NULL: no memory. */
struct utpmux *utpmux_open(const struct utpmux_conf *conf);

/* A conversation that stream_start dials. NULL with errno. */
struct stream *utpmux_dial(struct utpmux *m, const struct endpoint *at);

/* Nobody may begin one any more. Those that are left end in order until the
 * loop is closed. */
void utpmux_stop(struct utpmux *m);
/* After the loop has closed its handles. NULL is allowed. */
void utpmux_free(struct utpmux *m);

#endif
