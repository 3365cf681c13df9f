#include "utpout.h"

#define DUPLICATES 3u		/* BEP 29: so many acks, or packets past it */
#define OLD_MAX 1024u		/* packets, how far back an ack may be late */

void utpout_init(struct utpout *o, uint8_t *ring, size_t room, uint16_t seq,
    uint32_t mss)
{
	*o = (struct utpout){ .ring = ring, .room = room, .una = seq,
	    .next = seq };
	ledbat_init(&o->pace, mss);
}

static struct utp_sent *sent_of(struct utpout *o, uint16_t seq)
{
	return &o->sent[seq % UTP_UNDERWAY];
}

/* --- the ring ------------------------------------------------------------- */

size_t utpout_write(struct utpout *o, struct span bytes)
{
	size_t left = o->room - (size_t)(o->tail - o->head);
	size_t n = bytes.n < left ? bytes.n : left;

	if (n == 0)
		return 0;
	size_t at = (size_t)(o->tail % o->room);
	size_t first = n < o->room - at ? n : o->room - at;

	memcpy(o->ring + at, bytes.p, first);
	memcpy(o->ring, bytes.p + first, n - first);
	o->tail += n;
	return n;
}

void utpout_copy(const struct utpout *o, const struct utp_sent *e, uint8_t *out)
{
	if (e->n == 0)
		return;
	size_t at = (size_t)(e->offset % o->room);
	size_t first = e->n < o->room - at ? e->n : o->room - at;

	memcpy(out, o->ring + at, first);
	memcpy(out + first, o->ring, e->n - first);
}

/* --- what arrived --------------------------------------------------------- */

struct news {
	uint32_t bytes;
	bool any;
};

/* One packet is known to have arrived. */
static void arrived(struct utpout *o, struct utp_sent *e, uint64_t now_us,
    struct news *news)
{
	uint64_t rtt = now_us - e->at_us;

	if (e->sacked)
		return;
	if (e->lost)
		o->lost--;
	else
		o->under_way -= e->n;
	/* Of a packet sent twice nobody knows which copy came (Karn), unless
	 * the second one had hardly left. */
	if (e->times == 1)
		ledbat_rtt(&o->pace, rtt);
	if ((e->times == 1 || rtt >= o->pace.srtt_us / 2) &&
	    e->order > o->newest)
		o->newest = e->order;
	e->sacked = true;
	e->lost = false;
	news->bytes += e->n;
	news->any = true;
}

static void lose(struct utpout *o, struct utp_sent *e)
{
	if (e->lost || e->sacked)
		return;
	e->lost = true;
	o->lost++;
	o->under_way -= e->n;
	/* Losses of one round trip cost once. */
	if (e->order > o->cut_order) {
		ledbat_loss(&o->pace);
		o->cut_order = o->order;
	}
}

/* A packet is lost when one that left three transmissions later arrived. */
static void find_losses(struct utpout *o)
{
	for (uint16_t seq = o->una; seq != o->next; seq++) {
		struct utp_sent *e = sent_of(o, seq);

		if (e->order + DUPLICATES <= o->newest)
			lose(o, e);
	}
}

static bool bit(struct span sack, size_t i)
{
	return sack.p[i / 8] >> i % 8 & 1;
}

/* Packets that the far end may have seen: a SYN or FIN may still wait for its
 * first transmission. */
static uint16_t seen(const struct utpout *o)
{
	uint16_t n = utpout_underway(o);
	uint16_t last = (uint16_t)(o->next - 1);

	return n && o->sent[last % UTP_UNDERWAY].times == 0 ?
	    (uint16_t)(n - 1) : n;
}

/* False: it covers what was never sent. */
static bool sack_sound(const struct utpout *o, const struct utp_packet *p,
    uint16_t d)
{
	size_t known = (uint16_t)(seen(o) - d);

	for (size_t i = 0; i < p->sack.n * 8; i++)
		if (i + 1 >= known && bit(p->sack, i))
			return false;
	return true;
}

enum utpout_ack utpout_ack(struct utpout *o, const struct utp_packet *p,
    uint64_t now_us)
{
	uint16_t before = (uint16_t)(o->una - 1);
	uint16_t d = (uint16_t)(p->ack - before), back = (uint16_t)-d;
	uint32_t in_flight = o->under_way;
	struct news news = { 0 };

	if (d > seen(o))
		return back <= OLD_MAX && back <= o->acked ? UTPOUT_OLD :
		    UTPOUT_NEVER_SENT;
	if (!sack_sound(o, p, d))
		return UTPOUT_NEVER_SENT;
	for (; d; d--) {
		struct utp_sent *e = sent_of(o, o->una);

		arrived(o, e, now_us, &news);
		o->head = e->offset + e->n;
		o->una++;
		o->acked++;
		o->duplicates = 0;
		news.any = true;
	}
	for (size_t i = 0; i < p->sack.n * 8; i++)
		if (bit(p->sack, i))
			arrived(o, sent_of(o, (uint16_t)(p->ack + 2 + i)),
			    now_us, &news);
	/* Without selective acks only repetition tells of a loss. */
	if (!news.any && p->type == UTP_ST_STATE && utpout_underway(o) &&
	    o->duplicates < DUPLICATES && ++o->duplicates == DUPLICATES)
		lose(o, sent_of(o, o->una));
	if (news.any)
		find_losses(o);
	ledbat_ack(&o->pace, news.bytes, in_flight, p->diff_us, now_us);
	return news.any ? UTPOUT_PROGRESS : UTPOUT_SAME;
}

/* --- what may go ---------------------------------------------------------- */

static void transmit(struct utpout *o, struct utp_sent *e, uint64_t now_us)
{
	e->at_us = now_us;
	e->order = ++o->order;
	if (e->times < UINT8_MAX)
		e->times++;
	if (e->lost) {
		e->lost = false;
		o->lost--;
	}
	o->under_way += e->n;
}

static bool again(struct utpout *o, uint16_t *seq, struct utp_sent **e)
{
	if (o->lost == 0)
		return false;
	for (*seq = o->una; *seq != o->next; ++*seq) {
		*e = sent_of(o, *seq);
		if ((*e)->lost)
			return o->under_way == 0 ||
			    o->under_way + (*e)->n <= o->pace.cwnd;
	}
	return false;
}

static struct utp_sent *append(struct utpout *o, enum utp_type type,
    uint16_t n)
{
	struct utp_sent *e = sent_of(o, o->next++);

	*e = (struct utp_sent){ .offset = o->cut, .n = n,
	    .type = (uint8_t)type };
	o->cut += n;
	return e;
}

static bool fresh(struct utpout *o, uint32_t window, bool probe,
    struct utp_sent **e)
{
	uint64_t n = o->tail - o->cut;

	if (n == 0 || utpout_underway(o) == UTP_UNDERWAY)
		return false;
	if (n > o->pace.mss)
		n = o->pace.mss;
	if (probe) {
		n = n < window || window == 0 ? n : window;
	} else if (o->under_way == 0) {
		if (window == 0)
			return false;
		n = n < window ? n : window;
	} else if (o->under_way + n > window ||
	    o->under_way + n > o->pace.cwnd) {
		return false;
	}
	*e = append(o, UTP_ST_DATA, (uint16_t)n);
	return true;
}

bool utpout_next(struct utpout *o, uint32_t window, bool probe,
    uint64_t now_us, uint16_t *seq, struct utp_sent **e)
{
	bool found = again(o, seq, e);

	/* What is lost goes first, and holds the rest back. */
	if (!found && o->lost == 0) {
		*seq = o->next;
		found = fresh(o, window, probe, e);
	}
	if (found)
		transmit(o, *e, now_us);
	return found;
}

bool utpout_control(struct utpout *o, enum utp_type type)
{
	if (utpout_underway(o) == UTP_UNDERWAY)
		return false;
	/* It goes out as a lost packet does: at once. */
	append(o, type, 0)->lost = true;
	o->lost++;
	return true;
}

void utpout_timeout(struct utpout *o)
{
	ledbat_timeout(&o->pace);
	o->cut_order = o->order;
	for (uint16_t seq = o->una; seq != o->next; seq++)
		lose(o, sent_of(o, seq));
	o->duplicates = 0;
}
