/*
 * HTTP and HTTPS GET for trackers: libcurl's multi-socket interface on the uv
 * loop. Bounded in time, bytes and redirects; no proxy, cookie or .netrc;
 * certificates checked as schema/catrust says.
 */
#ifndef MONITOR_HTTP_H
#define MONITOR_HTTP_H

#include <uv.h>

#include "schema/exchange.h"

#define HTTP_BODY_MAX (1u << 20)	/* after decoding */
#define HTTP_WAIT_MS 30000

struct http;
struct http_get;

struct http_conf {
	uv_loop_t *loop;
	const char *user_agent;
	struct endpoint bind4, bind6;
	uint16_t ports_from, ports_to;
	bool allow_local;	/* else special addresses are refused, also
				 * where a name or a redirect leads to one */
};

/* *conf is copied. NULL: no memory, or libcurl cannot be used. */
struct http *http_new(const struct http_conf *conf);

/* Asks url over IPv4 or IPv6; done is called once, not before return. NULL:
 * curl would not take it. */
struct http_get *http_get(struct http *h, const char *url, int family,
    int wait_ms, exchange_fn *done, void *ctx);
/* Waits no longer: calls done with EXCHANGE_TIMEOUT and why. */
void http_give_up(struct http_get *g, const char *why);

/* Drops what is left without a word, closes; closed(ctx) when the loop has let
 * go, and h is gone. */
void http_close(struct http *h, void (*closed)(void *ctx), void *ctx);

#endif
