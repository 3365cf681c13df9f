/*
 * The DHT's queries on their way: sent when the rates allow, then answered,
 * given up, or answered late. An answer counts only if it comes from the
 * endpoint that was asked and bears the query's random transaction id. All
 * else is counted and gets no answer; from an endpoint that was asked, a few
 * datagrams are read per query, from any other none.
 *
 * The rates: at most one query in 400 ms to one address (clients ban one that
 * sends 50 in 10 s; a step that comes late moves one, to no less than 200 ms
 * behind the last), one in 10 ms in all, and one a minute to an address that
 * has not answered the last: what is to go there waits for that answer, a few
 * seconds at most. (Local addresses, which a lab's nodes may share, are spared
 * that.) A /64 of global IPv6 counts as one address.
 */
#ifndef MONITOR_DHTASK_H
#define MONITOR_DHTASK_H

#include "monitor/datagram.h"
#include "schema/record.h"
#include "wire/krpc.h"

#define DHTASK_MOST 1024u		/* on their way */
#define DHTASK_HEARD 8u			/* datagrams read for one query */
#define DHTASK_REPLY_MAX 8192u		/* longer is malformed */
#define DHTASK_SENT_MAX 320u
#define DHTASK_T 4u
#define DHTASK_GAP_MS 400
#define DHTASK_LEAST_MS 200
#define DHTASK_ALL_GAP_MS 10
#define DHTASK_PATIENCE_MS 4000		/* for an answer to another query */
#define DHTASK_LOOK_MS 200
#define DHTASK_WAIT_MS 8000		/* then it counts as silent */
#define DHTASK_LATE_MS 30000		/* then an answer is none any more */

struct dht_ask {
	struct dht_ask *next;		/* of its chain */
	struct endpoint at;
	enum krpc_method method;
	bool scrape;
	uint8_t target[20];
	void *owner;			/* whose it is; NULL: nobody's */
	unsigned slot;			/* the owner's own */
	int64_t due_ms;			/* when it may be sent */
	int64_t waited_ms;		/* ... since then, for another's answer */
	struct stamp sent;		/* utc_ns 0: not yet */
	unsigned heard;
	bool silent, gone;
	uint8_t t[DHTASK_T];
	uint16_t out_n;
	uint8_t out[DHTASK_SENT_MAX];	/* the datagram */
};

enum dht_end {
	DHT_ANSWERED,	/* .msg: a reply or an error; it is over */
	DHT_MALFORMED,	/* .err: nonsense from there; it may yet answer */
	DHT_SILENT,	/* not in time; it may yet answer, late */
	DHT_UNSENT	/* the kernel would not take it; it is over */
};
struct dht_answer {
	enum dht_end end;
	const struct krpc_msg *msg;
	const struct wire_error *err;
	const struct sock_datagram *d;	/* ANSWERED, MALFORMED */
	struct stamp at;
};

struct dht_asks;

struct dht_asks_conf {
	void *ctx;
	/* May ask anew and forget. */
	void (*done)(void *ctx, const struct dht_ask *ask,
	    const struct dht_answer *a);
	bool (*send)(void *ctx, const struct endpoint *to, struct span bytes);
	uint8_t key[16];		/* random */
};

/* *conf is copied. NULL on out of memory. */
struct dht_asks *dht_asks_new(const struct dht_asks_conf *conf);
void dht_asks_free(struct dht_asks *a);

/*
 * Asks at when the rates allow: due_ms, which may be now_ms. ask->t is set
 * here, from random. NULL: too many under way, too long a wait, or it does not
 * fit. The result is lent until done or the next step.
 */
const struct dht_ask *dht_asks_put(struct dht_asks *a,
    const struct endpoint *at, struct krpc_ask *ask, void *owner,
    unsigned slot, uint32_t random, int64_t now_ms);

/* The owner is gone: its queries not yet sent never are, and the others
 * belong to nobody. */
void dht_asks_forget(struct dht_asks *a, const void *owner);

/* Sends what is due, tells who was silent. Due every 100 ms or so. */
void dht_asks_step(struct dht_asks *a, int64_t now_ms);

/* A datagram came. */
void dht_asks_take(struct dht_asks *a, const struct sock_datagram *d);

struct dht_asks_state {
	unsigned live;		/* on their way */
	uint64_t sent, answers;
	uint64_t strangers;	/* datagrams of whom we asked nothing */
	uint64_t wrong;		/* of another transaction */
	uint64_t queries;	/* from nodes we asked; none is answered */
	uint64_t surplus;	/* not read: too many */
};
void dht_asks_state(const struct dht_asks *a, struct dht_asks_state *s);

#endif
