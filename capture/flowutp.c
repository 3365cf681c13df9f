#include "capture/flow_impl.h"

/*
 * A datagram may look like uTP by chance, so a flow begins unproven
 * (STAGE_PROOF): a SYN that the other end must acknowledge in a packet of the
 * id the SYN announced; or, in mid-stream, any packet that the other end must
 * answer with the neighbouring id, each acknowledging about what the other
 * sends. Two random packets pass that about once in 10^9.
 */

#define PAIR_UNPROVEN 8u	/* of one pair of endpoints at once */
#define PAIR_MOST 64u
#define NEAR 512		/* packets under way, in mid-stream */
#define FAR 8192		/* no sender has so many under way */
#define EARLY_MOST 64u		/* packets held of an unproven flow */
#define STALE_NS (10LL * 1000000000)

enum belongs {
	BELONGS_NOT,
	BELONGS,
	BELONGS_PROVES	/* it settles that this is a flow */
};

static uint32_t key_of(const struct flow_side *d, uint16_t seq)
{
	/* Half the numbers are ahead of the next, half behind. */
	uint32_t at = (uint16_t)(seq - (uint16_t)d->next);

	return at < 0x8000 ? d->next + at : d->next + at - 0x10000;
}

/* 0 <= a - b <= most, of numbers that wrap. */
static bool upto(uint16_t a, uint16_t b, int most)
{
	int16_t apart = (int16_t)(a - b);

	return apart >= 0 && apart <= most;
}

static bool near_next(const struct flow_side *d, uint16_t seq)
{
	int16_t apart = (int16_t)(seq - (uint16_t)d->next);

	return apart > -FAR && apart < FAR;
}

static enum belongs to_unproven(const struct flow *w, unsigned side,
    const struct utp_packet *p)
{
	const struct flow_side *a = &w->side[0];

	if (w->opened) {	/* its SYN was seen */
		if (side == 0)
			return p->conn_id == (p->type == UTP_ST_SYN ?
			    w->id[1] : w->id[0]) && p->type != UTP_ST_RESET &&
			    upto(p->seq, (uint16_t)(a->next - 1),
				EARLY_MOST) ? BELONGS : BELONGS_NOT;
		if (p->type == UTP_ST_RESET)
			return p->conn_id == w->id[0] ||
			    p->conn_id == w->id[1] ? BELONGS : BELONGS_NOT;
		return p->conn_id == w->id[1] && p->type != UTP_ST_SYN &&
		    upto(p->ack, (uint16_t)(a->next - 1), EARLY_MOST) ?
		    BELONGS_PROVES : BELONGS_NOT;
	}
	if (p->type == UTP_ST_SYN || p->type == UTP_ST_RESET)
		return BELONGS_NOT;
	if (side == 0)
		return p->conn_id == w->id[0] &&
		    near_next(a, p->seq) ? BELONGS : BELONGS_NOT;
	return (p->conn_id == (uint16_t)(w->id[0] + 1) ||
	    p->conn_id == (uint16_t)(w->id[0] - 1)) &&
	    upto((uint16_t)(w->seen_seq + NEAR / 2), p->ack, NEAR) &&
	    upto((uint16_t)(p->seq + NEAR / 2), w->seen_ack, NEAR) ?
	    BELONGS_PROVES : BELONGS_NOT;
}

static enum belongs to_proven(const struct flow *w, unsigned side,
    const struct utp_packet *p)
{
	const struct flow_side *d = &w->side[side];

	switch (p->type) {
	case UTP_ST_RESET:
		return p->conn_id == w->id[0] || p->conn_id == w->id[1] ?
		    BELONGS : BELONGS_NOT;
	case UTP_ST_SYN:
		return w->opened && side == 0 && p->conn_id == w->id[1] &&
		    p->seq == w->seen_seq ? BELONGS : BELONGS_NOT;
	case UTP_ST_DATA:
	case UTP_ST_FIN:
	case UTP_ST_STATE:
		break;
	}
	return p->conn_id == w->id[side] && (!d->known ||
	    near_next(d, p->seq)) ? BELONGS : BELONGS_NOT;
}

/* The flow that a packet belongs to. */
static struct flow *find(struct flows *f, const struct packet *u,
    const struct utp_packet *p, uint32_t bucket, unsigned *side,
    enum belongs *how)
{
	struct flow *w, *unproven = NULL, *oldest = NULL, *last = NULL;
	unsigned proofs = 0, all = 0, s;

	for (w = f->bucket[bucket]; w; w = w->chain) {
		if (w->transport != FLOW_UTP ||
		    !flow_between(w, &u->from, &u->to, &s))
			continue;
		last = w;
		if (++all >= PAIR_MOST)
			break;
		if (w->stage != STAGE_PROOF) {
			if (to_proven(w, s, p) == BELONGS_NOT)
				continue;
			*side = s;
			*how = BELONGS;
			return w;
		}
		proofs++;
		oldest = w;
		if (unproven == NULL) {
			*how = to_unproven(w, s, p);
			if (*how != BELONGS_NOT) {
				unproven = w;
				*side = s;
			}
		}
	}
	if (unproven)
		return unproven;
	if (proofs >= PAIR_UNPROVEN) {
		flowtable_drop(f, oldest);
	} else if (all >= PAIR_MOST) {
		flow_close(f, last, FLOW_DISPLACED, 0);
		flowtable_drop(f, last);
	}
	return NULL;
}

static struct flow *begin(struct flows *f, const struct packet *u,
    const struct utp_packet *p, uint32_t bucket)
{
	struct flow *w = flowtable_add(f, FLOW_UTP, bucket, &u->from, &u->to);

	w->stage = STAGE_PROOF;
	w->seen_seq = p->seq;
	w->seen_ack = p->ack;
	w->id[0] = p->conn_id;
	if (p->type == UTP_ST_SYN) {
		w->opened = true;
		w->id[0] = (uint16_t)(p->conn_id + 1);
		w->id[1] = p->conn_id;
		flow_know(w, 0, p->seq + 1u);
	} else {
		flow_know(w, 0, p->seq);
	}
	return w;
}

/* A SYN of the same id on a flow that said nothing for long, or is over,
 * begins another. */
static bool stale(const struct flows *f, const struct flow *w)
{
	return w->stage == STAGE_OVER || w->reset || (!f->sink.patient &&
	    f->at.utc_ns - w->last.utc_ns > STALE_NS);
}

static bool replaces(const struct flows *f, const struct flow *w,
    const struct packet *u, const struct utp_packet *p)
{
	unsigned side;

	return w->transport == FLOW_UTP && w->stage != STAGE_PROOF &&
	    flow_between(w, &u->from, &u->to, &side) &&
	    (p->conn_id == w->id[0] || p->conn_id == w->id[1]) &&
	    stale(f, w);
}

static void make_way(struct flows *f, const struct packet *u,
    const struct utp_packet *p, uint32_t bucket)
{
	struct flow *w = f->bucket[bucket];

	while (w && !replaces(f, w, u, p))
		w = w->chain;
	if (w == NULL)
		return;
	flow_close(f, w, FLOW_REUSED, 0);
	flowtable_drop(f, w);
}

static void prove(struct flow *w, const struct utp_packet *p)
{
	w->id[1] = p->conn_id;
	w->stage = STAGE_QUIET;
}

static void input(struct flows *f, struct flow *w, unsigned side,
    const struct packet *u, const struct utp_packet *p)
{
	struct flow_side *d = &w->side[side], *o = &w->side[!side];
	struct segment s = { .units = 1, .s = p->payload, .at = f->at,
	    .missing = u->missing };

	if (p->type == UTP_ST_SYN)
		return;
	if (!d->known)
		flow_know(w, side, p->seq);
	s.key = key_of(d, p->seq);
	s.need = o->next;
	if (o->known) {
		uint32_t ack = key_of(o, p->ack) + 1;

		if (near_next(o, p->ack)) {
			flow_ack(w, !side, ack);
			s.need = ack;
		}
	}
	if (p->payload.n && f->offset && u->payload.p >= f->frame)
		s.offset = f->offset + (uint64_t)(p->payload.p - f->frame);
	if (p->type == UTP_ST_FIN)
		flow_fin(w, side, s.key + (p->payload.n != 0));
	if ((p->type == UTP_ST_DATA || p->payload.n != 0) &&
	    (w->stage != STAGE_PROOF || d->hold == NULL ||
	    d->hold->n < EARLY_MOST))
		flow_offer(f, w, side, &s);
	/* What an unproven one holds counts against the bound, too. */
	if (w->stage == STAGE_PROOF || flow_waits(w))
		flow_settle(f, w);
}

bool flow_utp(struct flows *f, const struct packet *u)
{
	enum belongs how = BELONGS_NOT;
	struct utp_packet p;
	uint32_t bucket;
	unsigned side = 0;
	struct flow *w;

	if (!utp_packet_plausible(u->payload, &p))
		return false;
	bucket = flowtable_bucket(f, FLOW_UTP, &u->from, &u->to);
	w = find(f, u, &p, bucket, &side, &how);
	if (w == NULL) {
		if (p.type == UTP_ST_RESET)
			return true;
		if (p.type == UTP_ST_SYN)
			make_way(f, u, &p, bucket);
		w = begin(f, u, &p, bucket);
	}
	if (w->stage == STAGE_OVER) {
		f->counts.outside += p.payload.n != 0;
		return true;
	}
	if (p.type != UTP_ST_RESET && side != w->reset_side)
		w->reset = false;	/* who got it goes on */
	w->last = f->at;
	if (side == 1 && w->answered.frame == 0)
		w->answered = f->at;
	if (how == BELONGS_PROVES)
		prove(w, &p);
	flowtable_touch(f, w);
	if (p.type == UTP_ST_RESET) {
		if (w->stage == STAGE_PROOF)
			flowtable_drop(f, w);
		else
			flow_reset(f, w, side);
		return true;
	}
	input(f, w, side, u, &p);
	return true;
}
