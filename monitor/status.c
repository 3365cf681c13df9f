#include "monitor/status.h"

#include <stdio.h>
#include <unistd.h>

#include "monitor/now.h"
#include "schema/log.h"

#define LIVE_MS 1000
#define LINE_MS 30000

static double rate(int64_t now, int64_t before, int64_t ns)
{
	return ns > 0 ? (double)(now - before) * (double)NS_PER_S /
	    (double)ns : 0;
}

void status_line(struct status *s, char *buf, size_t n)
{
	struct stamp now = stamp_now();
	const struct peer_env *e = &s->crowd->env;
	int64_t took = now.mono_ns - s->last_ns, packets = 0, dropped = 0;
	struct trackers_state ts;
	struct ledger_state ls;
	struct book_state bs;
	char kept[80] = "no packets kept", point[48] = "none yet";

	trackers_state(s->trackers, &ts);
	ledger_state(s->ledger, &ls);
	book_state(s->crowd->book, &bs);
	if (*s->recorder) {
		recorder_counts(*s->recorder, &packets, &dropped);
		snprintf(kept, sizeof(kept), "packets %lld, dropped %lld",
		    (long long)packets, (long long)dropped);
	}
	if (ls.checkpoint_size > 0)
		snprintf(point, sizeof(point), "%lld, %lld s ago",
		    (long long)ls.checkpoint_size,
		    (long long)((now.utc_ns - ls.checkpoint_utc_ns) /
		    NS_PER_S));
	snprintf(buf, n, "swarms %u, trackers %u of %u; peers heard of %u, "
	    "reached %lld, handshaked %lld, verified %lld, open %u; pieces %lld"
	    " good %lld bad; in %.0f kB/s, %.0f records/s; records %lld, queue "
	    "%zu kB; %s; checkpoint %s",
	    s->crowd->swarms.count, ts.working, ts.trackers, bs.heard,
	    (long long)e->reached_count, (long long)e->met,
	    (long long)e->verified, bs.open, (long long)e->pieces_ok,
	    (long long)e->pieces_bad,
	    rate(e->rx_bytes, s->last_rx, took) / 1e3,
	    rate(ls.records, s->last_records, took), (long long)ls.records,
	    ls.queued_bytes / 1000, kept, point);
	s->last_ns = now.mono_ns;
	s->last_rx = e->rx_bytes;
	s->last_records = ls.records;
}

static void on_timer(uv_timer_t *timer)
{
	struct status *s = timer->data;
	char line[512];

	status_line(s, line, sizeof(line));
	if (s->live)
		log_status("%s", line);
	else
		log_info("%s", line);
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

void status_stop(struct status *s)
{
	uv_close((uv_handle_t *)&s->timer, NULL);
}
