/*
 * Our node of the DHT (BEP 5, 32, 33, 42, 43), in both address families: it
 * asks and never answers (read-only), so that nothing is ever sent to an
 * address because that address sent something. It asks who has the torrents
 * watched: at once, then every 15 minutes, always on to the nearest nodes.
 *
 * It knows no node of itself: nodes come from the command line, from torrents,
 * from peers' `port` messages and from the tables kept in the case.
 */
#ifndef MONITOR_DHT_H
#define MONITOR_DHT_H

#include "monitor/datagram.h"
#include "schema/casedir.h"
#include "schema/record.h"

#define DHT_HASHES 2

struct dht;
struct dht_search;	/* one swarm's */

struct dht_conf {
	uv_loop_t *loop;
	struct datagrams *net;
	const struct casedir *dir;	/* dht4.nodes, dht6.nodes */
	uint16_t port;			/* where we listen, to announce */
	bool allow_local, announce;
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	/* A node named a peer; swarm_ctx is what dht_watch was given. */
	void (*peer)(void *ctx, void *swarm_ctx, const struct endpoint *at);
	/* Whether a wait since then says nothing (clockwatch_stalled). */
	bool (*stalled)(void *ctx, int64_t since_mono_ns);
};

/* NULL: out of memory. */
struct dht *dht_new(const struct dht_conf *conf);

/* A node to begin with, by name or address. False: no host, or too many. */
bool dht_bootstrap(struct dht *d, struct span host, uint16_t port);

/* A node may be here (a peer's `port` message says so). */
void dht_heard(struct dht *d, const struct endpoint *at);

/*
 * Begins to look for a swarm's peers, under each of its wire hashes (not more
 * than DHT_HASHES). Never for a private torrent (BEP 27): that is the
 * caller's to know. swarm is its text in records. NULL: out of memory.
 */
struct dht_search *dht_watch(struct dht *d, const char *swarm,
    const uint8_t (*hash)[20], int hashes, void *swarm_ctx);
void dht_unwatch(struct dht_search *s);

/* Ends: lookups under way are recorded as far as they came, the tables kept,
 * handles closed. dht_free after the loop has done so; searches go with it. */
void dht_stop(struct dht *d);
void dht_free(struct dht *d);

struct dht_count {
	size_t nodes[2], good[2];	/* IPv4, IPv6 */
	unsigned lookups;		/* under way */
};
void dht_counts(const struct dht *d, struct dht_count *c);

#endif
