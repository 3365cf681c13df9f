/*
 * Exchanges with trackers as records: `announce`, then what it brought,
 * `listed` or `malformed`; and `scrape`. See docs/evidence-format.md.
 */
#ifndef SCHEMA_TRACKERLOG_H
#define SCHEMA_TRACKERLOG_H

#include "schema/exchange.h"
#include "schema/json.h"
#include "wire/tracker.h"

struct trackerlog {
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
	struct json json;
};

enum asked_absent {
	ASKED_KEY = 1,
	ASKED_PEER_ID = 2,
	ASKED_PORT = 4,
	ASKED_UPLOADED = 8,
	ASKED_DOWNLOADED = 16,
	ASKED_LEFT = 32
};

struct asked {
	const char *url, *swarm;
	const char *transport;		/* "http", "https", "udp" or NULL */
	unsigned tier;
	int family;
	const struct tracker_ask *ask;
	unsigned absent;		/* what the client did not say, or not
					 * so that it can be read */
	unsigned nth;			/* of a scrape's infohashes */
	bool stalled;
};

/* What an announce came to. peers: in the order given, each once; free it. */
struct told {
	enum exchange_outcome outcome;
	struct tracker_reply reply;	/* outcome OK, and FAILURE */
	struct named *peers;
	size_t n;
	int64_t listed;			/* seq */
};

void trackerlog_announce(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, struct told *t);
void trackerlog_scrape(struct trackerlog *l, const struct asked *a,
    const struct exchange *x);

/* Each infohash of a scrape has a record that keeps the whole reply: one too
 * many for all replies together to stay within this has none. Honest ones, of
 * 74 infohashes at most, come nowhere near. */
#define TRACKERLOG_SCRAPE_MOST (512u << 10)
bool trackerlog_scrape_fits(const struct asked *a, const struct exchange *x);

#endif
