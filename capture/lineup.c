#include "capture/lineup.h"

#include <stdlib.h>

#include "schema/log.h"

struct waiting {
	struct waiting *next;
	struct record r;	/* what it lends is in bytes */
	struct endpoint who;
	struct promise *promise;	/* or NULL */
	size_t heap;
	uint8_t sha256[32];
	uint8_t bytes[];
};

struct lineup {
	int64_t (*add)(void *ctx, const struct record *r);
	void *ctx;
	struct waiting *first, **end;
	size_t heap, most;
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for records");
	return p;
}

struct lineup *lineup_new(size_t most, int64_t (*add)(void *ctx,
    const struct record *r), void *ctx)
{
	struct lineup *l = must(malloc(sizeof(*l)));

	*l = (struct lineup){ .add = add, .ctx = ctx, .end = &l->first,
		.most = most };
	return l;
}

static size_t text_bytes(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static const void *lend(uint8_t **at, const void *p, size_t n)
{
	uint8_t *copy = *at;

	if (!p)
		return NULL;
	if (n)
		memcpy(copy, p, n);
	*at += n;
	return copy;
}

/* kind is a constant. */
static void append(struct lineup *l, const struct record *r,
    struct promise *p)
{
	size_t names = r->names * sizeof(*r->named);
	size_t n = names + text_bytes(r->swarm) + text_bytes(r->detail) +
	    r->raw.n;
	struct waiting *w = must(malloc(sizeof(*w) + n));
	uint8_t *at = w->bytes;

	w->next = NULL;
	w->r = *r;
	w->promise = p;
	w->heap = sizeof(*w) + n;
	w->r.named = lend(&at, r->named, names);
	w->r.swarm = lend(&at, r->swarm, text_bytes(r->swarm));
	w->r.detail = lend(&at, r->detail, text_bytes(r->detail));
	w->r.raw.p = lend(&at, r->raw.p, r->raw.n);
	if (r->who) {
		w->who = *r->who;
		w->r.who = &w->who;
	}
	if (r->raw_sha256) {
		memcpy(w->sha256, r->raw_sha256, 32);
		w->r.raw_sha256 = w->sha256;
	}
	*l->end = w;
	l->end = &w->next;
	l->heap += w->heap;
}

static void take_first(struct lineup *l)
{
	struct waiting *w = l->first;

	l->first = w->next;
	if (!l->first)
		l->end = &l->first;
	l->heap -= w->heap;
	if (w->promise)
		w->promise->drop(w->promise);
	free(w);
}

static void hand_on(struct lineup *l)
{
	struct waiting *w = l->first;
	struct json j;

	json_init(&j, JSON_MOST);
	if (w->promise) {
		w->r.raw_sha256 = w->promise->keep(w->promise, &j);
		w->r.detail = json_done(&j);
		if (!w->r.detail)
			log_die("the detail of a %s record does not fit",
			    w->r.kind);
	}
	l->add(l->ctx, &w->r);
	json_fini(&j);
	take_first(l);
}

/* What need not wait goes on, and more while there is more than most. */
static void move_on(struct lineup *l, size_t most)
{
	while (l->first && (l->heap > most || !l->first->promise ||
	    l->first->promise->ready(l->first->promise)))
		hand_on(l);
}

int64_t lineup_add(struct lineup *l, const struct record *r)
{
	move_on(l, r->conn < 0 ? 0 : l->most);
	if (!l->first)
		return l->add(l->ctx, r);
	append(l, r, NULL);
	return -1;
}

int64_t lineup_later(struct lineup *l, const struct record *r,
    struct promise *p)
{
	append(l, r, p);
	move_on(l, l->most);
	return -1;
}

bool lineup_turn(struct lineup *l)
{
	if (!l || !l->first)
		return false;
	move_on(l, l->most);
	return l->first != NULL;
}

void lineup_drain(struct lineup *l)
{
	move_on(l, 0);
}

void lineup_free(struct lineup *l)
{
	if (!l)
		return;
	while (l->first)
		take_first(l);
	free(l);
}
