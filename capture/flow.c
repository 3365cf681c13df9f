#include "capture/flow_impl.h"

#include <stdlib.h>

#define COMPARE 65536u

char flow_unwanted;

const char *flow_end_text(enum flow_end end)
{
	switch (end) {
	case FLOW_FIN:
		return "both ended";
	case FLOW_RESET:
		return "reset";
	case FLOW_REUSED:
		return "its ends began another";
	case FLOW_IDLE:
		return "silent for long";
	case FLOW_DISPLACED:
		return "too many at once";
	case FLOW_CAPTURE_END:
		return "the capture ended";
	}
	return "unknown";
}

const char *flow_transport_text(enum flow_transport t)
{
	return t == FLOW_TCP ? "tcp" : "utp";
}

struct flows *flows_new(const struct flow_sink *sink)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->sink = *sink;
	f->fragments = fragments_new();
	f->compare = malloc(COMPARE);
	if (f->fragments == NULL || f->compare == NULL ||
	    recent_init(&f->recent) < 0 || flowtable_init(f) < 0) {
		flows_free(f);
		return NULL;
	}
	return f;
}

static void odd(struct flows *f, const char *reason)
{
	if (f->sink.odd)
		f->sink.odd(f->sink.ctx, reason, f->at);
}

/* One packet with a stamp far ahead must not end all that lives: time is the
 * earlier of the last two stamps. */
static void tick(struct flows *f, int64_t utc_ns)
{
	f->now_ns = utc_ns < f->before_ns ? utc_ns : f->before_ns;
	f->before_ns = utc_ns;
	flowtable_expire(f);
}

static void datagram(struct flows *f, const struct packet *p)
{
	f->counts.udp++;
	if (!flow_utp(f, p) && f->sink.datagram)
		f->sink.datagram(f->sink.ctx, &p->from, &p->to, p->payload,
		    p->missing, f->at);
}

static bool whole(struct flows *f, struct packet *p)
{
	const char *reason = NULL;

	f->counts.fragments++;
	f->offset = 0;		/* what is put together lies nowhere */
	switch (fragments_add(f->fragments, p, f->at.utc_ns, &reason)) {
	case FRAGMENT_WAIT:
		return false;
	case FRAGMENT_WHOLE:
		return true;
	case FRAGMENT_REFUSED:
		odd(f, reason);
		return false;
	}
	return false;
}

void flows_packet(struct flows *f, const struct source_packet *s)
{
	struct packet p;

	f->counts.packets++;
	f->at = (struct flow_at){ s->utc_ns, s->frame };
	f->offset = s->offset;
	f->frame = s->bytes.p;
	packet_read(s->link, s->bytes, s->length, &p);
	if (p.kind == PACKET_FRAGMENT && !whole(f, &p))
		return;
	switch (p.kind) {
	case PACKET_TCP:
		f->counts.tcp++;
		flow_tcp(f, &p);
		break;
	case PACKET_UDP:
		datagram(f, &p);
		break;
	case PACKET_FRAGMENT:
	case PACKET_OTHER:
		f->counts.other++;
		if (p.err.reason)
			odd(f, p.err.reason);
		break;
	case PACKET_CUT:
		f->counts.cut++;
		break;
	case PACKET_MALFORMED:
		f->counts.malformed++;
		odd(f, p.err.reason);
		break;
	}
	tick(f, s->utc_ns);
}

void flows_file(struct flows *f)
{
	recent_forget(&f->recent);
}

void flows_finish(struct flows *f)
{
	for (unsigned i = LISTS; i-- > 0;)
		while (f->list[i].oldest) {
			struct flow *w = f->list[i].oldest;

			flow_close(f, w, FLOW_CAPTURE_END, 0);
			flowtable_drop(f, w);
		}
}

struct flow_counts flows_counts(const struct flows *f)
{
	struct flow_counts c = f->counts;

	c.fragments_lost = fragments_lost(f->fragments);
	return c;
}

size_t flows_memory_most(const struct flows *f)
{
	size_t now = flows_memory(f);

	return f->most > now ? f->most : now;
}

void flows_free(struct flows *f)
{
	if (f == NULL)
		return;
	if (f->bucket)
		flowtable_fini(f);
	fragments_free(f->fragments);
	recent_fini(&f->recent);
	free(f->compare);
	free(f);
}
