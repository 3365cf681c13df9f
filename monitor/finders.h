/*
 * Who finds peers without a tracker: the DHT and local discovery, and the UDP
 * sockets beneath. Private torrents are kept from both (BEP 27).
 */
#ifndef MONITOR_FINDERS_H
#define MONITOR_FINDERS_H

#include "monitor/book.h"
#include "monitor/datagram.h"
#include "monitor/decoy.h"
#include "monitor/dht.h"
#include "monitor/lsd.h"
#include "monitor/options.h"
#include "monitor/swarm.h"
#include "monitor/vantage.h"

struct finders_conf {
	uv_loop_t *loop;
	const struct options *opt;
	const struct vantage *vantage;
	const struct casedir *dir;
	uint16_t port;			/* where we listen */
	void *ctx;
	/* As datagrams_conf has it. */
	bool (*blocked)(void *ctx, const struct endpoint *at);
	int64_t (*add)(void *ctx, const struct record *r);
	/* Somebody named a peer of a swarm. */
	void (*found)(void *ctx, struct swarm *s, const struct endpoint *at,
	    enum book_source source);
	bool (*stalled)(void *ctx, int64_t since_mono_ns);
	/* As datagrams_conf has them. */
	bool (*full)(void *ctx);
	void (*stall)(void *ctx, const char *cause, int64_t from_utc_ns,
	    int64_t to_utc_ns, int64_t lag_ns, int64_t dropped);
};

struct finders {
	struct finders_conf conf;
	struct datagrams *net;
	struct dht *dht;	/* NULL: --no-dht */
	struct lsd *lsd;	/* NULL: no --lsd, or it cannot be */
};

/* -1 with the reason logged. */
int finders_open(struct finders *f, const struct finders_conf *conf);

/* Peers of s are looked for, unless it is private; finders_unwatch: no more. */
void finders_watch(struct finders *f, struct swarm *s);
void finders_unwatch(struct swarm *s);

/* The DHT is asked for decoys as for any torrent. d may be NULL. */
void finders_decoys(struct finders *f, const struct decoys *d);

/* A peer of s says that its DHT node is there. */
void finders_node(struct finders *f, const struct swarm *s,
    const struct endpoint *at);

/* Finds nobody any more. The sockets, which others may use, stay until
 * finders_close; finders_free once the loop has closed its handles. */
void finders_stop(struct finders *f);
void finders_close(struct finders *f);
void finders_free(struct finders *f);

#endif
