/*
 * Asking SNTP servers (RFC 4330): names, sockets, waiting, and the manners the
 * RFC demands: not twice within 15 seconds, never again after a kiss of DENY
 * or RSTR, half as often after each RATE.
 */
#ifndef MONITOR_NTP_H
#define MONITOR_NTP_H

#include <uv.h>

#include "schema/record.h"
#include "wire/sntp.h"

#define NTP_WAIT_MS 2000	/* for an answer, twice */

struct ntp;

struct ntp_said {
	const char *server;	/* as the operator gave it */
	const char *outcome;	/* "ok", "kiss", "unsynchronised", "malformed",
				 * "timeout", "error" */
	const char *error;	/* NULL: none */
	struct endpoint who;	/* family 0: never known */
	struct stamp at, sent;
	struct span body;	/* the datagram, if one came */
	const struct sntp_reply *reply;		/* NULL: none that was read */
	const struct sntp_offset *offset;	/* of outcome "ok" */
};

struct ntp_conf {
	uv_loop_t *loop;
	void *ctx;
	void (*said)(void *ctx, size_t server, const struct ntp_said *s);
	const char *const *servers;	/* copied */
	size_t n;
	uint16_t ports_from, ports_to;
};

/* NULL: out of memory. */
struct ntp *ntp_new(const struct ntp_conf *conf);

/* Asks every server that may be asked now and is not being asked. */
void ntp_round(struct ntp *n);
bool ntp_busy(const struct ntp *n);
/* Waits no longer: says "timeout" and why of every question on its way. */
void ntp_give_up(struct ntp *n, const char *why);

/* Drops what is left without a word; closed(ctx) when the loop has let go, and
 * n is gone. */
void ntp_close(struct ntp *n, void (*closed)(void *ctx), void *ctx);

#endif
