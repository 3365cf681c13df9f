/*
 * The DHT's routing table (BEP 5) of one family: nodes that answered us, eight
 * for each length of prefix shared with our own id. Pure: time is handed in,
 * in seconds of any clock that does not step.
 */
#ifndef WIRE_DHTNODE_H
#define WIRE_DHTNODE_H

#include "nodeid.h"

#define DHT_K 8u
#define DHT_BUCKETS 32u		/* the last holds all that share more */
#define DHT_GOOD_S 900		/* BEP 5: 15 minutes */
#define DHT_REFRESH_S 900
#define DHT_BAD_FAILS 2u

enum dht_state {
	DHT_GOOD,		/* answered within 15 minutes */
	DHT_QUESTIONABLE,
	DHT_BAD			/* left several queries in a row unanswered */
};

struct dht_node {
	uint8_t id[NODEID_BYTES];
	struct endpoint at;
	bool heard;		/* in this run; else it was loaded */
	int64_t answered_s;	/* if heard */
	int64_t pinged_s;	/* last given by dht_stale; if pinged */
	bool pinged;
	unsigned fails;		/* since it last answered */
};

struct dht_bucket {
	struct dht_node node[DHT_K];
	unsigned n;
	bool refreshed;
	int64_t refreshed_s;	/* if refreshed */
};

struct dht_table {
	uint8_t id[NODEID_BYTES];
	uint8_t family;
	struct dht_bucket bucket[DHT_BUCKETS];
};

/* family: 4 or 6. */
void dht_init(struct dht_table *t, const uint8_t id[NODEID_BYTES],
    uint8_t family);

enum dht_state dht_state(const struct dht_node *n, int64_t now_s);

/*
 * A node answered a query of ours: it is entered or brought up to date. Where
 * there is no room it takes the place of a bad node, or of one whose id breaks
 * BEP 42 if its own does not; else it is left out, and so is a second node at
 * an address that is not local. False: left out.
 */
bool dht_answered(struct dht_table *t, const uint8_t id[NODEID_BYTES],
    const struct endpoint *at, int64_t now_s);

/* A query to this endpoint went unanswered. */
void dht_failed(struct dht_table *t, const struct endpoint *at);

/* The n nodes nearest to target, nearest first, bad ones only if there is no
 * other. How many. They are the table's until it is changed. */
size_t dht_closest(const struct dht_table *t,
    const uint8_t target[NODEID_BYTES], int64_t now_s,
    const struct dht_node **out, size_t n);

/* A questionable node to ping now, or NULL; each at most once a minute. */
const struct dht_node *dht_stale(struct dht_table *t, int64_t now_s);

/* An id to look up now because its bucket lay still for 15 minutes; false if
 * there is none. Empty buckets beyond the first are left alone. */
bool dht_refresh(struct dht_table *t, int64_t now_s,
    const uint8_t random[NODEID_BYTES], uint8_t target[NODEID_BYTES]);

/* How many nodes there are, and how many of them are good (may be NULL). */
size_t dht_count(const struct dht_table *t, int64_t now_s, size_t *good);

/*
 * The table to be kept, as BEP 5 and BEP 32 write nodes: 26 or 38 bytes each,
 * bad ones left out. Bytes written; what does not fit is left out too. What is
 * loaded is questionable until it answers; false, and as much loaded as was
 * whole, if the bytes are not of whole entries of this family.
 */
#define DHT_SAVE_MAX (DHT_BUCKETS * DHT_K * 38u)
size_t dht_save(const struct dht_table *t, int64_t now_s, uint8_t *out,
    size_t room);
bool dht_load(struct dht_table *t, struct span saved);

#endif
