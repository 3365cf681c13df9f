#include "monitor/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "monitor/relief.h"
#include "schema/log.h"
#include "schema/now.h"

#define LIVE_MS 1000
#define LINE_MS 30000

static double rate(int64_t now, int64_t before, int64_t ns)
{
	return ns > 0 ? (double)(now - before) * (double)NS_PER_S /
	    (double)ns : 0;
}

/* One row after the other; they go on at the same place. */
struct rows {
	char *p;
	size_t room;
	const char *between;
};

__attribute__((format(printf, 2, 3)))
static void put(struct rows *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->p, r->room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= r->room)
		n = r->room ? (int)r->room - 1 : 0;
	r->p += n;
	r->room -= (size_t)n;
}

static void put_records(struct status *s, struct rows *r, struct stamp now,
    int64_t took)
{
	struct ledger_state ls;
	int64_t age;

	ledger_state(s->ledger, &ls);
	age = (now.utc_ns - ls.checkpoint_utc_ns) / NS_PER_S;
	put(r, "%srecords %lld, %.0f/s; %zu kB queued; ", r->between,
	    (long long)ls.records, rate(ls.records, s->last_records, took),
	    ls.queued_bytes / 1000);
	if (ls.checkpoint_size > 0)
		put(r, "checkpoint of %lld, %lld s ago",
		    (long long)ls.checkpoint_size,
		    (long long)(age > 0 ? age : 0));
	else
		put(r, "no checkpoint yet");
	s->last_records = ls.records;
}

/* No time is told without how far it can be off. */
static void put_clock(const struct clockwatch *c, struct rows *r)
{
	int64_t bound = clockwatch_bound(c);

	if (bound < 0)
		put(r, "; clock: no time source reached");
	else if (bound < NS_PER_S)
		put(r, "; clock +- %lld ms", (long long)((bound + NS_PER_MS -
		    1) / NS_PER_MS));
	else
		put(r, "; clock +- %lld s", (long long)((bound + NS_PER_S -
		    1) / NS_PER_S));
}

static void put_finders(const struct finders *f, struct rows *r)
{
	struct dht_count c;
	struct datagrams_state u = { 0 };

	if (f->net)
		datagrams_state(f->net, &u);
	if (f->dht) {
		dht_counts(f->dht, &c);
		put(r, "; DHT nodes %zu of %zu answer, %u lookups",
		    c.good[0] + c.good[1], c.nodes[0] + c.nodes[1],
		    c.lookups);
	}
	if (u.dropped || u.unsent)
		put(r, "; datagrams lost %llu, not sent %llu",
		    (unsigned long long)u.dropped,
		    (unsigned long long)u.unsent);
}

static void tell(struct status *s, const char *between, char *buf, size_t n)
{
	struct stamp now = stamp_now();
	const struct peer_env *e = &s->crowd->env;
	int64_t took = now.mono_ns - s->last_ns, packets = 0, dropped = 0;
	struct rows r = { buf, n, between };
	struct trackers_state ts;
	struct book_state bs;

	trackers_state(s->trackers, &ts);
	book_state(s->crowd->book, &bs);
	put(&r, "swarms %u; %u of %u trackers answer",
	    s->crowd->swarms.count, ts.working, ts.trackers);
	put_finders(s->finders, &r);
	put(&r, "%speers heard of %u, reached %lld, handshaked %lld, "
	    "verified %lld; %u connected", r.between, bs.heard,
	    (long long)e->reached_count, (long long)e->met,
	    (long long)e->verified, bs.open);
	put(&r, "%spieces good %lld, bad %lld; %.0f kB/s come in", r.between,
	    (long long)e->pieces_ok, (long long)e->pieces_bad,
	    rate(e->rx_bytes, s->last_rx, took) / 1e3);
	put_records(s, &r, now, took);
	put_clock(s->clock, &r);
	if (*s->recorder) {
		recorder_counts(*s->recorder, &packets, &dropped);
		put(&r, "%spackets %lld, dropped %lld", r.between,
		    (long long)packets, (long long)dropped);
	} else {
		put(&r, "%sno packets are kept", r.between);
	}
	if (e->paused)
		put(&r, "%snobody is read: %s", r.between,
		    relief_full(s->crowd) ? "memory is full" :
		    "the ledger cannot keep up");
	s->last_ns = now.mono_ns;
	s->last_rx = e->rx_bytes;
}

void status_say(struct status *s)
{
	char text[1024];

	tell(s, "; ", text, sizeof(text));
	log_info("%s", text);
}

static void on_timer(uv_timer_t *timer)
{
	struct status *s = timer->data;
	char text[1024];

	if (!s->live) {
		status_say(s);
		return;
	}
	tell(s, "\n", text, sizeof(text));
	log_status(text);
}

void status_start(struct status *s, uv_loop_t *loop)
{
	uint64_t ms;

	s->live = isatty(STDERR_FILENO) == 1;
	s->last_ns = stamp_now().mono_ns;
	ms = s->live ? LIVE_MS : LINE_MS;
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, on_timer, ms, ms);
}
