/*
 * The one UDP socket per address family, on the listening port, that the DHT
 * and uTP share. What arrives is stamped by the kernel and goes, by its
 * structure, to whoever takes that kind; what no one takes is counted. What
 * the kernel drops, or does not take from us, is lost, and counted too.
 */
#ifndef MONITOR_DATAGRAM_H
#define MONITOR_DATAGRAM_H

#include <uv.h>

#include "monitor/sock.h"

enum datagram_kind {
	DATAGRAM_DHT,		/* a bencoded dictionary (BEP 5) */
	DATAGRAM_UTP,		/* a uTP header (BEP 29) */
	DATAGRAM_OTHER
};
enum datagram_kind datagram_kind(struct span bytes);

/* d is lent for the call. */
typedef void datagram_fn(void *ctx, const struct sock_datagram *d);

struct datagrams_conf {
	uv_loop_t *loop;
	struct endpoint bind4, bind6;	/* family 0: not used */
	uint16_t port;
	void *ctx;
	/* Nothing is sent there, nor read from there. NULL: there is none. */
	bool (*blocked)(void *ctx, const struct endpoint *at);
	/* The ledger is full: nothing is read until it is not. */
	bool (*full)(void *ctx);
	/* Datagrams may have been lost ("udp": the kernel dropped some;
	 * "queue": the ledger was full), so that waits prove nothing. */
	void (*stalled)(void *ctx, const char *cause, int64_t from_utc_ns,
	    int64_t to_utc_ns, int64_t lag_ns, int64_t dropped);
};

struct datagrams_state {
	uint64_t received, sent;
	uint64_t unsent;	/* the kernel would not take them */
	uint64_t untaken;	/* of no kind that anybody takes */
	uint64_t dropped;	/* by the kernel, before we read them */
};

struct datagrams;

/* NULL with the reason logged: no memory, or the port is taken. */
struct datagrams *datagrams_open(const struct datagrams_conf *conf);

/* Datagrams of this kind go to fn from now on; NULL: to nobody. */
void datagrams_take(struct datagrams *u, enum datagram_kind kind,
    datagram_fn *fn, void *ctx);

/* Is there a socket of this family? */
bool datagrams_has(const struct datagrams *u, int family);

/* False: not sent (errno), and counted. Nothing is queued. */
bool datagrams_send(struct datagrams *u, const struct endpoint *to,
    struct span bytes);

void datagrams_state(const struct datagrams *u, struct datagrams_state *s);

/* Stops; what it holds is freed when the loop has closed its handles. */
void datagrams_close(struct datagrams *u);

#endif
