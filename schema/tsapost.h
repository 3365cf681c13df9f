/*
 * Questions put to time-stamping authorities over HTTP and HTTPS (RFC 3161
 * section 3.4), all at once, by libcurl in the calling thread. Bounded in time
 * and bytes; no redirect, proxy, cookie or .netrc; certificates checked.
 */
#ifndef SCHEMA_TSAPOST_H
#define SCHEMA_TSAPOST_H

#include "schema/body.h"
#include "schema/record.h"

#define TSAPOST_BODY_MAX 65536u
#define TSAPOST_MANY 16u	/* in one go */

/* One question: url and request are lent, the rest is what came of it. */
struct tsapost {
	const char *url;
	struct span request;
	bool answered;		/* 200 and a whole body */
	bool timed_out;
	int http_status;	/* 0: none */
	char error[256];	/* empty: none; printable or not */
	struct endpoint who;	/* family 0: never known */
	struct stamp sent, at;	/* sent: when we began */
	struct body body;	/* TSAPOST_BODY_MAX at most; the caller's to
				 * free */
};

struct tsapost_conf {
	int wait_ms;
	/* A socket of that family, bound as the caller wants it; -1 with
	 * errno. NULL: curl's own. */
	int (*open)(void *ctx, int family);
	/* All questions are on their way. May be NULL. */
	void (*begun)(void *ctx);
	/* Asked several times a second; true: give up. May be NULL. */
	bool (*stop)(void *ctx);
	void *ctx;
};

/* Whether it is an http or https URL with a host. */
bool tsapost_url(const char *url);

/* Returns when all are answered or given up. */
void tsapost(struct tsapost *list, size_t n, const struct tsapost_conf *conf);

#endif
