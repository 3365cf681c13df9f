/*
 * Local service discovery (BEP 14): which hosts of our links say that they
 * have a torrent that we watch. To be heard of in return we say so too: each
 * swarm every five minutes, one datagram a minute at most. Private torrents
 * are never to be watched here.
 */
#ifndef MONITOR_LSD_H
#define MONITOR_LSD_H

#include <uv.h>

#include "monitor/sock.h"
#include "schema/record.h"

#define LSD_HASHES 2
#define LSD_PER_ADDRESS 10u	/* datagrams heard of one address a minute */
#define LSD_PER_MINUTE 300u	/* and of all */

struct lsd;
struct lsd_swarm;

struct lsd_conf {
	uv_loop_t *loop;
	const char *interface;		/* NULL: all that take multicast */
	struct endpoint bind4, bind6;	/* family 0: not used; an address that
					 * is not zero: its interface only */
	uint16_t port;			/* where we listen */
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	/* A host of the link says it has a swarm's torrent. */
	void (*peer)(void *ctx, void *swarm_ctx, const struct endpoint *at);
};

/* NULL with the reason logged: no memory, no interface, or no socket. */
struct lsd *lsd_new(const struct lsd_conf *conf);

/* NULL: out of memory. */
struct lsd_swarm *lsd_watch(struct lsd *l, const char *swarm,
    const uint8_t (*hash)[20], int hashes, void *swarm_ctx);
void lsd_unwatch(struct lsd_swarm *s);

/* Closes its handles; lsd_free when the loop has. */
void lsd_stop(struct lsd *l);
void lsd_free(struct lsd *l);

#endif
