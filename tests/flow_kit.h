/*
 * For tests of flows: what the sink is told, as text and as bytes.
 */
#ifndef TESTS_FLOW_KIT_H
#define TESTS_FLOW_KIT_H

#include <stdarg.h>
#include <stdio.h>

#include "capture/flow.h"
#include "tests/packet_kit.h"

#define HEARD_FLOWS 64u
#define HEARD_BYTES 65536u

struct ear;

/* One flow as it was told. */
struct heard {
	struct flow_open open;
	uint8_t bytes[2][HEARD_BYTES];	/* gaps left as zeros, if they fit */
	uint64_t n[2], got[2], missed[2];
	uint32_t missed_packets[2];
	unsigned differs, side_last;
	bool closed;
	enum flow_end end;
};

struct ear {
	struct flows *flows;
	struct source_packet packet;	/* stamp and frame of the next */
	char text[1 << 14];
	size_t n;
	struct heard *heard;
	unsigned count, odds;
	bool quiet;		/* no text */
	bool silent;		/* nothing but counts */
	unsigned refuse;	/* flows that are unwanted at once */
	unsigned stop_after;	/* bytes told calls after which one is */
	/* Asked before bytes of a side are told; NULL: nobody. */
	void (*check)(struct ear *e, const struct heard *h, unsigned side);
	uint8_t *file;		/* what was given, for again */
	size_t file_n;
};

static inline void note(struct ear *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void note(struct ear *e, const char *fmt, ...)
{
	va_list ap;

	if (e->quiet || e->n >= sizeof(e->text) - 1)
		return;
	va_start(ap, fmt);
	e->n += (size_t)vsnprintf(e->text + e->n, sizeof(e->text) - e->n, fmt,
	    ap);
	va_end(ap);
}

static inline void *ear_open(void *ctx, const struct flow_open *o)
{
	struct ear *e = ctx;
	struct heard *h = &e->heard[e->count % HEARD_FLOWS];

	e->count++;
	if (e->refuse) {
		e->refuse--;
		note(e, "refused ");
		return FLOW_UNWANTED;
	}
	if (!e->silent)
		*h = (struct heard){ .open = *o };
	note(e, "%s(%u>%u %llu,%llu) ", o->opened ? "open" : "middle",
	    o->end[0].port, o->end[1].port, (unsigned long long)o->at.frame,
	    (unsigned long long)o->answered.frame);
	return h;
}

static inline bool ear_bytes(void *ctx, void *flow, unsigned side,
    struct span s, struct flow_at at)
{
	struct ear *e = ctx;
	struct heard *h = flow;

	if (e->check)
		e->check(e, h, side);
	note(e, "%u:%.*s@%llu ", side, (int)s.n, (const char *)s.p,
	    (unsigned long long)at.frame);
	if (!e->silent) {
		if (h->n[side] + s.n <= HEARD_BYTES)
			memcpy(h->bytes[side] + h->n[side], s.p, s.n);
		h->n[side] += s.n;
		h->got[side] += s.n;
	}
	return e->stop_after == 0 || --e->stop_after != 0;
}

static inline void ear_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct ear *e = ctx;
	struct heard *h = flow;

	(void)at;
	if (!e->silent) {
		h->n[side] += n;
		h->missed[side] += n;
		h->missed_packets[side] += packets;
	}
	if (h->open.transport == FLOW_TCP)
		note(e, "%u:gap %llu ", side, (unsigned long long)n);
	else
		note(e, "%u:gap %llu/%u ", side, (unsigned long long)n,
		    packets);
}

static inline void ear_differs(void *ctx, void *flow, unsigned side,
    uint64_t offset, uint64_t n, struct flow_at at)
{
	struct ear *e = ctx;
	struct heard *h = flow;

	h->differs++;
	note(e, "%u:differs %llu+%llu@%llu ", side,
	    (unsigned long long)offset, (unsigned long long)n,
	    (unsigned long long)at.frame);
}

static inline void ear_closed(void *ctx, void *flow, enum flow_end end,
    unsigned by, struct flow_at at)
{
	struct ear *e = ctx;
	struct heard *h = flow;

	h->closed = true;
	h->end = end;
	note(e, "%s by %u@%llu ", flow_end_text(end), by,
	    (unsigned long long)at.frame);
}

static inline void ear_datagram(void *ctx, const struct endpoint *from,
    const struct endpoint *to, struct span s, uint32_t missing,
    struct flow_at at)
{
	struct ear *e = ctx;

	(void)at;
	note(e, "datagram(%u>%u %.*s/%u) ", from->port, to->port, (int)s.n,
	    (const char *)s.p, missing);
}

static inline void ear_odd(void *ctx, const char *reason, struct flow_at at)
{
	struct ear *e = ctx;

	e->odds++;
	note(e, "[%s@%llu] ", reason, (unsigned long long)at.frame);
}

static inline size_t ear_again(void *ctx, uint64_t offset, void *buf, size_t n)
{
	struct ear *e = ctx;

	if (offset > e->file_n || n > e->file_n - offset)
		return 0;
	memcpy(buf, e->file + offset, n);
	return n;
}

/* again: what is given can be read once more, up to room bytes. */
static inline void ear_begin(struct ear *e, size_t room)
{
	struct flow_sink sink = { e, ear_open, ear_bytes, ear_gap,
	    ear_differs, ear_closed, ear_datagram, ear_odd,
	    room ? ear_again : NULL, false };

	*e = (struct ear){ .heard = calloc(HEARD_FLOWS, sizeof(*e->heard)),
	    .file = calloc(1, room + 1), .flows = flows_new(&sink),
	    .packet = { .link = LINK_RAW, .utc_ns = 1700000000000000000,
		.stamped = true } };
	if (e->heard == NULL || e->file == NULL || e->flows == NULL)
		abort();
	e->file_n = room ? 1 : 0;	/* offset 0 is none */
}

/* The next packet, in an exact heap copy; kept: bytes that the capture kept. */
static inline void ear_give_cut(struct ear *e, const struct bytes *b,
    size_t kept)
{
	uint8_t *copy = malloc(kept ? kept : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, b->b, kept);
	if (e->file_n) {
		memcpy(e->file + e->file_n, copy, kept);
		e->packet.offset = e->file_n;
		e->file_n += kept;
	}
	e->packet.bytes = span_of(copy, kept);
	e->packet.length = (uint32_t)b->n;
	e->packet.frame++;
	flows_packet(e->flows, &e->packet);
	free(copy);
}

static inline void ear_give(struct ear *e, const struct bytes *b)
{
	ear_give_cut(e, b, b->n);
}

static inline void ear_end(struct ear *e)
{
	flows_free(e->flows);
	free(e->heard);
	free(e->file);
}

struct ear_case {
	const char *name, *script, *want;
};
typedef void ear_play(struct ear *e, const char *script, unsigned family);

/* Each case over IPv4 and IPv6; how many were heard otherwise. */
static inline unsigned ear_all(const struct ear_case *c, size_t n,
    ear_play *play)
{
	unsigned wrong = 0;
	struct ear e;

	for (size_t i = 0; i < n; i++)
		for (unsigned family = 4; family <= 6; family += 2) {
			ear_begin(&e, 100000);
			play(&e, c[i].script, family);
			flows_finish(e.flows);
			if (strcmp(e.text, c[i].want) != 0) {
				fprintf(stderr, "%s: %s\n", c[i].name, e.text);
				wrong++;
			}
			ear_end(&e);
		}
	return wrong;
}

#endif
