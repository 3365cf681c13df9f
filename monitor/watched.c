#include "monitor/watched.h"

#include "schema/log.h"

#define NAMED_MOST 100		/* peers of one magnet */

/* On record, and a copy in the case. */
static void keep_torrent(struct watched *w, const struct swarm *s,
    const char *source)
{
	char name[128];

	runlog_torrent(&w->account->run, s->ref.swarm, s->torrent, source);
	snprintf(name, sizeof(name), "torrents/%s.torrent", s->ref.swarm);
	if (!s->kept)
		casedir_put(w->dir, name, s->torrent->mi.file);
}

void watched_learnt(struct watched *w, struct swarm *s, const char *source)
{
	const struct swarmref *ref = &s->ref;
	char safe[200];

	keep_torrent(w, s, source);
	log_info("%s: metadata of \"%s\" from %s", s->ref.swarm,
	    log_safe(s->torrent->mi.name, safe, sizeof(safe)), source);
	trackers_learnt(s->trackers, swarm_left(s), ref->wire_hash,
	    ref->wire_hashes);
	/* Private after all, or met under another hash too. */
	if (s->policy.is_private ||
	    s->ref.wire_hashes > s->magnet.v1 + s->magnet.v2) {
		finders_unwatch(s);
		finders_watch(w->finders, s);
	}
}

/* Peers that the link itself names. */
static void hear_named(struct watched *w, struct swarm *s)
{
	struct named named[NAMED_MOST];
	unsigned i = 0, n = 0;

	for (; n < NAMED_MOST && swarm_named(s, i, &named[n].at); i++)
		if (named[n].at.family)
			n++;
	if (n == 0)
		return;
	account_named(w->account, s->ref.swarm, s->path, named, n);
	for (i = 0; i < n; i++)
		crowd_hear(w->crowd, s, &named[i].at, BOOK_MAGNET);
}

/* The swarm joins the run; it is freed if there is no room. */
static void watch(struct watched *w, struct swarm *s)
{
	const struct swarmref *ref = &s->ref;
	struct swarm_urls urls = { .swarm = s };
	struct tracker_watch t = { .swarm = ref->swarm,
		.hash = ref->wire_hash, .hashes = ref->wire_hashes,
		.is_private = s->policy.is_private, .left = swarm_left(s),
		.url = swarm_url, .url_ctx = &urls, .ctx = s };
	char safe[200];

	if (s->torrent)
		keep_torrent(w, s, s->path);
	if (crowd_watch(w->crowd, s) < 0) {
		log_warn("%s: no room for another swarm",
		    log_safe(span_str(s->path), safe, sizeof(safe)));
		swarm_free(s);
		return;
	}
	s->trackers = trackers_watch(w->trackers, &t);
	if (!s->trackers)
		log_die("out of memory");
	finders_watch(w->finders, s);
	hear_named(w, s);
	decoys_ask(w->decoys, w->trackers, s);
}

static void unwatch(struct watched *w, struct swarm *s, const char *why)
{
	trackers_unwatch(s->trackers);
	finders_unwatch(s);
	crowd_unwatch(w->crowd, s, why);
}

static struct swarm *find(struct watched *w, const struct swarm *like)
{
	struct swarm *s = NULL;

	for (int i = 0; i < like->ref.wire_hashes && !s; i++)
		s = swarms_find(&w->crowd->swarms, like->ref.wire_hash[i]);
	return s;
}

/* Watched from here on, unless it is already. */
static void take(struct watched *w, struct swarm *s)
{
	if (find(w, s))
		swarm_free(s);
	else
		watch(w, s);
}

static void take_all(struct watched *w, struct wanted *wanted)
{
	struct swarm *s;

	wanted_keep(wanted, w->dir, &w->crowd->swarms.by_hash);
	while ((s = wanted_take(wanted)))
		take(w, s);
	wanted_fini(wanted);
}

void watched_again(struct watched *w)
{
	struct wanted wanted = { 0 };
	struct swarm *s, *next;

	if (!w->opt->list)
		return;
	if (wanted_list(&wanted, w->opt->list) < 0) {
		log_warn("the list is left as it was");
		return;
	}
	for (s = w->crowd->swarms.first; s; s = next) {
		next = s->next;
		if (s->origin == SWARM_LISTED && !wanted_has(&wanted, s))
			unwatch(w, s, "its torrent left the list");
	}
	take_all(w, &wanted);
	finders_decoys(w->finders, w->decoys);
	log_info("list read again: swarms: %u", w->crowd->swarms.count);
}

static void on_come(void *ctx, struct wanted *came)
{
	struct watched *w = ctx;

	take_all(w, came);
	finders_decoys(w->finders, w->decoys);
	log_info("%s: swarms: %u", w->opt->watch, w->crowd->swarms.count);
}

static void on_gone(void *ctx, const uint8_t infohash[20])
{
	struct watched *w = ctx;
	struct swarm *s = swarms_find(&w->crowd->swarms, infohash);

	if (s && s->origin == SWARM_WATCHED)
		unwatch(w, s, "its torrent left the folder");
}

int watched_begin(struct watched *w, struct wanted *wanted, uv_loop_t *loop)
{
	struct folder_conf conf = { .loop = loop, .path = w->opt->watch,
		.ctx = w, .come = on_come, .gone = on_gone };

	take_all(w, wanted);
	if (!w->opt->watch)
		return 0;
	w->folder = folder_open(&conf);
	return w->folder ? 0 : -1;
}

void watched_stop(struct watched *w)
{
	folder_close(w->folder);
}
