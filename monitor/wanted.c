#include "monitor/wanted.h"

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

bool wanted_has(const struct wanted *w, const struct swarm *s)
{
	for (int i = 0; i < s->ref.wire_hashes; i++)
		if (hashindex_find(&w->by_hash, s->ref.wire_hash[i]))
			return true;
	return false;
}

int wanted_add(struct wanted *w, const char *path, enum swarm_origin origin)
{
	struct swarm *s = read_one(path);

	if (!s)
		return -1;
	if (wanted_has(w, s)) {
		swarm_free(s);
		return 0;
	}
	for (int i = 0; i < s->ref.wire_hashes; i++)
		if (hashindex_add(&w->by_hash, s->ref.wire_hash[i], w, i) < 0)
			log_die("out of memory");
	s->origin = origin;
	if (w->last)
		w->last->next = s;
	else
		w->first = s;
	w->last = s;
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
