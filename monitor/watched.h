/*
 * The swarms that a run watches, as they come and go: of the command line, of
 * --list when it is read again, of --watch's folder. Each one's torrent is on
 * record and in the case, as soon as it is known; the crowd, the trackers, the
 * finders and the decoys hear of it.
 */
#ifndef MONITOR_WATCHED_H
#define MONITOR_WATCHED_H

#include "monitor/account.h"
#include "monitor/crowd.h"
#include "monitor/finders.h"
#include "monitor/folder.h"
#include "monitor/wanted.h"

struct watched {
	const struct options *opt;
	const struct casedir *dir;
	struct account *account;
	struct crowd *crowd;
	struct trackers *trackers;
	struct finders *finders;
	struct decoys *decoys;	/* NULL: none */
	struct folder *folder;	/* NULL: no --watch; watched_begin opens it */
};

/* Watches what is wanted, of which nothing is left then; and the folder. -1
 * logged. */
int watched_begin(struct watched *w, struct wanted *wanted, uv_loop_t *loop);

/* --list was changed: what is new begins, what is gone ends. */
void watched_again(struct watched *w);

/* Peers gave the metadata of s; source is theirs. */
void watched_learnt(struct watched *w, struct swarm *s, const char *source);

/* None comes or goes any more with the folder. */
void watched_stop(struct watched *w);

#endif
