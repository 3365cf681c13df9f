/*
 * Events of a conversation as text that does not depend on how the bytes were
 * cut: what the unit test compares and the fuzzer digests. The parts of a
 * block become one line.
 */
#ifndef TESTS_TALK_TEXT_H
#define TESTS_TALK_TEXT_H

#include "wire/talk.h"

#include <stdio.h>
#include <stdlib.h>

typedef void talk_put(void *arg, const char *s, size_t n);

static inline void talk_hex(struct span s, talk_put *put, void *arg)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < s.n; i++) {
		char hex[2] = { digit[s.p[i] >> 4], digit[s.p[i] & 15] };

		put(arg, hex, 2);
	}
}

static inline void talk_text(const struct event *ev, talk_put *put, void *arg)
{
	char line[256], client[PW_CLIENT_MAX];
	int n = 0;

#define SAY(...) do { \
	n = snprintf(line, sizeof(line), __VA_ARGS__); \
	put(arg, line, (size_t)n); \
} while (0)
	if (ev->kind != EV_BLOCK || ev->raw.n)
		SAY("%s%llu ", ev->by == SIDE_US ? ">" : "<",
		    (unsigned long long)ev->offset);
	switch (ev->kind) {
	case EV_HANDSHAKE:
		SAY("handshake %s", pw_client(ev->hs.peer_id, client));
		break;
	case EV_MESSAGE:
		SAY("%s", pw_name(ev->msg.id));
		break;
	case EV_EXTENDED:
		SAY("ext %s", talk_ext_name(ev->ext));
		if (ev->ext == EXT_HANDSHAKE)
			SAY(" m%zu p%lld%s", ev->xh.m.n, (long long)ev->xh.p,
			    ev->xh.odd ? " odd" : "");
		break;
	case EV_BLOCK:
		if (ev->raw.n)
			SAY("block %u %u %u ", ev->msg.index, ev->msg.begin,
			    ev->msg.bytes);
		talk_hex(ev->part, put, arg);
		if (ev->last)
			SAY("\n");
		return;
	case EV_MALFORMED:
		SAY("%s at %zu: %s", ev->fatal ? "fatal" : "bad",
		    ev->err.offset, ev->err.reason);
		break;
	case EV_GAP:
		SAY("gap %llu%s", (unsigned long long)ev->at,
		    ev->fatal ? " fatal" : "");
		break;
	}
	if (ev->kind == EV_MESSAGE && (ev->msg.id == PW_HAVE ||
	    ev->msg.id == PW_REQUEST))
		SAY(" %u", ev->msg.index);
	if (ev->kind == EV_EXTENDED && ev->ext == EXT_LT_DONTHAVE)
		SAY(" %u", ev->msg.index);
	if (ev->msg.payload.n)
		SAY(" +%zu", ev->msg.payload.n);
	SAY(" =");
	talk_hex(ev->raw, put, arg);
	SAY("\n");
#undef SAY
}

/* A caller of talk as it should be: keeps what is not whole, and aborts if
 * talk breaks its word. Every buffer is exactly as long as what it holds. */
struct talk_feeder {
	struct talk talk;
	uint8_t *kept[2];
	size_t n[2];
	uint64_t fed[2], in_block[2];
	talk_put *put;
	void *arg;
};

static inline void talk_demand(bool holds)
{
	if (!holds)
		abort();
}

static inline bool talk_within(struct span s, const uint8_t *p, size_t n)
{
	return s.n == 0 || (s.p >= p && s.n <= (size_t)(p + n - s.p));
}

static inline void talk_feed(struct talk_feeder *f, enum side by,
    const uint8_t *bytes, size_t n)
{
	size_t all = f->n[by] + n;
	uint8_t *p = malloc(all ? all : 1);
	struct event ev;

	talk_demand(p != NULL);
	if (f->n[by])
		memcpy(p, f->kept[by], f->n[by]);
	if (n)
		memcpy(p + f->n[by], bytes, n);
	free(f->kept[by]);
	f->fed[by] += n;
	struct cur c = cur_of(span_of(p, all));
	for (;;) {
		const uint8_t *before = c.p;
		enum wire_status st = talk_next(&f->talk, by, &c, &ev);

		talk_demand(!c.bad && c.p >= before && c.p <= p + all);
		talk_demand(f->talk.side[by].offset ==
		    f->fed[by] - cur_left(&c));
		if (st != WIRE_OK)
			break;
		talk_demand(c.p > before && ev.by == by);
		talk_demand(talk_within(ev.raw, p, all) &&
		    talk_within(ev.part, p, all) &&
		    talk_within(ev.msg.payload, p, all));
		if (ev.kind == EV_BLOCK) {
			f->in_block[by] = ev.raw.n ? 0 : f->in_block[by];
			talk_demand(ev.at == f->in_block[by]);
			f->in_block[by] += ev.part.n;
			talk_demand(ev.last == (f->in_block[by] ==
			    ev.msg.bytes));
		}
		talk_text(&ev, f->put, f->arg);
	}
	f->n[by] = cur_left(&c);
	talk_demand(f->n[by] < talk_keep_max(&f->talk));
	f->kept[by] = malloc(f->n[by] ? f->n[by] : 1);
	talk_demand(f->kept[by] != NULL);
	memcpy(f->kept[by], c.p, f->n[by]);
	free(p);
}

static inline void talk_feed_gap(struct talk_feeder *f, enum side by,
    uint64_t n)
{
	struct event ev;

	talk_gap(&f->talk, by, n, &ev);
	talk_demand(ev.kind == EV_GAP && ev.by == by && ev.at == n);
	talk_demand(ev.offset == f->fed[by] - f->n[by]);
	talk_text(&ev, f->put, f->arg);
	f->fed[by] += n;
	f->in_block[by] += n;
}

static inline void talk_feeder_fini(struct talk_feeder *f)
{
	free(f->kept[0]);
	free(f->kept[1]);
}

#endif
