#include "report/withhold_part.h"

#include <stdlib.h>

#include "schema/log.h"

static unsigned bucket_of(const struct endpoint *e)
{
	unsigned h = e->port;

	for (size_t i = 0; i < sizeof(e->addr); i++)
		h = h * 31 + e->addr[i];
	return h % WITHHOLD_BUCKETS;
}

struct withhold *withhold_new(void)
{
	struct withhold *w = calloc(1, sizeof(*w));

	if (w == NULL)
		log_die("out of memory");
	return w;
}

static void end_free(struct end *e)
{
	for (struct message *m = e->message, *next; m; m = next) {
		next = m->next;
		free((void *)m->raw.p);
		free(m);
	}
	for (struct talk *t = e->talk, *next; t; t = next) {
		next = t->next;
		free(t);
	}
	free(e);
}

void withhold_free(struct withhold *w)
{
	if (w == NULL)
		return;
	for (unsigned i = 0; i < WITHHOLD_BUCKETS; i++) {
		for (struct end *e = w->end[i], *next; e; e = next) {
			next = e->next;
			end_free(e);
		}
		for (struct stream *s = w->stream[i], *next; s; s = next) {
			next = s->next;
			stream_free(s);
		}
	}
	free(w);
}

/* --- what is known ----------------------------------------------------------- */

static struct end *find_end(const struct withhold *w, const struct endpoint *at)
{
	struct end *e = w->end[bucket_of(at)];

	while (e && endpoint_cmp(&e->at, at) != 0)
		e = e->next;
	return e;
}

static struct end *end_of(struct withhold *w, const struct endpoint *at)
{
	struct end *e = find_end(w, at), **bucket;

	if (e)
		return e;
	e = malloc(sizeof(*e));
	if (e == NULL)
		log_die("out of memory");
	bucket = &w->end[bucket_of(at)];
	*e = (struct end){ .next = *bucket, .at = *at };
	return *bucket = e;
}

void withhold_strict(struct withhold *w)
{
	w->strict = true;
}

void withhold_talk(struct withhold *w, const struct endpoint *from,
    int64_t conn, uint64_t n, const uint8_t sha256[32])
{
	struct end *e = end_of(w, from);
	struct talk *t = malloc(sizeof(*t));

	if (t == NULL)
		log_die("out of memory");
	*t = (struct talk){ .next = e->talk, .conn = conn, .n = n };
	memcpy(t->sha256, sha256, sizeof(t->sha256));
	e->talk = t;
	w->strict = true;
}

static void add_message(struct end *e, int64_t conn, struct span raw)
{
	struct message *m = malloc(sizeof(*m));
	uint8_t *copy = raw.p ? malloc(raw.n + 1) : NULL;

	if (m == NULL || (raw.p && copy == NULL))
		log_die("out of memory");
	if (copy)
		memcpy(copy, raw.p, raw.n);
	*m = (struct message){ .next = e->message, .conn = conn,
		.raw = span_of(copy, raw.n) };
	e->message = m;
}

/* Messages that share a record need not be neighbours in the stream: each is
 * looked for by itself. */
void withhold_message(struct withhold *w, const struct endpoint *from,
    int64_t conn, struct span raw)
{
	struct end *e = end_of(w, from);
	size_t at = 0;

	while (raw.p && raw.n - at >= 4) {
		size_t len = (size_t)raw.p[at] << 24 | (size_t)raw.p[at + 1] <<
		    16 | (size_t)raw.p[at + 2] << 8 | raw.p[at + 3];

		if (len == 0 || len > raw.n - at - 4)
			break;
		add_message(e, conn, span_of(raw.p + at, len + 4));
		at += len + 4;
	}
	if (raw.p == NULL || at != raw.n || raw.n == 0)
		add_message(e, conn, (struct span){ 0 });
}

bool withhold_at(const struct withhold *w, const struct endpoint *from)
{
	const struct end *e = find_end(w, from);

	return e && e->message;
}

/* --- the passes -------------------------------------------------------------- */

static struct stream *stream_for(struct withhold *w, struct end *e,
    const struct packet *p)
{
	if (p->kind != PACKET_TCP && !(w->strict && p->kind == PACKET_UDP))
		return NULL;
	return stream_of(w, e, p);
}

void withhold_look(struct withhold *w, const struct packet *p)
{
	struct end *e = find_end(w, &p->from);
	struct stream *s = e && (e->message || w->strict) ?
	    stream_for(w, e, p) : NULL;

	if (s)
		stream_add(w, s, p);
}

/* Where a message that is to be hidden was not found: any stream that may have
 * been its. */
static void lose(struct withhold *w, const struct end *e,
    const struct message *m)
{
	for (unsigned i = 0; i < WITHHOLD_BUCKETS; i++)
		for (struct stream *s = w->stream[i]; s; s = s->next)
			if (s->end == e && (m->conn < 0 || s->talk == NULL ||
			    s->talk->conn == m->conn))
				s->lost = true;
}

void withhold_find(struct withhold *w)
{
	for (unsigned i = 0; i < WITHHOLD_BUCKETS; i++)
		for (struct stream *s = w->stream[i]; s; s = s->next)
			stream_settle(w, s);
	for (unsigned i = 0; i < WITHHOLD_BUCKETS; i++)
		for (struct end *e = w->end[i]; e; e = e->next)
			for (struct message *m = e->message; m; m = m->next)
				if (!m->found)
					lose(w, e, m);
	w->again = true;
}

bool withhold_is(struct withhold *w, const struct packet *p)
{
	struct end *e = find_end(w, &p->from);
	struct stream *s;

	if (p->payload.n == 0 || (!w->strict && (!e || !e->message)))
		return false;
	s = e ? stream_for(w, e, p) : NULL;
	return s == NULL || stream_hides(w, s, p);
}
