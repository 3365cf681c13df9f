#include "monitor/wanted.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"
#include "schema/torrent.h"

static struct swarm *read_one(const char *path)
{
	struct torrent *t;
	struct swarm *s;

	if (swarm_is_link(path))
		return swarm_new_magnet(path);
	t = torrent_load(path);
	if (!t)
		return NULL;
	s = swarm_new(t, path);
	if (!s)
		log_die("out of memory");
	return s;
}

static bool is_in(const struct hashindex *by_hash, const struct swarm *s)
{
	for (int i = 0; i < s->ref.wire_hashes; i++)
		if (hashindex_find(by_hash, s->ref.wire_hash[i]))
			return true;
	return false;
}

bool wanted_has(const struct wanted *w, const struct swarm *s)
{
	return is_in(&w->by_hash, s);
}

void wanted_put(struct wanted *w, struct swarm *s)
{
	if (wanted_has(w, s)) {
		swarm_free(s);
		return;
	}
	for (int i = 0; i < s->ref.wire_hashes; i++)
		if (hashindex_add(&w->by_hash, s->ref.wire_hash[i], w, i) < 0)
			log_die("out of memory");
	if (w->last)
		w->last->next = s;
	else
		w->first = s;
	w->last = s;
}

int wanted_add(struct wanted *w, const char *path, enum swarm_origin origin)
{
	struct swarm *s = read_one(path);

	if (!s)
		return -1;
	s->origin = origin;
	wanted_put(w, s);
	return 0;
}

static int add_listed(void *ctx, const char *path)
{
	return wanted_add(ctx, path, SWARM_LISTED);
}

int wanted_read(struct wanted *w, const struct options *o)
{
	int rc = 0;

	for (int i = 0; i < o->torrent_count; i++)
		if (wanted_add(w, o->torrents[i], SWARM_GIVEN) < 0)
			rc = -1;
	if (o->list && swarm_list(o->list, add_listed, w) < 0)
		rc = -1;
	return rc;
}

int wanted_list(struct wanted *w, const char *list)
{
	int rc = swarm_list(list, add_listed, w);

	if (rc < 0)
		wanted_fini(w);
	return rc;
}

static struct span nth(void *ctx, size_t i, char name[CASEDIR_NAME])
{
	struct swarm **of = ctx;

	snprintf(name, CASEDIR_NAME, "%s.torrent", of[i]->ref.swarm);
	return of[i]->torrent->mi.file;
}

void wanted_keep(struct wanted *w, const struct casedir *dir,
    const struct hashindex *but)
{
	struct swarm **of;
	size_t n = 0;
	bool kept;

	for (struct swarm *s = w->first; s; s = s->next)
		n++;
	of = calloc(n + 1, sizeof(struct swarm *));
	if (!of)
		log_die("out of memory");
	n = 0;
	for (struct swarm *s = w->first; s; s = s->next)
		if (s->torrent && !is_in(but, s))
			of[n++] = s;
	/* One alone is no reason to have all files of the disk synced. */
	kept = n > 1 && casedir_put_all(dir, "torrents", n, nth, of) == 0;
	for (size_t i = 0; i < n; i++)
		of[i]->kept = kept;
	free(of);
}

struct swarm *wanted_take(struct wanted *w)
{
	struct swarm *s = w->first;

	if (!s)
		return NULL;
	w->first = s->next;
	if (!w->first)
		w->last = NULL;
	s->next = NULL;
	return s;
}

void wanted_fini(struct wanted *w)
{
	struct swarm *s;

	while ((s = wanted_take(w)))
		swarm_free(s);
	hashindex_fini(&w->by_hash);
	*w = (struct wanted){ 0 };
}
