#include "capture/flow_impl.h"

static struct flow *find(const struct flows *f, const struct packet *p,
    uint32_t bucket, unsigned *side)
{
	struct flow *w;

	for (w = f->bucket[bucket]; w; w = w->chain)
		if (w->transport == FLOW_TCP &&
		    flow_between(w, &p->from, &p->to, side))
			break;
	return w;
}

static void begun(struct flow *w, unsigned side, uint32_t key)
{
	flow_know(w, side, key);
	w->side[side].begun = true;
	w->side[side].start = key;
}

/* A flow whose first packet is p; side 0 opened it, or was seen first. */
static struct flow *begin(struct flows *f, const struct packet *p,
    uint32_t bucket, unsigned *side)
{
	bool answer = (p->flags & PACKET_SYN) && (p->flags & PACKET_ACK);
	struct flow *w = answer ?
	    flowtable_add(f, FLOW_TCP, bucket, &p->to, &p->from) :
	    flowtable_add(f, FLOW_TCP, bucket, &p->from, &p->to);

	*side = answer;
	w->opened = p->flags & PACKET_SYN;
	if (answer)
		begun(w, 0, p->ack);
	if (w->opened)
		begun(w, *side, p->seq + 1);
	else
		flow_know(w, 0, p->seq);
	return w;
}

/* The flow of these ends is another from here on; opener opened it. */
static struct flow *renew(struct flows *f, struct flow *w, unsigned opener,
    uint32_t key)
{
	struct endpoint a = w->end[opener], b = w->end[!opener];
	uint32_t bucket = w->bucket;
	struct flow *n;

	flow_close(f, w, FLOW_REUSED, opener);
	flowtable_drop(f, w);
	n = flowtable_add(f, FLOW_TCP, bucket, &a, &b);
	n->opened = true;
	begun(n, 0, key);
	return n;
}

/* It acknowledges a SYN of the side, and nothing beyond what came with that. */
static bool answers_syn(const struct flow_side *d, uint32_t ack)
{
	return d->begun && ack - d->start <= d->next - d->start;
}

/*
 * A SYN on a flow that is there. It may be a repeat; begin the next flow of
 * the same ends, at once if this one is over; or be forged: then a living flow
 * goes on until the other end answers the SYN, or its sender goes on from it.
 * NULL: nothing more to do.
 */
static struct flow *on_syn(struct flows *f, struct flow *w, unsigned *side,
    const struct packet *p)
{
	struct flow_side *d = &w->side[*side], *o = &w->side[!*side];
	bool over = w->stage == STAGE_OVER || w->reset;
	uint32_t key = p->seq + 1;

	if (d->begun && d->start == key && !over)
		return w;
	if (p->flags & PACKET_ACK) {
		if (over && !(d->begun && d->start == key)) {
			w = renew(f, w, !*side, p->ack);
			*side = 1;
			begun(w, 1, key);
			return w;
		}
		if (w->again_syn && w->again_side != *side &&
		    p->ack == w->again_key) {
			w = renew(f, w, w->again_side, w->again_key);
			*side = 1;
			begun(w, 1, key);
			return w;
		}
		if (!d->known && answers_syn(o, p->ack)) {
			begun(w, *side, key);
			return w;
		}
		f->counts.outside++;
		return NULL;
	}
	if (over || w->unwanted ||
	    (w->stage == STAGE_QUIET && *side == 0 && !o->known)) {
		w = renew(f, w, *side, key);
		*side = 0;
		return w;
	}
	if (!d->known && o->begun) {	/* both open at once */
		begun(w, *side, key);
		return w;
	}
	w->again_syn = true;
	w->again_side = (uint8_t)*side;
	w->again_key = key;
	return NULL;
}

static bool within(uint32_t a, uint32_t b)
{
	int32_t apart = (int32_t)(a - b);

	return apart < FLOW_AHEAD && apart > -FLOW_AHEAD;
}

/* A reset that its receiver would heed: of the very number that comes next, as
 * far as the capture shows that (RFC 5961 3.2). Others may be forged. */
static bool resets(const struct flow *w, unsigned side, const struct packet *p)
{
	const struct flow_side *d = &w->side[side], *o = &w->side[!side];
	const struct segment *last = d->hold && d->hold->n ?
	    hold_at(d->hold, d->hold->n - 1) : NULL;

	if (d->known)
		return p->seq == d->next || p->seq == d->next - 1 ||
		    (d->acks && p->seq == d->ack_last) ||
		    (last && p->seq == last->key + last->units);
	/* The answer to a SYN: it acknowledges that. */
	return (p->flags & PACKET_ACK) && answers_syn(o, p->ack);
}

static void segment(struct flows *f, struct flow *w, unsigned side,
    const struct packet *p)
{
	struct flow_side *d = &w->side[side], *o = &w->side[!side];
	struct segment s = { .key = p->seq, .s = p->payload,
	    .missing = p->missing, .at = f->at,
	    .need = p->flags & PACKET_ACK ? p->ack : o->next };

	s.key += (p->flags & PACKET_SYN) != 0;
	s.units = (uint32_t)p->payload.n + p->missing;
	if (!d->known)
		flow_know(w, side, s.key);
	if (!within(s.key, d->next)) {
		f->counts.outside++;
		return;
	}
	if (p->flags & PACKET_ACK) {
		if (o->known && !within(p->ack, o->next))
			s.need = o->next;
		else
			flow_ack(w, !side, p->ack);
	}
	if (p->payload.n && f->offset)
		s.offset = f->offset + (uint64_t)(p->payload.p - f->frame);
	/* A keepalive repeats a byte that was told, or none of worth. */
	if (s.units > 1 || (s.units == 1 && s.key != d->next - 1))
		flow_offer(f, w, side, &s);
	if (p->flags & PACKET_FIN)
		flow_fin(w, side, s.key + s.units);
	if (flow_waits(w))
		flow_settle(f, w);
}

void flow_tcp(struct flows *f, const struct packet *p)
{
	uint32_t bucket = flowtable_bucket(f, FLOW_TCP, &p->from, &p->to);
	unsigned side;
	struct flow *w = find(f, p, bucket, &side);

	if (w == NULL) {
		if (p->flags & PACKET_RST)
			return;
		w = begin(f, p, bucket, &side);
	} else if (p->flags & PACKET_SYN) {
		w = on_syn(f, w, &side, p);
		if (w == NULL)
			return;
	} else if (w->again_syn && w->again_side == side &&
	    p->seq == w->again_key && !(p->flags & PACKET_RST)) {
		w = renew(f, w, side, p->seq);
		side = 0;
	}
	if (w->stage == STAGE_OVER) {
		f->counts.outside += p->payload.n != 0;
		return;
	}
	if (!(p->flags & PACKET_RST) && side != w->reset_side)
		w->reset = false;	/* who got it goes on */
	w->last = f->at;
	if (side == 1 && w->answered.frame == 0)
		w->answered = f->at;
	flowtable_touch(f, w);
	if (p->flags & PACKET_RST) {
		if (resets(w, side, p))
			flow_reset(f, w, side);
		else
			f->counts.outside++;
		return;
	}
	segment(f, w, side, p);
}
