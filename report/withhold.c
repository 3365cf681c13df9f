#include "report/withhold.h"

#include <stdlib.h>

#include "schema/log.h"

#define STREAM_MOST (64u << 20)		/* bytes of one direction */
#define ALL_MOST (256u << 20)		/* of all that are held */

struct message {
	struct endpoint from;
	struct span raw;	/* ours; p NULL: not known */
	bool found;
};

struct range {
	size_t from, to;
};

/* One direction of one connection. */
struct stream {
	struct endpoint from, to;
	uint32_t base;		/* sequence number of its first byte */
	uint8_t *bytes;
	size_t n, room;
	bool lost;		/* it cannot be put together: all of it */
	struct range *hidden;
	size_t hides;
};

struct withhold {
	struct message *message;
	size_t messages, message_room;
	struct stream *stream;
	size_t streams, stream_room;
	size_t held;
	bool again;		/* the second pass */
};

struct withhold *withhold_new(void)
{
	struct withhold *w = calloc(1, sizeof(*w));

	if (w == NULL)
		log_die("out of memory");
	return w;
}

void withhold_free(struct withhold *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->messages; i++)
		free((void *)w->message[i].raw.p);
	for (size_t i = 0; i < w->streams; i++) {
		free(w->stream[i].bytes);
		free(w->stream[i].hidden);
	}
	free(w->message);
	free(w->stream);
	free(w);
}

static void *grow(void *p, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return p;
	*room = 2 * *room + 16;
	p = realloc(p, *room * size);
	if (p == NULL)
		log_die("out of memory");
	return p;
}

static void add_message(struct withhold *w, const struct endpoint *from,
    struct span raw)
{
	uint8_t *copy = NULL;

	w->message = grow(w->message, w->messages, &w->message_room,
	    sizeof(*w->message));
	if (raw.p) {
		copy = malloc(raw.n + 1);
		if (copy == NULL)
			log_die("out of memory");
		memcpy(copy, raw.p, raw.n);
	}
	w->message[w->messages++] = (struct message){ .from = *from,
		.raw = span_of(copy, raw.n) };
}

/* Messages that share a record need not be neighbours in the stream: each is
 * looked for by itself. */
void withhold_message(struct withhold *w, const struct endpoint *from,
    struct span raw)
{
	size_t at = 0;

	while (raw.p && raw.n - at >= 4) {
		size_t len = (size_t)raw.p[at] << 24 | (size_t)raw.p[at + 1] <<
		    16 | (size_t)raw.p[at + 2] << 8 | raw.p[at + 3];

		if (len == 0 || len > raw.n - at - 4)
			break;
		add_message(w, from, span_of(raw.p + at, len + 4));
		at += len + 4;
	}
	if (raw.p == NULL || at != raw.n || raw.n == 0)
		add_message(w, from, (struct span){ 0 });
}

bool withhold_at(const struct withhold *w, const struct endpoint *from)
{
	for (size_t i = 0; i < w->messages; i++)
		if (endpoint_cmp(&w->message[i].from, from) == 0)
			return true;
	return false;
}

/* --- streams ----------------------------------------------------------------- */

/* The newest of these two ends: a SYN with another number begins one more. In
 * both passes the same packets come in the same order, so the second finds, by
 * the number, what the first made. */
static struct stream *stream_of(struct withhold *w, const struct packet *p)
{
	uint32_t base = p->flags & PACKET_SYN ? p->seq + 1 : p->seq;
	struct stream *s = NULL;

	for (size_t i = w->streams; i-- > 0 && s == NULL;) {
		struct stream *k = &w->stream[i];

		if (endpoint_cmp(&k->from, &p->from) != 0 ||
		    endpoint_cmp(&k->to, &p->to) != 0)
			continue;
		if (p->flags & PACKET_SYN ? k->base == base :
		    base - k->base < STREAM_MOST)
			s = k;
	}
	if (s || w->again)
		return s;
	w->stream = grow(w->stream, w->streams, &w->stream_room,
	    sizeof(*w->stream));
	s = &w->stream[w->streams++];
	*s = (struct stream){ .from = p->from, .to = p->to, .base = base };
	/* Without a SYN what came before is not known. */
	s->lost = (p->flags & PACKET_SYN) == 0;
	return s;
}

void withhold_look(struct withhold *w, const struct packet *p)
{
	struct stream *s;
	size_t at, end;

	if (p->kind != PACKET_TCP || !withhold_at(w, &p->from))
		return;
	s = stream_of(w, p);
	if (p->payload.n == 0 || s->lost)
		return;
	at = p->flags & PACKET_SYN ? 0 : p->seq - s->base;
	end = at + p->payload.n;
	if (end > s->room) {
		size_t room = 2 * end;

		if (end > STREAM_MOST || w->held - s->room + room > ALL_MOST) {
			s->lost = true;
			return;
		}
		s->bytes = realloc(s->bytes, room);
		if (s->bytes == NULL)
			log_die("out of memory");
		w->held += room - s->room;
		s->room = room;
	}
	if (at > s->n)
		memset(s->bytes + s->n, 0, at - s->n);
	memcpy(s->bytes + at, p->payload.p, p->payload.n);
	if (end > s->n)
		s->n = end;
}

static void hide(struct stream *s, size_t from, size_t n)
{
	s->hidden = realloc(s->hidden, (s->hides + 1) * sizeof(*s->hidden));
	if (s->hidden == NULL)
		log_die("out of memory");
	s->hidden[s->hides++] = (struct range){ from, from + n };
}

static void find_in(struct stream *s, struct message *m)
{
	const uint8_t *p = s->bytes, *hit;
	size_t left = s->n;

	while (left && (hit = memmem(p, left, m->raw.p, m->raw.n)) != NULL) {
		hide(s, (size_t)(hit - s->bytes), m->raw.n);
		m->found = true;
		left -= (size_t)(hit - p) + 1;
		p = hit + 1;
	}
}

void withhold_find(struct withhold *w)
{
	for (size_t i = 0; i < w->messages; i++) {
		struct message *m = &w->message[i];

		for (size_t k = 0; m->raw.p && k < w->streams; k++)
			if (endpoint_cmp(&w->stream[k].from, &m->from) == 0 &&
			    !w->stream[k].lost)
				find_in(&w->stream[k], m);
		for (size_t k = 0; !m->found && k < w->streams; k++)
			if (endpoint_cmp(&w->stream[k].from, &m->from) == 0)
				w->stream[k].lost = true;
	}
	w->again = true;
}

bool withhold_is(struct withhold *w, const struct packet *p)
{
	const struct stream *s;
	size_t at;

	if (p->payload.n == 0 || !withhold_at(w, &p->from))
		return false;
	s = p->kind == PACKET_TCP ? stream_of(w, p) : NULL;
	if (s == NULL || s->lost)
		return true;
	at = p->flags & PACKET_SYN ? 0 : p->seq - s->base;
	for (size_t i = 0; i < s->hides; i++)
		if (at < s->hidden[i].to &&
		    at + p->payload.n > s->hidden[i].from)
			return true;
	return false;
}
