/*
 * Bytes written into lent room. What does not fit is remembered and nothing
 * of it is written, so a writer puts everything and asks once.
 */
#ifndef WIRE_SINK_H
#define WIRE_SINK_H

#include <stdio.h>

#include "cur.h"

struct sink {
	uint8_t *p;
	size_t room, n;
	bool full;
};

static inline struct sink sink_of(uint8_t *p, size_t room)
{
	return (struct sink){ p, room, 0, false };
}

static inline void sink_span(struct sink *s, struct span b)
{
	if (s->full || b.n > s->room - s->n) {
		s->full = true;
		return;
	}
	if (b.n)
		memcpy(s->p + s->n, b.p, b.n);
	s->n += b.n;
}

static inline void sink_str(struct sink *s, const char *text)
{
	sink_span(s, span_str(text));
}

/* Bencoded (BEP 3): a string, an integer. */
static inline void sink_ben_span(struct sink *s, struct span b)
{
	char head[24];

	snprintf(head, sizeof(head), "%llu:", (unsigned long long)b.n);
	sink_str(s, head);
	sink_span(s, b);
}

static inline void sink_ben_int(struct sink *s, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "i%llde", (long long)v);
	sink_str(s, text);
}

/* How much was written; 0 if not all of it fitted. */
static inline size_t sink_end(const struct sink *s)
{
	return s->full ? 0 : s->n;
}

#endif
