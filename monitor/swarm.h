/*
 * The swarms of a run: each a torrent, its place in the address book, its
 * trackers and its connections.
 */
#ifndef MONITOR_SWARM_H
#define MONITOR_SWARM_H

#include "monitor/session.h"
#include "schema/torrent.h"

struct peer;
struct tracker_list;
struct dht_search;
struct lsd_swarm;

struct swarm {
	struct torrent *torrent;	/* owned */
	char *path;			/* where it came from, owned */
	struct session_swarm policy;
	uint32_t book;			/* its number in the address book */
	struct tracker_list *trackers;	/* NULL before it is watched */
	struct dht_search *dht;		/* NULL: not asked about there */
	struct lsd_swarm *lsd;		/* likewise */
	struct peer *peers;		/* its connections */
	bool listed;			/* of --list: may go again */
	bool seen;			/* while --list is read */
	struct swarm *next;
};

struct swarms {
	struct swarm *first;
	uint32_t count;
	struct swarm **by_book;		/* index: book number */
	uint32_t room;
};

/* A swarm of this torrent, which is now its own; NULL on out of memory (the
 * torrent is freed). It is in no set yet. */
struct swarm *swarm_new(struct torrent *t, const char *path);
void swarm_free(struct swarm *s);

/* Puts s into the set under its book number. -1: no memory. */
int swarms_add(struct swarms *set, struct swarm *s);
void swarms_remove(struct swarms *set, struct swarm *s);

/* The swarm whose peers' handshakes bear this infohash, or NULL. */
struct swarm *swarms_find(const struct swarms *set,
    const uint8_t infohash[20]);

/*
 * The torrent paths of a list file: one a line, blanks around it and lines
 * that begin with # left out, calls each(ctx, path). -1 with the reason logged
 * if the file cannot be read, else what each last returned if negative, or 0.
 */
int swarm_list(const char *file, int (*each)(void *ctx, const char *path),
    void *ctx);

#endif
