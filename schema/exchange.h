/*
 * One question put to a tracker and what became of it, whatever carried it.
 */
#ifndef SCHEMA_EXCHANGE_H
#define SCHEMA_EXCHANGE_H

#include "schema/overheard.h"
#include "schema/record.h"

enum exchange_outcome {
	EXCHANGE_OK,		/* bytes came; what they mean is the asker's */
	EXCHANGE_FAILURE,	/* the tracker refused, in its protocol */
	EXCHANGE_MALFORMED,
	EXCHANGE_TIMEOUT,
	EXCHANGE_ERROR,		/* of name, network, TLS or HTTP */
	EXCHANGE_REFUSED,	/* by us: an address or scheme we do not use */
	EXCHANGE_UNSEEN		/* overheard, and no answer was */
};

struct exchange {
	enum exchange_outcome outcome;
	struct stamp sent;	/* the request left; if none did: we began */
	struct stamp at;	/* the reply came, or we gave up */
	int http_status;	/* 0: none */
	char error[256];	/* empty: none; printable or not, escape it */
	struct endpoint who;	/* the tracker; family 0: never known */
	const struct endpoint *client;	/* who asked it; NULL: we did ... */
	const char *file;	/* ... else in which savefile, and in which ... */
	uint64_t asked_frame, told_frame;	/* ... frames the question
				 * and the answer were whole */
	struct span request;	/* as sent; empty: nothing was */
	struct span body;	/* after transfer and content decoding */
	struct span key_log;	/* lines of TLS sessions begun since the last
				 * exchange (NSS key log format); may be empty */
	uint32_t ignored;	/* datagrams of its address, no answer */
};

/* x is lent for the call. The question is over when this is called. */
typedef void exchange_fn(void *ctx, const struct exchange *x);

#endif
