/*
 * One lookup of the DHT under way: the pure wire/lookup, its queries, the
 * records of what is answered, and at its end the scrape (BEP 33) of the
 * nearest nodes and, if wanted, the announce to them. A hunt without a swarm
 * seeks nodes for the routing table only and leaves no records.
 */
#ifndef MONITOR_DHTHUNT_H
#define MONITOR_DHTHUNT_H

#include "monitor/dhtask.h"
#include "schema/dhtlog.h"
#include "wire/bloom.h"
#include "wire/lookup.h"

/* What all hunts share. */
struct hunt_env {
	struct dht_asks *asks;
	struct dhtlog log;
	uint8_t id[2][NODEID_BYTES];	/* ours, per family */
	unsigned want;			/* krpc's */
	bool allow_local, announce;
	uint16_t port;			/* to announce */
	void *ctx;
	/* A node named a peer to the hunt's owner. */
	void (*peer)(void *ctx, void *owner, const struct endpoint *at);
	bool (*stalled)(void *ctx, int64_t since_mono_ns);
};

struct hunt {
	struct hunt *next;
	struct hunt_env *env;
	void *owner;
	const char *swarm;	/* NULL: for the table */
	struct lookup l;
	bool closing, over;
	unsigned open;		/* queries of the closing not yet ended */
	struct dhtlog_sum sum;
	uint8_t seeds[BLOOM_BYTES], peers[BLOOM_BYTES];
};

/* swarm is lent. NULL: out of memory. Nodes to begin with: lookup_add. */
struct hunt *hunt_new(struct hunt_env *env, const char *swarm, void *owner,
    const uint8_t target[NODEID_BYTES], int family);

/* Asks whom to ask now; sets over when nothing more is to come. */
void hunt_step(struct hunt *h, int64_t now_ms);

/* What became of one of its queries (ask->owner is h). */
void hunt_told(struct hunt *h, const struct dht_ask *ask,
    const struct dht_answer *a);

/* Records what it came to, why not further (NULL: it is over), and frees it.
 * How many nodes answered. */
unsigned hunt_end(struct hunt *h, const char *why);

/* Our queries' fields that are always the same. */
struct krpc_ask hunt_ask(const struct hunt_env *env, enum krpc_method method,
    int family, const uint8_t target[20]);

#endif
