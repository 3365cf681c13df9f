#include "capture/fragment.h"

#include <stdlib.h>

#define WHOLE_MAX 65535u

struct part {
	uint32_t from, to;
};

/* A packet under way; or over (whole or refused), so that its repeats begin
 * nothing. */
struct slot {
	struct endpoint from, to;
	uint32_t id;
	uint8_t protocol;
	bool used, over;
	int64_t utc_ns;		/* of its first fragment */
	uint64_t number;
	uint8_t *bytes;
	uint32_t room;
	uint32_t total;		/* 0: the last fragment has not come */
	struct part part[FRAGMENT_PARTS];	/* by offset, apart */
	uint32_t parts;
};

struct fragments {
	struct slot slot[FRAGMENT_PACKETS];
	struct slot *lent;
	uint64_t number, lost;
	size_t memory;
};

struct fragments *fragments_new(void)
{
	return calloc(1, sizeof(struct fragments));
}

void fragments_free(struct fragments *f)
{
	for (size_t i = 0; f && i < FRAGMENT_PACKETS; i++)
		free(f->slot[i].bytes);
	free(f);
}

static void forget_bytes(struct fragments *f, struct slot *s)
{
	f->memory -= s->room;
	free(s->bytes);
	s->bytes = NULL;
	s->room = 0;
	s->parts = 0;
}

static void give_up(struct fragments *f, struct slot *s)
{
	if (s->used && !s->over)
		f->lost++;
	forget_bytes(f, s);
	s->used = false;
}

static bool is_of(const struct slot *s, const struct packet *p)
{
	return s->used && s->id == p->id && s->protocol == p->protocol &&
	    endpoint_same_ip(&s->from, &p->from) &&
	    endpoint_same_ip(&s->to, &p->to);
}

static struct slot *oldest(struct fragments *f, bool with_bytes)
{
	struct slot *found = NULL;

	for (size_t i = 0; i < FRAGMENT_PACKETS; i++) {
		struct slot *s = &f->slot[i];

		if (s->used && (!with_bytes || s->room) &&
		    (found == NULL || s->number < found->number))
			found = s;
	}
	return found;
}

/* The packet's slot; packets that waited too long are given up on the way. */
static struct slot *find(struct fragments *f, const struct packet *p,
    int64_t utc_ns)
{
	struct slot *found = NULL, *spare = NULL;

	for (size_t i = 0; i < FRAGMENT_PACKETS; i++) {
		struct slot *s = &f->slot[i];

		if (s->used && (utc_ns - s->utc_ns > FRAGMENT_WAIT_NS ||
		    s->utc_ns - utc_ns > FRAGMENT_WAIT_NS))
			give_up(f, s);
		if (!s->used)
			spare = s;
		else if (is_of(s, p))
			found = s;
	}
	if (found)
		return found;
	if (spare == NULL) {
		spare = oldest(f, false);
		give_up(f, spare);
	}
	*spare = (struct slot){ .used = true, .from = p->from, .to = p->to,
	    .id = p->id, .protocol = p->protocol, .utc_ns = utc_ns,
	    .number = f->number++ };
	return spare;
}

/* Room for n bytes, at the cost of the oldest others. */
static bool grow(struct fragments *f, struct slot *s, uint32_t n)
{
	uint32_t room = s->room ? s->room : 2048;
	uint8_t *bytes;

	if (n <= s->room)
		return true;
	while (room < n)
		room *= 2;
	bytes = realloc(s->bytes, room);
	if (bytes == NULL)
		return false;
	f->memory += room - s->room;
	s->bytes = bytes;
	s->room = room;
	while (f->memory > FRAGMENT_MEMORY) {
		struct slot *old = oldest(f, true);

		if (old == s)	/* alone it is far below the bound */
			old->number = f->number++;
		else
			give_up(f, old);
	}
	return true;
}

static enum fragment_status refuse(struct fragments *f, struct slot *s,
    const char **reason, const char *why)
{
	f->lost++;
	forget_bytes(f, s);
	s->over = true;
	*reason = why;
	return FRAGMENT_REFUSED;
}

/* Puts the span in where nothing is yet. A reason if it cannot be. */
static const char *place(struct slot *s, const struct packet *p)
{
	struct part all = { p->at, p->at + (uint32_t)p->payload.n };
	struct part new[FRAGMENT_PARTS + 1];
	uint32_t n = 0, at = all.from;
	bool put = false;

	for (uint32_t i = 0; i < s->parts; i++) {
		struct part o = s->part[i];

		if (o.to < all.from || o.from > all.to) {
			if (o.from > all.to && !put) {
				new[n++] = all;
				put = true;
			}
			new[n++] = o;
			continue;
		}
		uint32_t from = o.from > p->at ? o.from : p->at;
		uint32_t to = p->at + (uint32_t)p->payload.n;

		to = o.to < to ? o.to : to;
		if (from < to) {
			if (p->from.family == 6 && !(from == p->at &&
			    to == p->at + p->payload.n))
				return "IPv6 fragments overlap";
			if (memcmp(s->bytes + from, p->payload.p +
			    (from - p->at), to - from) != 0)
				return "IP fragments overlap and differ";
		}
		if (from > at)
			memcpy(s->bytes + at, p->payload.p + (at - p->at),
			    from - at);
		at = to > at ? to : at;
		all.from = o.from < all.from ? o.from : all.from;
		all.to = o.to > all.to ? o.to : all.to;
	}
	if (!put)
		new[n++] = all;
	if (n > FRAGMENT_PARTS)
		return "an IP packet in too many fragments";
	if (at < p->at + p->payload.n)
		memcpy(s->bytes + at, p->payload.p + (at - p->at),
		    p->at + p->payload.n - at);
	memcpy(s->part, new, n * sizeof(*new));
	s->parts = n;
	return NULL;
}

static const char *fault(const struct slot *s, const struct packet *p)
{
	uint32_t end = p->at + (uint32_t)p->payload.n;

	if (p->missing)
		return "a fragment that the capture cut";
	if (p->payload.n == 0 || (p->more && p->payload.n % 8))
		return "a fragment's length";
	if (end > WHOLE_MAX)
		return "fragments past 64 KiB";
	if (s->total && (end > s->total || (!p->more && end != s->total)))
		return "fragments past their packet's end";
	if (!p->more && s->parts && s->part[s->parts - 1].to > end)
		return "fragments past their packet's end";
	return NULL;
}

enum fragment_status fragments_add(struct fragments *f, struct packet *p,
    int64_t utc_ns, const char **reason)
{
	struct slot *s;
	const char *why;

	if (f->lent) {
		forget_bytes(f, f->lent);
		f->lent = NULL;
	}
	s = find(f, p, utc_ns);
	if (s->over)
		return FRAGMENT_WAIT;
	why = fault(s, p);
	if (why)
		return refuse(f, s, reason, why);
	if (!grow(f, s, p->at + (uint32_t)p->payload.n))
		return refuse(f, s, reason, "no memory for fragments");
	why = place(s, p);
	if (why)
		return refuse(f, s, reason, why);
	if (!p->more)
		s->total = p->at + (uint32_t)p->payload.n;
	if (s->total == 0 || s->parts != 1 || s->part[0].from != 0 ||
	    s->part[0].to != s->total)
		return FRAGMENT_WAIT;
	s->over = true;
	f->lent = s;
	packet_read_transport(span_of(s->bytes, s->total), p);
	return FRAGMENT_WHOLE;
}

uint64_t fragments_lost(const struct fragments *f)
{
	uint64_t n = f->lost;

	for (size_t i = 0; i < FRAGMENT_PACKETS; i++)
		n += f->slot[i].used && !f->slot[i].over;
	return n;
}

size_t fragments_memory(const struct fragments *f)
{
	return sizeof(*f) + f->memory;
}
