/*
 * The swarms of a run: each a torrent, or an infohash until its peers have
 * given the metadata; its place in the address book, its trackers and its
 * connections.
 */
#ifndef MONITOR_SWARM_H
#define MONITOR_SWARM_H

#include "monitor/hashindex.h"
#include "monitor/session.h"
#include "schema/swarmref.h"
#include "wire/magnet.h"

struct peer;
struct fetch;
struct tracker_list;
struct dht_search;
struct lsd_swarm;

/* Who wants it watched. */
enum swarm_origin {
	SWARM_GIVEN,	/* the command line, for as long as the run is */
	SWARM_LISTED,	/* --list */
	SWARM_WATCHED	/* the folder of --watch */
};

struct swarm {
	struct swarmref ref;		/* how it is named, on the wire too */
	struct torrent *torrent;	/* owned; NULL: not known yet */
	struct fetch *fetch;		/* owned; NULL: nothing to fetch */
	char *path;	/* where it came from: a file, link or hash; owned */
	struct magnet magnet;		/* of a link or hash: spans into path */
	bool is_magnet;
	struct session_swarm policy;
	uint32_t book;			/* its number in the address book */
	struct tracker_list *trackers;	/* NULL before it is watched */
	struct dht_search *dht;		/* NULL: not asked about there */
	struct lsd_swarm *lsd;		/* likewise */
	struct peer *peers;		/* its connections */
	enum swarm_origin origin;
	bool decoy;			/* nobody's: see monitor/decoy.h */
	bool kept;			/* the case has a copy of its torrent */
	bool leaving;			/* nobody is dialled for it any more */
	struct swarm *next, **link;
};

struct swarms {
	struct swarm *first, **last;
	uint32_t count;			/* decoys are none */
	struct swarm **by_book;		/* index: book number */
	uint32_t room;
	struct hashindex by_hash;	/* infohashes; n: which of a swarm's */
	struct hashindex by_req2;	/* H('req2' infohash) */
};

/* A swarm of this torrent, which is now its own; NULL on out of memory (the
 * torrent is freed). It is in no set yet. */
struct swarm *swarm_new(struct torrent *t, const char *path);
/* Of a link or a bare infohash. NULL: with the reason logged. */
struct swarm *swarm_new_magnet(const char *link);
/* Of an infohash that means nothing; NULL: no memory. */
struct swarm *swarm_new_decoy(const uint8_t hash[20]);
void swarm_free(struct swarm *s);

/* Whether this is a link or a bare infohash, and not a file's name. */
bool swarm_is_link(const char *text);

/* The metadata became known: t is its own now, and peers are met under each
 * of its infohashes. */
void swarm_learn(struct swarm *s, struct torrent *t);

/* What announces say is left: everything, or something while its size is not
 * known. */
uint64_t swarm_left(const struct swarm *s);

/* The i-th peer that its magnet names (x.pe); false at the end. One that is
 * no address has family 0. */
bool swarm_named(const struct swarm *s, unsigned i, struct endpoint *at);

/* Its trackers, one call each, for struct tracker_watch: start zeroed but for
 * .swarm; the URL is valid until the next. */
struct swarm_urls {
	const struct swarm *swarm;
	struct mi_trackers it;
	struct magnet_values values;
	unsigned n;
	char text[2048];
};
bool swarm_url(void *urls, struct span *url, unsigned *tier);

/* Puts s into the set under its book number. -1: no memory. */
int swarms_add(struct swarms *set, struct swarm *s);
void swarms_remove(struct swarms *set, struct swarm *s);
/* One of them has more infohashes than before (swarm_learn). */
void swarms_learnt(struct swarms *set, struct swarm *s);

/* The swarm whose peers' handshakes bear this infohash, or NULL. */
struct swarm *swarms_find(const struct swarms *set,
    const uint8_t infohash[20]);

/* The same by H('req2' infohash), as encrypted handshakes name it: NULL or
 * the swarm, and the infohash. */
struct swarm *swarms_meant(const struct swarms *set, const uint8_t req2[20],
    uint8_t infohash[20]);

/*
 * What a list file says to watch: a torrent's path, a link or an infohash a
 * line, blanks around it and lines that begin with # left out, calls each(ctx,
 * line). -1 with the reason logged if the file cannot be read, else what each
 * last returned if negative, or 0.
 */
int swarm_list(const char *file, int (*each)(void *ctx, const char *path),
    void *ctx);

#endif
