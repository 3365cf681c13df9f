/*
 * The dissector at its sink, without packets: what a conversation says is told
 * to it whole, then cut at every length, and the records must be the same.
 */
#ifndef TESTS_DISSECT_KIT_H
#define TESTS_DISSECT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "capture/dissect.h"
#include "capture/lineup.h"
#include "schema/gather.h"
#include "tests/exact.h"
#include "tests/torrent_kit.h"

struct say {
	unsigned side;
	struct span bytes;
};

struct bench {
	struct known *known;
	struct dissect *d;
	struct lineup *lineup;
	struct digester *digester;
	struct flow_sink sink;
	char *text;	/* kind ip:port swarm detail names, a line each */
	size_t n, room;
	int64_t records;
	struct flow_at at;
};

static inline void put(struct bench *b, const char *s)
{
	size_t n = strlen(s);

	if (b->n + n + 1 > b->room) {
		b->room = 2 * (b->n + n + 1);
		b->text = realloc(b->text, b->room);
		assert_non_null(b->text);
	}
	memcpy(b->text + b->n, s, n + 1);
	b->n += n;
}

static inline int64_t keep(void *ctx, const struct record *r)
{
	struct bench *b = ctx;
	char text[ENDPOINT_TEXT_MAX];

	put(b, r->kind);
	put(b, " ");
	put(b, r->who ? endpoint_text(r->who, text) : "-");
	put(b, " ");
	put(b, r->swarm ? r->swarm : "-");
	put(b, " ");
	put(b, r->detail);
	for (size_t i = 0; i < r->names; i++) {
		put(b, " ");
		put(b, endpoint_text(&r->named[i].at, text));
	}
	put(b, "\n");
	assert_true(r->at.mono_ns == -1);
	return b->records++;
}

static inline int64_t on_add(void *ctx, const struct record *r)
{
	return lineup_add(((struct bench *)ctx)->lineup, r);
}

static inline int64_t on_later(void *ctx, const struct record *r,
    struct promise *p)
{
	return lineup_later(((struct bench *)ctx)->lineup, r, p);
}

/* Who we are, where packets are our own. */
static const struct endpoint *own;

static inline bool on_ours(void *ctx, const struct endpoint *e)
{
	(void)ctx;
	return endpoint_same_ip(e, own);
}

/* The secret of whoever's public key begins with 'K'. */
#define SECRET 0x77

static inline bool on_secret(void *ctx, const uint8_t key[MSE_KEY],
    struct dissect_secret *s)
{
	(void)ctx;
	memset(s->secret, SECRET, MSE_KEY);
	s->skey_known = false;
	return key[0] == 'K';
}

static inline void bench_open(struct bench *b, const struct kit *kit)
{
	struct dissect_conf conf = { .ctx = b, .add = on_add,
		.later = on_later, .secret = on_secret,
		.ours = own ? on_ours : NULL };
	struct wire_error err;

	*b = (struct bench){ .known = known_new(),
		.digester = digester_new(2, GATHER_LONG_NS), .at = { 1000000000, 1 } };
	b->lineup = lineup_new(LINEUP_MEMORY, keep, b);
	conf.known = b->known;
	conf.digester = b->digester;
	if (kit)
		assert_true(known_add(b->known, torrent_new(span_of(kit->file,
		    kit->n), &err)));
	b->d = dissect_new(&conf);
	b->sink = dissect_sink(b->d);
	dissect_file(b->d, "packets/000001.pcap", NULL);
	put(b, "");
}

static inline void bench_close(struct bench *b)
{
	dissect_finish(b->d);
	lineup_drain(b->lineup);
	dissect_free(b->d);
	lineup_free(b->lineup);
	digester_free(b->digester);
	known_free(b->known);
	free(b->text);
}

static inline struct endpoint end(uint8_t n)
{
	uint8_t a[4] = { 192, 0, 2, n };

	return endpoint_of(span_of(a, 4), (uint16_t)(1000 + n));
}

/* One conversation, its bytes in pieces of at most cut (0: as they are). */
static inline void talk(struct bench *b, bool opened, const struct say *said,
    size_t n, size_t cut)
{
	struct flow_open o = { .transport = FLOW_TCP, .end = { end(1), end(2) },
		.opened = opened, .at = b->at };
	void *f = b->sink.open(b->sink.ctx, &o);
	bool wanted = f != FLOW_UNWANTED;

	for (size_t i = 0; i < n && wanted; i++) {
		struct span s = said[i].bytes;

		while (s.n && wanted) {
			size_t part = cut && cut < s.n ? cut : s.n;
			struct span now = exact(s.p, part);

			b->at.frame++;
			wanted = b->sink.bytes(b->sink.ctx, f, said[i].side,
			    now, b->at);
			unexact(now);
			s.p += part;
			s.n -= part;
		}
	}
	if (wanted)
		b->sink.closed(b->sink.ctx, f, FLOW_FIN, 0, b->at);
	lineup_drain(b->lineup);
}

static inline unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Frame numbers follow the cuts; all else must not. */
static inline void blur(char *text)
{
	for (char *p = text; (p = strstr(p, "\"frame\":")); p++)
		for (char *q = p + 8; *q >= '0' && *q <= '9'; q++)
			*q = '#';
	for (char *p = text; (p = strchr(p, '#')); )
		if (p[1] == '#')
			memmove(p, p + 1, strlen(p));
		else
			p++;
}

/* The same records however it is cut; those of the whole in b. */
static inline void every_cut(struct bench *b, const struct kit *kit,
    bool opened, const struct say *said, size_t n, size_t to, size_t step)
{
	bench_open(b, kit);
	talk(b, opened, said, n, 0);
	blur(b->text);
	for (size_t cut = 1; cut <= to; cut += step) {
		struct bench c;

		bench_open(&c, kit);
		talk(&c, opened, said, n, cut);
		blur(c.text);
		assert_string_equal(c.text, b->text);
		bench_close(&c);
	}
}

#endif
