#include "schema/assembly.h"

#include <stdlib.h>

#include "schema/copy.h"
#include "schema/underway_impl.h"

void assembly_init(struct assembly *a, const struct torrent *t, unsigned most)
{
	*a = (struct assembly){ .torrent = t, .most = most };
}

void assembly_fini(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++)
		underway_free(a->live[i]);
	free(a->live);
	free(a->filling);
	*a = (struct assembly){ 0 };
}

static struct underway *find(const struct assembly *a, uint32_t piece)
{
	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] && a->live[i]->piece == piece)
			return a->live[i];
	return NULL;
}

static void drop_ahead(struct assembly *a, struct ahead *h)
{
	a->ahead--;
	a->heap -= sizeof(*h) + h->n;
	free(h);
}

/* Takes u out of a: what waits for its turn is dropped. */
static struct underway *detach(struct assembly *a, unsigned i)
{
	struct underway *u = a->live[i];

	underway_prove(u, a->torrent, a->proven);
	a->live[i] = NULL;
	if (a->streaming == u) {
		a->streaming = NULL;
		if (a->filling)
			drop_ahead(a, a->filling);
		a->filling = NULL;
	}
	while (u->ahead) {
		struct ahead *h = u->ahead;

		u->ahead = h->next;
		drop_ahead(a, h);
	}
	a->heap -= underway_size(u) + (u->sums ? underway_sums_size(u) : 0);
	a->reach -= underway_size(u) + underway_sums_size(u);
	a->count--;
	return u;
}

struct underway *assembly_take(struct assembly *a)
{
	unsigned oldest = a->room;

	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] && (oldest == a->room ||
		    a->live[i]->turn < a->live[oldest]->turn))
			oldest = i;
	return oldest == a->room ? NULL : detach(a, oldest);
}

/* Where there is room for one more; the oldest makes it where there must not
 * be more places. */
static unsigned place(struct assembly *a, struct underway **out)
{
	unsigned i, room = a->room;
	bool full;

	for (i = 0; i < room && a->live[i]; i++)
		;
	full = a->count >= ASSEMBLY_LIVE && a->reach > ASSEMBLY_REACH;
	if (i < room && !full)
		return i;
	if (room == a->most || full) {
		*out = assembly_take(a);
		for (i = 0; a->live[i]; i++)
			;
		return i;
	}
	a->room = room ? 2 * room : ASSEMBLY_LIVE;
	a->live = underway_must(realloc(a->live, a->room *
	    sizeof(struct underway *)));
	memset(a->live + room, 0, (a->room - room) *
	    sizeof(struct underway *));
	a->heap += (a->room - room) * sizeof(struct underway *);
	return room;
}

static struct underway *begin(struct assembly *a, uint32_t piece,
    struct underway **out)
{
	uint32_t bytes = torrent_piece_bytes(a->torrent, piece);
	uint32_t blocks = (bytes + MI_BLOCK - 1) / MI_BLOCK;
	unsigned i = place(a, out);
	struct underway *u;

	u = underway_must(calloc(1, sizeof(*u) + blocks));
	u->piece = piece;
	u->bytes = bytes;
	u->blocks = blocks;
	torrent_expect(a->torrent, piece, &u->expect);
	u->file = torrent_tree(a->torrent, piece, &u->nth);
	a->live[i] = u;
	a->heap += underway_size(u);
	a->reach += underway_size(u) + underway_sums_size(u);
	a->count++;
	return u;
}

/* Why there is no such block, or NULL. Blocks lie on a grid of 16 KiB. */
static const char *no_block(const struct assembly *a, const struct pw_msg *m)
{
	uint32_t bytes;

	if (m->index >= a->torrent->mi.pieces)
		return "no such piece";
	bytes = torrent_piece_bytes(a->torrent, m->index);
	if (bytes > ASSEMBLY_PIECE_MAX)
		return "piece too large to check";
	if (m->begin >= bytes || m->begin % MI_BLOCK != 0 ||
	    m->bytes != (bytes - m->begin < MI_BLOCK ? bytes - m->begin :
	    MI_BLOCK))
		return "not a block of the 16 KiB grid";
	return NULL;
}

bool assembly_ask(struct assembly *a, const struct pw_msg *request,
    struct underway **out)
{
	struct underway *u;
	uint8_t *state;

	*out = NULL;
	if (no_block(a, request))
		return false;
	u = find(a, request->index);
	if (!u)
		u = begin(a, request->index, out);
	state = &u->state[request->begin / MI_BLOCK];
	if (*state == BLOCK_IDLE)
		*state = BLOCK_ASKED;
	u->turn = ++a->turn;
	return true;
}

void assembly_reject(struct assembly *a, const struct pw_msg *reject)
{
	struct underway *u = find(a, reject->index);
	uint8_t *state;

	if (!u || no_block(a, reject))
		return;
	state = &u->state[reject->begin / MI_BLOCK];
	if (*state != BLOCK_ASKED)
		return;
	*state = BLOCK_IDLE;
	u->rejected = true;
}

void assembly_choke(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++) {
		struct underway *u = a->live[i];

		for (uint32_t b = 0; u && b < u->blocks; b++)
			if (u->state[b] == BLOCK_ASKED)
				u->state[b] = BLOCK_IDLE;
	}
}

/* Those ahead whose turn has come. */
static void catch_up(struct assembly *a, struct underway *u)
{
	struct ahead **p = &u->ahead;

	while (*p) {
		struct ahead *h = *p;

		if (h->block != u->next) {
			p = &h->next;
			continue;
		}
		if (h->n)
			hashing_add(&u->sums->hashing, h->bytes, h->n);
		u->next++;
		*p = h->next;
		drop_ahead(a, h);
		p = &u->ahead;
	}
}

/* A block starts: where its bytes go, or why nowhere. */
static const char *receive(struct assembly *a, const struct pw_msg *m)
{
	const char *why = no_block(a, m);
	uint32_t block = m->begin / MI_BLOCK;
	struct underway *u;

	if (why)
		return why;
	u = find(a, m->index);
	if (!u || u->state[block] == BLOCK_IDLE)
		return "not asked for";
	if (u->state[block] == BLOCK_CAME)
		return "came before";
	if (block != u->next && a->ahead >= (a->most > ASSEMBLY_LIVE ?
	    ASSEMBLY_AHEAD_MOST : ASSEMBLY_AHEAD))
		return "too far ahead of its turn";
	if (!u->sums) {
		underway_begin(u, a->digester);
		a->heap += underway_sums_size(u);
	}
	if (block != u->next) {
		uint32_t n = u->sums->whole.bytes ? 0 : m->bytes;

		a->filling = underway_must(malloc(sizeof(*a->filling) + n));
		*a->filling = (struct ahead){ .block = block, .n = n };
		a->heap += sizeof(*a->filling) + n;
		a->ahead++;
	}
	a->streaming = u;
	a->block = block;
	u->turn = ++a->turn;
	return NULL;
}

static void whole(struct assembly *a, struct stamp at, struct underway **done)
{
	struct underway *u = a->streaming;

	u->state[a->block] = BLOCK_CAME;
	u->sums->utc_ns[a->block] = at.utc_ns;
	u->came += underway_block(u, a->block);
	u->came_blocks++;
	if (a->filling) {
		a->filling->next = u->ahead;
		u->ahead = a->filling;
		a->filling = NULL;
	} else {
		u->next++;
		catch_up(a, u);
	}
	a->streaming = NULL;
	if (u->came_blocks < u->blocks)
		return;
	underway_whole(u, a->proven);
	if (!a->later)
		underway_settle(u);
	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] == u)
			*done = detach(a, i);
}

static void put_part(const struct assembly *a, const struct event *ev)
{
	struct sums *s = a->streaming->sums;

	if (ev->part.n == 0)
		return;
	if (s->whole.bytes)
		copy_ahead(s->whole.bytes + (size_t)a->block * MI_BLOCK +
		    ev->at, ev->part.p, ev->part.n);
	else if (!a->filling)
		hashing_add(&s->hashing, ev->part.p, ev->part.n);
	else
		memcpy(a->filling->bytes + ev->at, ev->part.p, ev->part.n);
}

const char *assembly_block(struct assembly *a, const struct event *ev,
    struct stamp at, struct underway **done)
{
	*done = NULL;
	if (ev->raw.n) {
		const char *why = receive(a, &ev->msg);

		if (why)
			return why;
	}
	if (!a->streaming)
		return NULL;
	put_part(a, ev);
	if (ev->last)
		whole(a, at, done);
	return NULL;
}

struct underway *assembly_gap(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++)
		if (a->streaming && a->live[i] == a->streaming)
			return detach(a, i);
	return NULL;
}
