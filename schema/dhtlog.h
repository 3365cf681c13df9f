/*
 * What the DHT said, as records of kind `dht`, and what it said wrongly, as
 * `malformed`. See docs/evidence-format.md.
 */
#ifndef SCHEMA_DHTLOG_H
#define SCHEMA_DHTLOG_H

#include "schema/overheard.h"
#include "schema/record.h"
#include "wire/krpc.h"

#define DHTLOG_NAMED 256u	/* of one reply, that are named and dialled */

struct dhtlog {
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	struct json json;
	struct named named[DHTLOG_NAMED];	/* of the last reply */
	size_t names;
};

void dhtlog_init(struct dhtlog *l, void *ctx,
    int64_t (*add)(void *ctx, const struct record *r));
void dhtlog_fini(struct dhtlog *l);

/* A query about an infohash, and a datagram that came of it. */
struct dhtlog_told {
	enum krpc_method method;
	bool scrape;
	const uint8_t *target;		/* 20 bytes */
	struct span request;		/* the query, as sent */
	struct stamp sent;
	struct endpoint from;
	struct span bytes;
	struct stamp at;
	const struct krpc_msg *msg;	/* an answer, or an error */
	const struct wire_error *err;	/* else why it is none */
	const uint8_t *named_as;	/* the id under which the node was known,
					 * if it answered under another */
	const struct overheard *heard;	/* NULL: we asked */
};

/* Fills l->named. swarm may be NULL. */
void dhtlog_answer(struct dhtlog *l, const char *swarm,
    const struct dhtlog_told *t);
/* Nonsense from a node that was asked. */
void dhtlog_malformed(struct dhtlog *l, const char *swarm,
    const struct dhtlog_told *t);

/* A query about an infohash that was overheard. */
void dhtlog_asked(struct dhtlog *l, const char *swarm,
    const struct krpc_msg *m, const struct endpoint *from, struct span bytes,
    const struct overheard *heard, struct stamp at);

/* What a lookup came to. */
struct dhtlog_sum {
	const char *swarm, *ended;
	uint8_t infohash[20];
	int family;
	struct stamp began, at;
	unsigned queries, answered, errors, silent, unsent, malformed;
	unsigned closest_bits;	/* that the nearest node shares with it */
	unsigned nearest, obeying;	/* of the nearest that answered (8 at
				 * most), those whose ids obey BEP 42 */
	uint64_t values;
	double seeds, peers;	/* BEP 33; < 0: not known */
	unsigned scraped;	/* nodes that gave filters */
	unsigned announced, announces_taken;
	bool stalled;
};
void dhtlog_sum(struct dhtlog *l, const struct dhtlog_sum *s);

/* Our own id changed, or was chosen (was NULL). external: family 0, not known. */
void dhtlog_id(struct dhtlog *l, int family, const uint8_t id[NODEID_BYTES],
    const uint8_t *was, const struct endpoint *external, struct stamp at);

#endif
