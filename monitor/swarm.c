#include "monitor/swarm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

/* Length of a piece whose content can be checked, else 0. */
static uint32_t checkable(const void *ctx, uint32_t piece)
{
	const struct torrent *t = ctx;
	struct expect e;

	torrent_expect(t, piece, &e);
	return e.v1.n || e.v2.n ? torrent_piece_bytes(t, piece) : 0;
}

struct swarm *swarm_new(struct torrent *t, const char *path)
{
	struct swarm *s = calloc(1, sizeof(*s));

	if (!s) {
		torrent_free(t);
		return NULL;
	}
	s->torrent = t;
	s->book = UINT32_MAX;
	s->path = strdup(path);
	if (!s->path) {
		swarm_free(s);
		return NULL;
	}
	memcpy(s->policy.infohash, t->wire_hash, sizeof(t->wire_hash));
	s->policy.hashes = t->wire_hashes;
	s->policy.pieces = t->mi.pieces;
	s->policy.ctx = t;
	s->policy.piece_bytes = checkable;
	return s;
}

void swarm_free(struct swarm *s)
{
	if (!s)
		return;
	torrent_free(s->torrent);
	free(s->path);
	free(s);
}

int swarms_add(struct swarms *set, struct swarm *s)
{
	struct swarm **at = &set->first;

	if (s->book >= set->room) {
		uint32_t room = set->room ? set->room : 8;
		struct swarm **made;

		while (room <= s->book)
			room *= 2;
		made = realloc(set->by_book, room * sizeof(struct swarm *));
		if (!made)
			return -1;
		for (uint32_t i = set->room; i < room; i++)
			made[i] = NULL;
		set->by_book = made;
		set->room = room;
	}
	while (*at)
		at = &(*at)->next;
	s->next = NULL;
	*at = s;
	set->by_book[s->book] = s;
	set->count++;
	return 0;
}

void swarms_remove(struct swarms *set, struct swarm *s)
{
	struct swarm **at = &set->first;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	set->by_book[s->book] = NULL;
	set->count--;
	if (set->count == 0) {
		free(set->by_book);
		set->by_book = NULL;
		set->room = 0;
	}
}

struct swarm *swarms_find(const struct swarms *set,
    const uint8_t infohash[20])
{
	struct swarm *s = set->first;

	while (s && !torrent_is(s->torrent, infohash))
		s = s->next;
	return s;
}

int swarm_list(const char *file, int (*each)(void *ctx, const char *path),
    void *ctx)
{
	FILE *f = fopen(file, "re");
	char *line = NULL, *p;
	size_t room = 0;
	ssize_t n;
	int rc = 0, got;

	if (!f) {
		log_warn("%s: %s", file, strerror(errno));
		return -1;
	}
	while ((n = getline(&line, &room, f)) >= 0) {
		while (n > 0 && strchr(" \t\r\n", line[n - 1]))
			line[--n] = '\0';
		p = line + strspn(line, " \t");
		if (*p == '\0' || *p == '#')
			continue;
		got = each(ctx, p);
		if (got < 0)
			rc = got;
	}
	if (ferror(f)) {
		log_warn("%s: %s", file, strerror(errno));
		rc = -1;
	}
	free(line);
	fclose(f);
	return rc;
}
