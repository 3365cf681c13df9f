/*
 * What local discovery (BEP 14) said, as records: `listed`, and `malformed` for
 * what cannot be read. See docs/evidence-format.md.
 */
#ifndef SCHEMA_LSDLOG_H
#define SCHEMA_LSDLOG_H

#include "schema/overheard.h"
#include "schema/record.h"
#include "wire/lsd.h"

struct lsdlog {
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	struct json json;
};

struct lsd_heard {
	struct endpoint from;
	struct span bytes;
	struct stamp at;
	const struct overheard *heard;	/* NULL: sent to us */
};

/* One of the torrents that a datagram names, whose swarm that is. */
void lsdlog_listed(struct lsdlog *l, const char *swarm,
    const struct lsd_heard *d, const struct lsd_msg *m,
    const uint8_t hash[20]);
void lsdlog_malformed(struct lsdlog *l, const struct lsd_heard *d,
    const struct wire_error *err);

#endif
