/*
 * What a run is told to watch: the torrents, links and infohashes of the
 * command line and of --list, each once, before they are watched.
 */
#ifndef MONITOR_WANTED_H
#define MONITOR_WANTED_H

#include "monitor/options.h"
#include "monitor/swarm.h"
#include "schema/casedir.h"

struct wanted {
	struct swarm *first, *last;	/* owned, in the order given */
	struct hashindex by_hash;	/* their infohashes */
};

/* One more, unless it is there. -1: with the reason logged. */
int wanted_add(struct wanted *w, const char *path, enum swarm_origin origin);
/* Takes s over; it is freed if it is there. */
void wanted_put(struct wanted *w, struct swarm *s);
/* Everything that the options name; each fault is named. -1: there was one. */
int wanted_read(struct wanted *w, const struct options *o);
/* What --list says now. -1: there was a fault, and w is empty. */
int wanted_list(struct wanted *w, const char *list);

/* It is among those that are there, or were and were taken. */
bool wanted_has(const struct wanted *w, const struct swarm *s);
/* Copies their torrents into the case, all at once, but of those that are in
 * this index, and of one alone. */
void wanted_keep(struct wanted *w, const struct casedir *dir,
    const struct hashindex *but);
/* Takes the first away: the caller's now; NULL: none is left. */
struct swarm *wanted_take(struct wanted *w);
void wanted_fini(struct wanted *w);

#endif
