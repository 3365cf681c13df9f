#include "capture/dissect.h"

#include <stdlib.h>

#include "capture/dissect_impl.h"
#include "capture/guess.h"
#include "schema/burst.h"
#include "schema/log.h"

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a capture");
	return p;
}

struct dissect *dissect_new(const struct dissect_conf *conf)
{
	struct dissect *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->conf = *conf;
	d->due_end = &d->due;
	d->tracker = (struct trackerlog){ .ctx = conf->ctx, .add = conf->add };
	json_init(&d->tracker.json, JSON_MOST);
	dhtlog_init(&d->dht, conf->ctx, conf->add);
	d->lsd = (struct lsdlog){ .ctx = conf->ctx, .add = conf->add };
	json_init(&d->lsd.json, JSON_MOST);
	d->overhear = overhear_new(d);
	return d;
}

/* --- conversations --------------------------------------------------------------- */

enum side conv_side(const struct conv *c, unsigned side)
{
	return side == (c->us >= 0 ? (unsigned)c->us : c->lead) ? SIDE_US :
	    SIDE_PEER;
}

static void unlink_age(struct conv *c)
{
	struct dissect *d = c->d;

	*(c->older ? &c->older->newer : &d->oldest) = c->newer;
	*(c->newer ? &c->newer->older : &d->newest) = c->older;
}

static void link_newest(struct conv *c)
{
	struct dissect *d = c->d;

	c->older = d->newest;
	c->newer = NULL;
	*(d->newest ? &d->newest->newer : &d->oldest) = c;
	d->newest = c;
}

static void not_due(struct conv *c)
{
	if (!c->due_at)
		return;
	*c->due_at = c->next_due;
	if (c->next_due)
		c->next_due->due_at = c->due_at;
	else
		c->d->due_end = c->due_at;
	c->due_at = NULL;
}

static void be_due(struct conv *c, struct flow_at at)
{
	struct dissect *d = c->d;

	if (c->due_at || !c->w || !witness_waiting(c->w))
		return;
	c->due_ns = at.utc_ns + BURST_NS;
	c->next_due = NULL;
	c->due_at = d->due_end;
	*d->due_end = c;
	d->due_end = &c->next_due;
}

static void drop_held(struct conv *c)
{
	free(c->held[0]);
	free(c->held[1]);
	free(c->early);
	c->held[0] = c->held[1] = NULL;
	c->early = NULL;
	c->earlies = 0;
}

/* Counts what the conversation holds by now. */
static void weigh(struct conv *c)
{
	struct dissect *d = c->d;
	size_t heap = sizeof(*c);

	if (c->early)
		heap += c->held_n[0] + c->held_n[1] +
		    2 * c->earlies * sizeof(*c->early);
	if (c->kind == TALK_PEER)
		heap += peertalk_memory(c);
	else if (c->kind == TALK_WEB)
		heap += webtalk_memory(c);
	d->heap = d->heap - c->heap + heap;
	c->heap = heap;
	if (d->heap > d->most)
		d->most = d->heap;
}

static void drop(struct conv *c)
{
	not_due(c);
	unlink_age(c);
	drop_held(c);
	if (c->kind == TALK_PEER)
		peertalk_free(c);
	else if (c->kind == TALK_WEB)
		webtalk_free(c);
	c->d->heap -= c->heap;
	*c->handle = NULL;
	free(c);
}

static void end(struct conv *c, enum flow_end how, unsigned by,
    struct flow_at at)
{
	if (c->kind == TALK_PEER)
		peertalk_close(c, how, by, at);
	else if (c->kind == TALK_WEB)
		webtalk_close(c, at);
	else
		c->d->counts.unclaimed++;
	drop(c);
}

/* Ends what was idle for longest until the rest fits. */
static void make_room(struct dissect *d, const struct conv *keep)
{
	while (d->heap > DISSECT_MEMORY && d->oldest && d->oldest != keep) {
		d->counts.displaced++;
		end(d->oldest, FLOW_DISPLACED, 0, d->oldest->last);
	}
}

/* Time went on to this: runs of small messages come to their end. */
static void tick(struct dissect *d, struct flow_at at)
{
	while (d->due && d->due->due_ns <= at.utc_ns) {
		struct conv *c = d->due;

		not_due(c);
		peertalk_tick(c, at);
		be_due(c, at);
	}
}

/* --- what a conversation is ------------------------------------------------------ */

static void hold(struct conv *c, unsigned side, struct span s,
    struct flow_at at)
{
	unsigned other = !side;

	if (c->earlies == 0 && !c->opened)
		c->lead = side;
	if (c->held_n[other] == 0 || (side != c->lead &&
	    c->held_n[c->lead] == c->flight[c->lead]))
		c->flight[side] += s.n;
	c->held[side] = must(realloc(c->held[side], c->held_n[side] + s.n));
	memcpy(c->held[side] + c->held_n[side], s.p, s.n);
	c->held_n[side] += s.n;
	if ((c->earlies & (c->earlies - 1)) == 0)
		c->early = must(realloc(c->early, (c->earlies ?
		    2 * c->earlies : 1) * sizeof(*c->early)));
	c->early[c->earlies++] = (struct early){ side, s.n, at };
}

/* What was held is read, in the order it came. */
static bool read_held(struct conv *c)
{
	bool wanted = true;
	size_t at[2] = { 0, 0 };

	for (size_t i = 0; i < c->earlies && wanted; i++) {
		struct early *e = &c->early[i];
		struct span s = span_of(c->held[e->side] + at[e->side], e->n);

		at[e->side] += e->n;
		if (c->kind == TALK_PEER)
			peertalk_bytes(c, e->side, s, e->at);
		else
			wanted = webtalk_bytes(c, e->side, s, e->at);
	}
	return wanted;
}

static bool release(struct conv *c)
{
	bool wanted = read_held(c);

	drop_held(c);
	return wanted;
}

/* The record of what cannot be read keeps what it was told by, however the
 * bytes were cut; the side that spoke last may have said more. */
static void release_blind(struct conv *c, struct flow_at at)
{
	unsigned a = c->lead;
	size_t n = c->flight[a] + GUESS_NEXT, rest = c->held_n[a] - n;

	c->early[c->earlies - 1].n -= rest;
	read_held(c);
	peertalk_blind(c, at);
	if (rest)
		peertalk_bytes(c, a, span_of(c->held[a] + n, rest), at);
	drop_held(c);
}

static bool find_secret(struct conv *c, struct dissect_secret *s)
{
	const struct dissect_conf *conf = &c->d->conf;

	if (!c->opened || c->looked || !conf->secret ||
	    c->held_n[c->lead] < MSE_KEY || c->hole[0] || c->hole[1])
		return false;
	c->looked = true;
	return conf->secret(conf->secrets, c->held[c->lead], s);
}

/* Of our own, as the ledger has it: nothing is to be guessed. */
static bool begin_live(struct conv *c, struct flow_at at)
{
	const struct dissect_conf *conf = &c->d->conf;
	struct dissect_met m = { .transport = c->transport };
	struct dissect_live l = { 0 };

	if (c->us < 0 || !conf->live)
		return false;
	m.us = c->end[c->us];
	m.peer = c->end[!c->us];
	m.dialled = (unsigned)c->us == c->lead;
	m.utc_ns = c->began.utc_ns;
	if (!conf->live(conf->ctx, &m, &l))
		return false;
	peertalk_begin(c, l.veiled, l.secret_known ? &l.secret : NULL, at);
	return true;
}

/* False: it is none that we know. */
static bool decide(struct conv *c, struct flow_at at)
{
	unsigned a = c->lead, b = !a;
	struct guess_view v = { .opened = c->opened,
		.first = { span_of(c->held[a], c->held_n[a]),
		    span_of(c->held[b], c->held_n[b]) },
		.flight = { c->flight[a], c->flight[b] },
		.hole = { c->hole[a], c->hole[b] } };
	enum guess g;
	struct dissect_secret s;

	if (begin_live(c, at))
		return release(c);
	g = guess(&v);
	if (g != GUESS_PEER && g != GUESS_HTTP && find_secret(c, &s)) {
		peertalk_begin(c, true, &s, at);
		return release(c);
	}
	switch (g) {
	case GUESS_MORE:
		return true;
	case GUESS_PEER:
		/* The infohash of what we dialled stands in `dial`. */
		if (c->us >= 0 && (unsigned)c->us == a &&
		    v.first[0].n < 48 && v.first[1].n == 0)
			return true;
		peertalk_begin(c, false, NULL, at);
		break;
	case GUESS_HTTP:
		webtalk_begin(c);
		break;
	case GUESS_CRYPT:
		peertalk_begin(c, true, NULL, at);
		release_blind(c, at);
		return true;
	case GUESS_OTHER:
		return false;
	}
	return release(c);
}

/* --- metadata ---------------------------------------------------------------------- */

static void settle(struct dissect *d, struct flow_at at)
{
	struct known_swarm *s = d->learnt;
	struct record r = { .at = dissect_stamp(at), .kind = "torrent",
		.conn = CONN_NONE };
	struct json j;

	if (!s)
		return;
	d->learnt = NULL;
	r.swarm = s->ref.swarm;
	r.raw = s->ref.torrent->mi.file;
	json_init(&j, JSON_MOST);
	torrent_detail(s->ref.torrent, d->givers, &j);
	r.detail = json_done(&j);
	if (!r.detail)
		log_die("a torrent's record is too long");
	d->conf.add(d->conf.ctx, &r);
	json_fini(&j);
	/* What they claimed so far may take more from here on: the oldest end
	 * for it, never the one at hand, which is the newest. */
	for (struct conv *c = s->users, *next; c; c = next) {
		witness_metadata(c->w, dissect_stamp(at));
		weigh(c);
		make_room(d, c);
		next = c->mate;
	}
	if (d->conf.learnt)
		d->conf.learnt(d->conf.ctx, &s->ref);
}

/* --- the sink -------------------------------------------------------------------------- */

/* A savefile may give any time at all; differences of these must fit. */
static struct flow_at sane(struct flow_at at)
{
	const int64_t least = -(INT64_C(1) << 61), most = INT64_C(1) << 62;

	if (at.utc_ns < least)
		at.utc_ns = least;
	if (at.utc_ns > most)
		at.utc_ns = most;
	at.frame &= (UINT64_C(1) << DISSECT_FRAME_BITS) - 1;
	return at;
}

static const char *file_of(const struct dissect *d, struct flow_at at)
{
	uint64_t nth = at.frame >> DISSECT_FRAME_BITS;

	return nth && nth <= d->file_count ? d->files[nth - 1] : d->file;
}

static void *on_open(void *ctx, const struct flow_open *o)
{
	struct dissect *d = ctx;
	struct conv **handle, *c;
	int us = -1;

	if (d->conf.ours) {
		for (int i = 0; i < 2 && us < 0; i++)
			if (d->conf.ours(d->conf.ctx, &o->end[i]))
				us = i;
		if (us < 0)
			return FLOW_UNWANTED;
	}
	c = must(calloc(1, sizeof(*c)));
	handle = must(malloc(sizeof(*handle)));
	*handle = c;
	*c = (struct conv){ .d = d, .handle = handle, .transport = o->transport,
		.end = { o->end[0], o->end[1] }, .opened = o->opened,
		.us = us, .file = file_of(d, o->at),
		.began = sane(o->at),
		.last = sane(o->at), .seq = -1 };
	link_newest(c);
	weigh(c);
	make_room(d, c);
	return handle;
}

static bool on_bytes(void *ctx, void *flow, unsigned side, struct span s,
    struct flow_at at)
{
	struct conv **handle = flow, *c = *handle;
	struct dissect *d = ctx;
	bool wanted = true;

	at = sane(at);
	tick(d, at);
	if (!c) {
		free(handle);
		return false;
	}
	c->last = at;
	if (d->newest != c) {
		unlink_age(c);
		link_newest(c);
	}
	switch (c->kind) {
	case TALK_NEW:
		hold(c, side, s, at);
		wanted = decide(c, at);
		break;
	case TALK_PEER:
		peertalk_bytes(c, side, s, at);
		break;
	case TALK_WEB:
		wanted = webtalk_bytes(c, side, s, at);
		break;
	}
	settle(d, at);
	if (wanted && c->kind == TALK_PEER && peertalk_over(c)) {
		end(c, FLOW_CAPTURE_END, 0, at);
		free(handle);
		return false;
	}
	if (!wanted) {
		d->counts.unclaimed += c->kind == TALK_NEW;
		drop(c);
		free(handle);
		return false;
	}
	be_due(c, at);
	weigh(c);
	make_room(d, c);
	return true;
}

static void on_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct conv *c = *(struct conv **)flow;

	(void)packets;
	at = sane(at);
	tick(ctx, at);
	if (!c)
		return;
	if (c->kind == TALK_NEW)
		c->hole[side] = true;
	else if (c->kind == TALK_PEER)
		peertalk_gap(c, side, n, at);
	else
		end(c, FLOW_CAPTURE_END, 0, at);
}

static void on_differs(void *ctx, void *flow, unsigned side, uint64_t offset,
    uint64_t n, struct flow_at at)
{
	struct conv *c = *(struct conv **)flow;

	(void)ctx;
	if (c && c->kind == TALK_PEER)
		peertalk_differs(c, side, offset, n, sane(at));
}

static void on_closed(void *ctx, void *flow, enum flow_end how, unsigned by,
    struct flow_at at)
{
	struct conv **handle = flow;

	at = sane(at);
	tick(ctx, at);
	if (*handle)
		end(*handle, how, by, at);
	free(handle);
}

static void on_datagram(void *ctx, const struct endpoint *from,
    const struct endpoint *to, struct span s, uint32_t missing,
    struct flow_at at)
{
	struct dissect *d = ctx;

	at = sane(at);
	tick(d, at);
	if (d->conf.ours && !d->conf.ours(d->conf.ctx, from) &&
	    !d->conf.ours(d->conf.ctx, to))
		return;
	if (missing || !overhear_datagram(d->overhear, from, to, s, at))
		d->counts.datagrams++;
}

static void on_odd(void *ctx, const char *reason, struct flow_at at)
{
	struct dissect *d = ctx;

	if (d->conf.odd)
		d->conf.odd(d->conf.ctx, reason, sane(at));
}

static size_t on_again(void *ctx, uint64_t offset, void *buf, size_t n)
{
	struct dissect *d = ctx;

	return d->source ? source_again(d->source, offset, buf, n) : 0;
}

struct flow_sink dissect_sink(struct dissect *d)
{
	return (struct flow_sink){ .ctx = d, .open = on_open,
	    .bytes = on_bytes, .gap = on_gap, .differs = on_differs,
	    .closed = on_closed, .datagram = on_datagram,
	    .again = on_again, .odd = on_odd, .patient = d->conf.ours != NULL };
}

void dissect_file(struct dissect *d, const char *file, struct source *src)
{
	d->source = src;
	if (file == d->file)
		return;
	d->file = file;
	d->files = must(realloc(d->files, (d->file_count + 1) *
	    sizeof(*d->files)));
	d->files[d->file_count++] = file;
}

void dissect_finish(struct dissect *d)
{
	overhear_finish(d->overhear);
}

struct dissect_counts dissect_counts(const struct dissect *d)
{
	return d->counts;
}

size_t dissect_memory_most(const struct dissect *d)
{
	return d->most + overhear_memory(d->overhear) +
	    known_memory(d->conf.known);
}

void dissect_free(struct dissect *d)
{
	if (!d)
		return;
	while (d->oldest) {
		struct conv **handle = d->oldest->handle;

		drop(d->oldest);
		free(handle);	/* its flow was never closed */
	}
	overhear_free(d->overhear);
	json_fini(&d->tracker.json);
	json_fini(&d->lsd.json);
	dhtlog_fini(&d->dht);
	free(d->files);
	free(d);
}
