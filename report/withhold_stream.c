#include "report/withhold_part.h"

#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/log.h"
#include "wire/utppacket.h"

#define STREAM_MOST (64u << 20)		/* bytes of one direction */
#define ALL_MOST (256u << 20)		/* of all that are held */

static void *grow(void *p, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return p;
	*room = 2 * *room + 16;
	p = realloc(p, *room * size);
	if (p == NULL)
		log_die("out of memory");
	return p;
}

static struct stream **bucket_of(struct withhold *w, const struct packet *p)
{
	unsigned h = p->from.port * 31u + p->to.port;

	for (size_t i = 0; i < sizeof(p->from.addr); i++)
		h = h * 31 + (unsigned)(p->from.addr[i] ^ p->to.addr[i] << 3);
	return &w->stream[h % WITHHOLD_BUCKETS];
}

void stream_free(struct stream *s)
{
	free(s->bytes);
	free(s->there);
	free(s->part);
	free(s->hidden);
	free(s);
}

static void let_go(struct withhold *w, struct stream *s)
{
	w->held -= s->room;
	free(s->bytes);
	free(s->there);
	s->bytes = s->there = NULL;
	s->room = 0;
}

static struct stream *stream_new(struct stream **bucket, struct end *from,
    const struct packet *p)
{
	struct stream *s = malloc(sizeof(*s));

	if (s == NULL)
		log_die("out of memory");
	*s = (struct stream){ .next = *bucket, .end = from, .to = p->to,
		.known_at = SIZE_MAX };
	return *bucket = s;
}

/* --- which ------------------------------------------------------------------- */

/* The newest of these two ends: a SYN with another number begins one more. In
 * both passes the same packets come in the same order, so the second finds, by
 * the number, what the first made. */
static struct stream *tcp_of(struct withhold *w, struct end *from,
    const struct packet *p)
{
	uint32_t base = p->flags & PACKET_SYN ? p->seq + 1 : p->seq;
	struct stream **bucket = bucket_of(w, p), *s;

	for (s = *bucket; s; s = s->next)
		if (!s->utp && s->end == from &&
		    endpoint_cmp(&s->to, &p->to) == 0 &&
		    (p->flags & PACKET_SYN ? s->base == base :
		    base - s->base < STREAM_MOST))
			return s;
	if (w->again)
		return NULL;
	s = stream_new(bucket, from, p);
	s->base = base;
	/* Without a SYN what came before is not known. */
	s->lost = (p->flags & PACKET_SYN) == 0;
	return s;
}

static struct stream *utp_of(struct withhold *w, struct end *from,
    const struct packet *p)
{
	struct stream **bucket = bucket_of(w, p), *s;
	struct utp_packet u;

	if (!utp_packet_plausible(p->payload, &u))
		return NULL;
	for (s = *bucket; s; s = s->next)
		if (s->utp && s->id == u.conn_id && s->end == from &&
		    endpoint_cmp(&s->to, &p->to) == 0)
			return s;
	if (w->again)
		return NULL;
	s = stream_new(bucket, from, p);
	s->utp = true;
	s->id = u.conn_id;
	s->last = u.seq;
	return s;
}

struct stream *stream_of(struct withhold *w, struct end *from,
    const struct packet *p)
{
	return p->kind == PACKET_TCP ? tcp_of(w, from, p) : utp_of(w, from, p);
}

/* --- putting together --------------------------------------------------------- */

static bool make_room(struct withhold *w, struct stream *s, size_t end)
{
	size_t room = 2 * end;

	if (end <= s->room)
		return true;
	if (end > STREAM_MOST || w->held - s->room + room > ALL_MOST) {
		let_go(w, s);
		s->lost = true;
		return false;
	}
	s->bytes = realloc(s->bytes, room);
	s->there = realloc(s->there, room / 8 + 1);
	if (s->bytes == NULL || s->there == NULL)
		log_die("out of memory");
	memset(s->bytes + s->room, 0, room - s->room);
	memset(s->there + (s->room ? s->room / 8 + 1 : 0), 0, room / 8 + 1 -
	    (s->room ? s->room / 8 + 1 : 0));
	w->held += room - s->room;
	s->room = room;
	return true;
}

/* Of what comes twice the first counts. */
static void put(struct stream *s, size_t at, struct span b)
{
	for (size_t i = 0; i < b.n; i++) {
		uint8_t *bits = &s->there[(at + i) / 8];
		uint8_t bit = (uint8_t)(1u << (at + i) % 8);

		if (*bits & bit)
			continue;
		*bits |= bit;
		s->bytes[at + i] = b.p[i];
		s->got++;
	}
	if (at + b.n > s->n)
		s->n = at + b.n;
}

static size_t tcp_offset(const struct stream *s, const struct packet *p)
{
	return p->flags & PACKET_SYN ? 0 : p->seq - s->base;
}

static bool is_talk(const struct stream *s, const struct talk *t)
{
	uint8_t sum[32];

	SHA256(t->n ? s->bytes : (const uint8_t *)"", t->n, sum);
	return memcmp(sum, t->sha256, sizeof(sum)) == 0;
}

static void hide(struct stream *s, size_t from, size_t n)
{
	s->hidden = realloc(s->hidden, (s->hides + 1) * sizeof(*s->hidden));
	if (s->hidden == NULL)
		log_die("out of memory");
	s->hidden[s->hides++] = (struct range){ from, from + n };
}

static void find_messages(struct stream *s)
{
	size_t most = s->talk ? s->talk->n : s->n;

	for (struct message *m = s->end->message; m; m = m->next) {
		const uint8_t *p = s->bytes, *hit;
		size_t left = most;

		if (m->raw.p == NULL || (s->talk && m->conn >= 0 &&
		    m->conn != s->talk->conn))
			continue;
		while (left && (hit = memmem(p, left, m->raw.p,
		    m->raw.n)) != NULL) {
			hide(s, (size_t)(hit - s->bytes), m->raw.n);
			m->found = true;
			left -= (size_t)(hit - p) + 1;
			p = hit + 1;
		}
	}
}

/* Whether all is there up to n. */
static bool whole(const struct stream *s, uint64_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		unsigned want = n - i >= 8 ? 255 : (1u << (n - i)) - 1;

		if ((s->there[i / 8] & want) != want)
			return false;
	}
	return true;
}

static void try_talks(struct stream *s, bool exact)
{
	for (struct talk *t = s->end->talk; t && !s->talk; t = t->next)
		if (!t->met && (exact ? t->n == s->n : t->n <= s->n) &&
		    (exact || whole(s, t->n)) && is_talk(s, t)) {
			s->talk = t;
			t->met = true;
		}
}

static void add_tcp(struct withhold *w, struct stream *s,
    const struct packet *p)
{
	size_t at = tcp_offset(s, p);

	if (!make_room(w, s, at + p->payload.n))
		return;
	put(s, at, p->payload);
	if (!w->strict || s->got != s->n || p->missing)
		return;
	try_talks(s, true);
	if (s->talk) {
		/* Its bytes need not be kept; what comes behind it, or again,
		 * cannot be compared any more, and is withheld. */
		find_messages(s);
		let_go(w, s);
		s->known_at = s->looked;
	}
}

/* Numbers have 16 bits; neighbours are never half of that apart. */
static int64_t extended(struct stream *s, uint16_t seq)
{
	s->last += (int16_t)(uint16_t)(seq - (uint16_t)s->last);
	return s->last;
}

static void add_utp(struct withhold *w, struct stream *s,
    const struct packet *p)
{
	struct utp_packet u;
	int64_t seq;

	if (!utp_packet_plausible(p->payload, &u) || u.payload.n == 0)
		return;
	seq = extended(s, u.seq);
	if (p->missing)
		s->lost = true;
	if (s->lost || !make_room(w, s, s->n + u.payload.n))
		return;
	s->part = grow(s->part, s->parts, &s->part_room, sizeof(*s->part));
	s->part[s->parts++] = (struct part){ seq, s->n, u.payload.n };
	put(s, s->n, u.payload);
}

void stream_add(struct withhold *w, struct stream *s, const struct packet *p)
{
	if (p->payload.n == 0)
		return;
	s->looked++;
	if (s->utp)
		add_utp(w, s, p);
	else if (!s->lost && !s->talk)
		add_tcp(w, s, p);
}

/* --- between the passes -------------------------------------------------------- */

static int by_seq(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq > y->seq ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

/* By number, each once; up to the first that is not there. */
static void order(struct withhold *w, struct stream *s)
{
	uint8_t *bytes = s->n ? malloc(s->n) : NULL;
	size_t n = 0, at = 0;

	if (s->n && bytes == NULL)
		log_die("out of memory");
	if (s->parts)
		qsort(s->part, s->parts, sizeof(*s->part), by_seq);
	for (size_t i = 0; i < s->parts; i++) {
		struct part p = s->part[i];

		if (n && p.seq == s->part[n - 1].seq)
			continue;
		if (n && p.seq != s->part[n - 1].seq + 1)
			break;
		memcpy(bytes + at, s->bytes + p.at, p.n);
		s->part[n++] = (struct part){ p.seq, at, p.n };
		at += p.n;
	}
	let_go(w, s);
	s->bytes = bytes;
	s->parts = n;
	s->n = s->got = at;
	w->held += s->room = at;
	s->there = malloc(at / 8 + 1);
	if (s->there == NULL)
		log_die("out of memory");
	memset(s->there, 255, at / 8 + 1);
	s->last = n ? s->part[0].seq : s->last;
}

static int by_place(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void join(struct stream *s)
{
	size_t n = 0;

	if (s->hides)
		qsort(s->hidden, s->hides, sizeof(*s->hidden), by_place);
	for (size_t i = 0; i < s->hides; i++) {
		struct range r = s->hidden[i];

		if (n && r.from <= s->hidden[n - 1].to) {
			if (r.to > s->hidden[n - 1].to)
				s->hidden[n - 1].to = r.to;
		} else {
			s->hidden[n++] = r;
		}
	}
	s->hides = n;
}

void stream_settle(struct withhold *w, struct stream *s)
{
	if (!s->lost && s->known_at == SIZE_MAX) {
		if (s->utp)
			order(w, s);
		if (w->strict)
			try_talks(s, false);
		if (s->n && (s->talk || !w->strict))
			find_messages(s);
	}
	join(s);
}

/* --- the second pass ------------------------------------------------------------ */

static const struct part *part_of(const struct stream *s, int64_t seq)
{
	/* They are successive. */
	return s->parts && seq >= s->part[0].seq &&
	    seq - s->part[0].seq < (int64_t)s->parts ?
	    &s->part[seq - s->part[0].seq] : NULL;
}

/* Where in the stream the packet's bytes stand; false: nowhere. */
static bool place(struct stream *s, const struct packet *p, size_t *at,
    struct span *b)
{
	const struct part *part;
	struct utp_packet u;

	*b = p->payload;
	if (!s->utp) {
		*at = tcp_offset(s, p);
		return true;
	}
	if (!utp_packet_plausible(p->payload, &u))
		return false;
	*b = u.payload;
	if (b->n == 0)
		return true;
	part = part_of(s, extended(s, u.seq));
	*at = part ? part->at : 0;
	return part && part->n == b->n;
}

static bool is_hidden(const struct stream *s, size_t from, size_t to)
{
	size_t low = 0, high = s->hides;

	while (low < high) {	/* the first that ends behind from */
		size_t mid = low + (high - low) / 2;

		if (s->hidden[mid].to <= from)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->hides && s->hidden[low].from < to;
}

bool stream_hides(const struct withhold *w, struct stream *s,
    const struct packet *p)
{
	size_t at = 0;
	struct span b;
	bool there = place(s, p, &at, &b);

	if (b.n == 0 && there)
		return false;	/* a uTP header alone */
	if (!there || s->lost || s->asked++ >= s->known_at ||
	    (w->strict && s->talk == NULL))
		return true;
	if (s->talk && (at > s->talk->n || b.n > s->talk->n - at))
		return true;
	if (s->bytes && (at + b.n > s->n ||
	    memcmp(s->bytes + at, b.p, b.n) != 0))
		return true;
	return is_hidden(s, at, at + b.n);
}
