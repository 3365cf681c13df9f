/*
 * UDP trackers (BEP 15, 41): one socket per address family, connection ids
 * kept a minute per tracker address, requests repeated after 15, 30 and 60
 * seconds' silence. (BEP 15 would go on to n = 8, two hours; three tries and
 * then the tiers' backoff ask a dead tracker no more often, and say sooner
 * that it is one.)
 *
 * An answer counts only if it comes from the address that was asked and bears
 * the random transaction id; others are ignored, and counted.
 */
#ifndef MONITOR_UDPTRACK_H
#define MONITOR_UDPTRACK_H

#include <uv.h>

#include "schema/exchange.h"
#include "wire/tracker.h"

#define UDPTRACK_TRIES 3
#define UDPTRACK_WAIT_S 15	/* doubles */

struct udptrack;
struct udp_ask;

struct udptrack_conf {
	uv_loop_t *loop;
	struct endpoint bind4, bind6;
	uint16_t ports_from, ports_to;
	bool allow_local;
};

/* *conf is copied. NULL on out of memory. */
struct udptrack *udptrack_new(const struct udptrack_conf *conf);

/*
 * Asks host:port over family 4 or 6. ask: announce, with path for BEP 41; its
 * trackerid is not used. infohash without ask: scrape. done is called once,
 * not before return; x->body is then the whole datagram, whose transaction id
 * was checked and whose action is announce (scrape) or error, unless it is
 * malformed. NULL: out of memory.
 */
struct udp_ask *udptrack_ask(struct udptrack *u, const char *host,
    uint16_t port, int family, const struct tracker_ask *ask, struct span path,
    const uint8_t infohash[20], exchange_fn *done, void *ctx);

/* Waits no longer: calls done with EXCHANGE_TIMEOUT and why. */
void udptrack_give_up(struct udp_ask *a, const char *why);

/* Drops what is left without a word; closed(ctx) when the loop has let go, and
 * u is gone. */
void udptrack_close(struct udptrack *u, void (*closed)(void *ctx), void *ctx);

#endif
