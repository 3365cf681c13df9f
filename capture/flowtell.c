#include "capture/flow_impl.h"

#include <stdlib.h>

#include "schema/log.h"

#define COMPARE 65536u
#define CHAIN 32u	/* earlier segments looked at for a repeat */

/* How far b is behind a; negative: ahead. */
static int32_t ahead(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void account(struct flows *f, size_t before, const struct hold *h)
{
	size_t memory;

	f->held += hold_memory(h) - before;
	memory = flows_memory(f);
	if (memory > f->most)
		f->most = memory;
}

static void holds_out(struct flows *f, struct flow *w)
{
	if (!w->holding)
		return;
	if (w->holds_newer)
		w->holds_newer->holds_older = w->holds_older;
	else
		f->holds_newest = w->holds_older;
	if (w->holds_older)
		w->holds_older->holds_newer = w->holds_newer;
	else
		f->holds_oldest = w->holds_newer;
	w->holds_newer = w->holds_older = NULL;
	w->holding = false;
}

static void holds_in(struct flows *f, struct flow *w)
{
	if (w->holding)
		return;
	w->holds_older = f->holds_newest;
	if (f->holds_newest)
		f->holds_newest->holds_newer = w;
	else
		f->holds_oldest = w;
	f->holds_newest = w;
	w->holding = true;
}

static struct segment *head(const struct flow_side *d)
{
	return d->hold ? hold_at(d->hold, 0) : NULL;
}

static void release_side(struct flows *f, struct flow_side *d)
{
	if (d->hold == NULL)
		return;
	f->held -= hold_memory(d->hold);
	hold_clear(d->hold);
	free(d->hold);
	d->hold = NULL;
}

void flow_release(struct flows *f, struct flow *w)
{
	release_side(f, &w->side[0]);
	release_side(f, &w->side[1]);
	holds_out(f, w);
}

static void unwanted(struct flows *f, struct flow *w)
{
	w->unwanted = true;
	flow_release(f, w);
}

/* The caller is told of it, once. */
static bool told(struct flows *f, struct flow *w)
{
	struct flow_open o;

	if (w->stage == STAGE_TOLD)
		return !w->unwanted;
	o = (struct flow_open){ .transport = w->transport,
	    .end = { w->end[0], w->end[1] }, .opened = w->opened,
	    .at = w->first, .answered = w->answered };
	w->stage = STAGE_TOLD;
	flowtable_touch(f, w);
	if (w->transport == FLOW_TCP)
		f->counts.flows_tcp++;
	else
		f->counts.flows_utp++;
	w->user = f->sink.open(f->sink.ctx, &o);
	if (w->user == FLOW_UNWANTED)
		unwanted(f, w);
	return !w->unwanted;
}

static void moved(struct flow_side *d, uint32_t units)
{
	d->next += units;
	d->waits = 0;
	d->wait_ns = 0;
}

static void tell_gap(struct flows *f, struct flow *w, unsigned side,
    uint32_t units, uint64_t bytes, struct flow_at at)
{
	struct flow_side *d = &w->side[side];

	if (told(f, w)) {
		f->counts.gaps++;
		f->counts.gap_bytes += bytes;
		f->sink.gap(f->sink.ctx, w->user, side, bytes, units, at);
	}
	d->offset += bytes;
}

/* Units up to key never came. */
static void gap(struct flows *f, struct flow *w, unsigned side, uint32_t key)
{
	struct flow_side *d = &w->side[side];
	uint32_t units = key - d->next;

	moved(d, units);
	tell_gap(f, w, side, units, w->transport == FLOW_TCP ? units : 0,
	    w->last);
}

/* A segment at d->next. */
static void tell(struct flows *f, struct flow *w, unsigned side,
    const struct segment *s)
{
	struct flow_side *d = &w->side[side];
	uint32_t key = d->next;

	moved(d, s->units);
	if (s->s.n) {
		if (s->offset && f->sink.again)
			recent_add(&f->recent, &d->recent, key,
			    (uint32_t)s->s.n, s->offset);
		if (told(f, w) && !f->sink.bytes(f->sink.ctx, w->user, side,
		    s->s, s->at))
			unwanted(f, w);
		d->offset += s->s.n;
	}
	if (s->missing)
		tell_gap(f, w, side, 0, s->missing, s->at);
}

/* Whether something that acknowledges the other side up to need must wait.
 * One unit of TCP may be a FIN that was not captured. */
static bool early(const struct flow *w, unsigned side, uint32_t need)
{
	const struct flow_side *o = &w->side[!side];

	return o->known && ahead(need, o->next) >
	    (w->transport == FLOW_TCP ? 1 : 0);
}

/* --- what came twice --- */

static void differs(struct flows *f, struct flow *w, unsigned side,
    uint32_t key, uint32_t n, struct flow_at at)
{
	struct flow_side *d = &w->side[side];
	uint64_t offset = d->offset - (w->transport == FLOW_TCP ?
	    d->next - key : 0);

	if (ahead(key, d->next) > 0)
		offset = d->offset + (key - d->next);
	f->counts.unlike++;
	if (w->stage != STAGE_PROOF && told(f, w) && f->sink.differs)
		f->sink.differs(f->sink.ctx, w->user, side, offset, n, at);
}

/* The first and last bytes of a and b that differ; false: none do. */
static bool unlike(const uint8_t *a, const uint8_t *b, size_t n, size_t *from,
    size_t *to)
{
	if (n == 0 || memcmp(a, b, n) == 0)
		return false;
	for (*from = 0; a[*from] == b[*from];)
		++*from;
	for (*to = n; a[*to - 1] == b[*to - 1];)
		--*to;
	return true;
}

/* Units [s->key, s->key + n) were told before: are they still the same? */
static void compare_told(struct flows *f, struct flow *w, unsigned side,
    const struct segment *s, uint32_t n)
{
	uint64_t chain = w->side[side].recent;
	const struct recent_entry *e;
	bool tcp = w->transport == FLOW_TCP;
	size_t from, to;

	if (f->sink.again == NULL || s->s.n == 0 || w->unwanted)
		return;
	for (unsigned i = 0; i < CHAIN; i++) {
		uint32_t skip = 0, back = 0, most;

		e = recent_back(&f->recent, &chain);
		if (e == NULL)
			return;
		if (!tcp && e->key != s->key)
			continue;
		if (tcp && ahead(e->key, s->key) > 0)
			skip = e->key - s->key;
		else if (tcp)
			back = s->key - e->key;
		if (skip >= n || skip >= s->s.n || back >= e->n)
			continue;
		most = e->n - back;
		if (tcp && most > n - skip)
			most = n - skip;
		if (most > s->s.n - skip)
			most = (uint32_t)s->s.n - skip;
		if (most > COMPARE || f->sink.again(f->sink.ctx,
		    e->offset + back, f->compare, most) != most)
			continue;
		if (unlike(f->compare, s->s.p + skip, most, &from, &to))
			differs(f, w, side, tcp ? s->key + skip +
			    (uint32_t)from : s->key, (uint32_t)(to - from),
			    s->at);
		if (!tcp)
			return;
	}
}

static void compare_held(struct flows *f, struct flow *w, unsigned side,
    const struct segment *old, const struct segment *new)
{
	size_t from = 0, to, n = new->s.n, m = old->s.n;
	const uint8_t *a = old->s.p, *b = new->s.p;

	if (w->transport == FLOW_UTP) {
		n = n < m ? n : m;
		if (unlike(a, b, n, &from, &to))
			differs(f, w, side, new->key, (uint32_t)(to - from),
			    new->at);
		return;
	}
	int32_t shift = ahead(new->key, old->key);

	if (shift > 0) {
		if ((size_t)shift >= m)
			return;
		a += shift;
		m -= (size_t)shift;
	} else {
		if ((size_t)-shift >= n)
			return;
		b += -shift;
		n -= (size_t)-shift;
	}
	n = n < m ? n : m;
	if (unlike(a, b, n, &from, &to))
		differs(f, w, side, (shift > 0 ? new->key : old->key) +
		    (uint32_t)from, (uint32_t)(to - from), new->at);
}

/* --- holding --- */

/* Without the first n units; TCP only. */
static void trim(struct segment *s, uint32_t n)
{
	uint32_t bytes = n < s->s.n ? n : (uint32_t)s->s.n;

	s->key += n;
	s->units -= n;
	s->s.p += bytes;
	s->s.n -= bytes;
	s->missing -= n - bytes;
	if (s->offset)
		s->offset += bytes;
}

static bool put(struct flows *f, struct flow_side *d, uint32_t place,
    const struct segment *s)
{
	size_t before = hold_memory(d->hold);
	bool ok = hold_put(d->hold, place, s);

	account(f, before, d->hold);
	return ok;
}

static bool full(const struct flow_side *d)
{
	return d->hold && (d->hold->n >= HOLD_SEGMENTS - 1 ||
	    hold_memory(d->hold) > FLOW_HOLD_SIDE);
}

/* Puts what is new of a segment between those that are held. */
static void hold(struct flows *f, struct flow *w, unsigned side,
    struct segment s)
{
	struct flow_side *d = &w->side[side];
	uint32_t place;
	bool new = false;

	if (d->hold == NULL)
		d->hold = calloc(1, sizeof(*d->hold));
	if (d->hold == NULL)
		log_die("out of memory for the flows of a capture");
	holds_in(f, w);
	place = hold_find(d->hold, s.key);
	while (s.units) {
		const struct segment *old = hold_at(d->hold, place);
		struct segment part = s;

		if (old && ahead(old->key, s.key) <= 0) {
			uint32_t n = old->key + old->units - s.key;

			compare_held(f, w, side, old, &s);
			if (n >= s.units)
				break;
			trim(&s, n);
			/* None of the rest was captured: it stays a hole, or
			 * few bytes would be laid around many that are held. */
			if (s.s.n == 0)
				break;
			place++;
			continue;
		}
		if (old && ahead(old->key, s.key + s.units) < 0) {
			part.units = old->key - s.key;
			if (part.s.n > part.units)
				part.s.n = part.units;
			part.missing = part.units - (uint32_t)part.s.n;
		}
		if (!put(f, d, place, &part))
			break;
		new = true;
		place++;
		if (part.units == s.units)
			break;
		trim(&s, part.units);
	}
	if (!new)
		f->counts.repeated++;
	if (d->wait_ns == 0)
		d->wait_ns = f->at.utc_ns;
}

/* --- what may be told now --- */

static bool waited(const struct flows *f, const struct flow_side *d)
{
	int64_t apart = f->at.utc_ns - d->wait_ns;

	return d->waits >= FLOW_WAIT_MOST || (d->waits >= FLOW_WAIT_PACKETS &&
	    (apart >= FLOW_WAIT_NS || apart < 0));
}

/* Nothing follows a FIN: what is held beyond it goes. */
static bool finish_side(struct flows *f, struct flow *w, unsigned side)
{
	struct flow_side *d = &w->side[side];

	if (!d->fin || d->done || d->next != d->end)
		return false;
	moved(d, 1);
	d->done = true;
	release_side(f, d);
	if (!w->side[!side].done)
		w->fin_first = (uint8_t)side;
	return true;
}

/* The first that is held, if its turn has come. Parts before next go: a gap
 * was told there. */
static bool tell_head(struct flows *f, struct flow *w, unsigned side,
    bool anyway)
{
	struct flow_side *d = &w->side[side];
	struct segment *s = head(d);
	size_t before;

	if (s == NULL || ahead(s->key, d->next) > 0 ||
	    (!anyway && early(w, side, s->need)))
		return false;
	before = hold_memory(d->hold);
	s = hold_take(d->hold);
	account(f, before, d->hold);
	if (ahead(s->key, d->next) < 0) {
		uint32_t old = d->next - s->key;

		if (w->transport == FLOW_UTP || old >= s->units) {
			free(s);
			return true;
		}
		trim(s, old);
	}
	tell(f, w, side, s);
	free(s);
	if (d->hold && d->hold->n == 0)
		release_side(f, d);
	return true;
}

/* A hole that is settled becomes a gap. */
static bool skip_hole(struct flows *f, struct flow *w, unsigned side)
{
	struct flow_side *d = &w->side[side];
	const struct segment *s = head(d);
	uint32_t to = d->acked;

	if (!d->acks || ahead(to, d->next) <= 0)
		return false;
	if (s && ahead(to, s->key) > 0)
		to = s->key;
	if (d->fin && ahead(to, d->end) > 0)
		to = d->end;
	/* The last unit, nothing behind it: maybe a FIN that was missed. */
	if (s == NULL && !d->fin)
		to--;
	if (ahead(to, d->next) <= 0)
		return false;
	gap(f, w, side, to);
	return true;
}

static bool step(struct flows *f, struct flow *w, unsigned side)
{
	struct flow_side *d = &w->side[side];

	if (!d->known)
		return false;
	if (tell_head(f, w, side, false) || finish_side(f, w, side))
		return true;
	if (full(d)) {
		const struct segment *s = head(d);

		if (ahead(s->key, d->next) > 0)
			gap(f, w, side, s->key);
		return tell_head(f, w, side, true);
	}
	return waited(f, d) && (tell_head(f, w, side, true) ||
	    skip_hole(f, w, side));
}

/* Whether anything of the side is waited for. */
static bool waits(const struct flow_side *d)
{
	return d->hold || (d->acks && d->known && ahead(d->acked, d->next) > 0);
}

static void count_wait(const struct flows *f, struct flow_side *d)
{
	if (!waits(d))
		return;
	if (d->wait_ns == 0)
		d->wait_ns = f->at.utc_ns;
	if (d->waits < UINT8_MAX)
		d->waits++;
}

/* All that is held, by the order of capture where nothing else decides. */
static void flush(struct flows *f, struct flow *w)
{
	for (;;) {
		const struct segment *a, *b;
		unsigned side;

		if (step(f, w, 0) || step(f, w, 1))
			continue;
		a = head(&w->side[0]);
		b = head(&w->side[1]);
		if (a == NULL && b == NULL)
			break;
		side = a == NULL || (b && b->at.frame < a->at.frame);
		if (ahead(head(&w->side[side])->key, w->side[side].next) > 0)
			gap(f, w, side, head(&w->side[side])->key);
		tell_head(f, w, side, true);
	}
	flow_release(f, w);
}

static void end_if_done(struct flows *f, struct flow *w)
{
	if (w->side[0].done && w->side[1].done)
		flow_close(f, w, FLOW_FIN, w->fin_first);
}

/* Who has waited for longest gives up waiting. */
static void bound(struct flows *f)
{
	while (f->held > FLOW_HOLD_ALL && f->holds_oldest != NULL) {
		struct flow *w = f->holds_oldest;

		if (w->stage == STAGE_PROOF) {
			flow_release(f, w);
			continue;
		}
		flush(f, w);
		end_if_done(f, w);
	}
}

void flow_settle(struct flows *f, struct flow *w)
{
	bound(f);
	if (w->stage == STAGE_PROOF || w->stage == STAGE_OVER)
		return;
	count_wait(f, &w->side[0]);
	count_wait(f, &w->side[1]);
	while (step(f, w, 0) || step(f, w, 1))
		;
	if (w->side[0].hold == NULL && w->side[1].hold == NULL)
		holds_out(f, w);
	end_if_done(f, w);
}

bool flow_waits(const struct flow *w)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct flow_side *d = &w->side[i];

		if (waits(d) || (d->fin && !d->done))
			return true;
	}
	return false;
}

void flow_close(struct flows *f, struct flow *w, enum flow_end end,
    unsigned by)
{
	if (w->stage == STAGE_OVER)
		return;
	if (w->stage != STAGE_PROOF && !w->unwanted) {
		flush(f, w);
		for (unsigned i = 0; i < 2; i++) {
			struct flow_side *d = &w->side[i];

			if (d->acks && ahead(d->ack_last, d->acked) > 0)
				d->acked = d->ack_last;
			if (d->known && w->stage == STAGE_TOLD)
				skip_hole(f, w, i);
		}
	}
	flow_release(f, w);
	if (w->stage == STAGE_TOLD && !w->unwanted)
		f->sink.closed(f->sink.ctx, w->user, end, by, w->last);
	else if (w->stage != STAGE_TOLD)
		f->counts.half_open++;
	w->user = NULL;
	w->stage = STAGE_OVER;
	flowtable_touch(f, w);
}

void flow_reset(struct flows *f, struct flow *w, unsigned side)
{
	if (!f->sink.patient || w->stage != STAGE_TOLD) {
		flow_close(f, w, FLOW_RESET, side);
		return;
	}
	w->reset = true;
	w->reset_side = (uint8_t)side;
	flowtable_touch(f, w);
}

/* --- what TCP and uTP say --- */

void flow_offer(struct flows *f, struct flow *w, unsigned side,
    const struct segment *in)
{
	struct flow_side *d = &w->side[side];
	struct segment s = *in;
	int32_t at = ahead(s.key, d->next);

	if (w->unwanted || s.units == 0)
		return;
	if (d->done) {		/* nothing follows a FIN */
		if (f->sink.patient && s.s.n &&
		    ahead(s.key + s.units, d->end) > 0)
			differs(f, w, side, s.key, s.units, s.at);
		f->counts.repeated++;
		return;
	}
	if (at == 0 && d->hold == NULL && w->stage != STAGE_PROOF &&
	    !early(w, side, s.need)) {
		tell(f, w, side, &s);
		return;
	}
	if (at < 0) {
		uint32_t old = (uint32_t)-at;

		compare_told(f, w, side, &s, old);
		if (old >= s.units) {
			f->counts.repeated++;
			return;
		}
		trim(&s, old);
	}
	hold(f, w, side, s);
}

void flow_fin(struct flow *w, unsigned side, uint32_t key)
{
	struct flow_side *d = &w->side[side];

	if (d->done || ahead(key, d->next) < 0)
		return;
	d->fin = true;
	d->end = key;
}

void flow_know(struct flow *w, unsigned side, uint32_t key)
{
	struct flow_side *d = &w->side[side];

	d->known = true;
	d->next = key;
	if (d->acks && ahead(d->acked, key) > 0)
		d->acked = key;
}

/* A single acknowledgement may be forged, two in a row are believed. */
void flow_ack(struct flow *w, unsigned side, uint32_t key)
{
	struct flow_side *d = &w->side[side];
	uint32_t least;

	if (!d->acks) {
		d->acks = true;
		d->acked = d->ack_last = key;
		if (d->known && ahead(key, d->next) > 0)
			d->acked = d->next;
		return;
	}
	least = ahead(key, d->ack_last) < 0 ? key : d->ack_last;
	d->ack_last = key;
	if (ahead(least, d->acked) > 0)
		d->acked = least;
}
