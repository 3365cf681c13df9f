#include "monitor/clock.h"

#include <stdlib.h>

#include "monitor/jump.h"
#include "monitor/ntp.h"
#include "schema/clocklog.h"
#include "schema/log.h"
#include "schema/now.h"

#define BEAT_MS 100
#define LATE_NS (250 * NS_PER_MS)	/* a loop later than this has stalled */
#define AGAIN_MS 15500		/* RFC 4330 section 10, and a little */
#define READ_NS (5 * NS_PER_MS)		/* longer between two reads: no use */
#define KERNEL_S 60
#define SERVERS_S 300
#define STALLS 64			/* remembered */
#define DRIFT_PPM 100

struct span_ns {
	int64_t from, to;
};

struct clockwatch {
	struct clockwatch_conf conf;
	uv_timer_t beat, kernel, round, end;
	struct ntp *ntp;
	struct json json;
	int64_t beat_ns;		/* last one, monotonic */
	struct jump_clocks last;	/* soundly read */
	int64_t servers_ms;		/* between two rounds */
	struct span_ns stalls[STALLS];	/* monotonic; to 0: none */
	unsigned stall_count;
	int64_t kernel_bound;		/* -1: not synchronised */
	int64_t *bounds;		/* of each server; -1: none */
	int64_t *bounds_at;		/* monotonic */
	int64_t *sorted;		/* room for as many */
	bool stopping, closing;
	unsigned open;
	void (*done)(void *ctx);
};

/* --- records ------------------------------------------------------------- */

static void put_record(struct clockwatch *c, struct record *r)
{
	json_close(&c->json, '}');
	r->conn = CONN_NONE;
	r->detail = json_done(&c->json);
	if (r->detail == NULL)
		log_die("clock record too long");
	c->conf.add(c->conf.ctx, r);
}

static void put_clock(struct clockwatch *c, const struct clock_said *s,
    struct stamp at, const struct endpoint *who, struct span raw)
{
	json_reset(&c->json);
	clocklog_detail(s, &c->json);
	put_record(c, &(struct record){ .at = at, .kind = "clock", .who = who,
	    .raw = raw });
}

static void put_stall(struct clockwatch *c, const char *cause, int64_t from,
    int64_t to, int64_t lag_ns, int64_t dropped)
{
	struct json *j = &c->json;

	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "cause", cause);
	json_int(j, "from_utc_ns", from);
	json_int(j, "to_utc_ns", to);
	json_int(j, "lag_ms", lag_ns / NS_PER_MS);
	json_int(j, "dropped", dropped);
	put_record(c, &(struct record){ .at = stamp_now(), .kind = "stall" });
}

/* --- the kernel ---------------------------------------------------------- */

static void read_kernel(struct clockwatch *c)
{
	struct clock_said s = clocklog_kernel();

	c->kernel_bound = s.bound_ns;
	put_clock(c, &s, stamp_now(), NULL, span_of(NULL, 0));
}

static void on_kernel(uv_timer_t *timer)
{
	read_kernel(timer->data);
}

/* --- servers ------------------------------------------------------------- */

static void finish_if_done(struct clockwatch *c);

static void on_said(void *ctx, size_t server, const struct ntp_said *n)
{
	struct clockwatch *c = ctx;
	struct clock_said s = { .source = "sntp", .server = n->server,
	    .outcome = n->outcome, .error = n->error, .bound_ns = -1 };

	if (n->reply != NULL) {
		s.has_stratum = s.has_sync = true;
		s.stratum = n->reply->stratum;
		s.sync = sntp_unusable(n->reply) == NULL;
	}
	if (n->offset != NULL) {
		s.has_offset = s.has_delay = s.has_dispersion = true;
		s.offset_ns = n->offset->offset_ns;
		s.delay_ns = n->offset->delay_ns;
		s.dispersion_ns = n->offset->dispersion_ns;
		s.bound_ns = n->offset->bound_ns;
		c->bounds[server] = s.bound_ns;
		c->bounds_at[server] = n->at.mono_ns;
	}
	put_clock(c, &s, n->at, n->who.family ? &n->who : NULL, n->body);
	finish_if_done(c);
}

static void on_round(uv_timer_t *timer)
{
	struct clockwatch *c = timer->data;

	ntp_round(c->ntp);
}

static int cmp_ns(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int64_t clockwatch_bound(const struct clockwatch *c)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC), median;
	size_t n = 0;

	for (size_t i = 0; i < c->conf.ntps; i++)
		if (c->bounds[i] >= 0)
			c->sorted[n++] = c->bounds[i] + (now -
			    c->bounds_at[i]) / (1000000 / DRIFT_PPM);
	if (n == 0)
		return c->kernel_bound;
	qsort(c->sorted, n, sizeof(*c->sorted), cmp_ns);
	median = c->sorted[n / 2];
	return median > c->kernel_bound ? median : c->kernel_bound;
}

/* --- steps, suspends, stalls --------------------------------------------- */

static void remember(struct clockwatch *c, int64_t from, int64_t to)
{
	c->stalls[c->stall_count++ % STALLS] = (struct span_ns){ from, to };
}

/* False if we were interrupted between the reads, so that their differences
 * mean nothing. */
static bool read_clocks(struct jump_clocks *now)
{
	now->mono_ns = clock_ns(CLOCK_MONOTONIC);
	now->wall_ns = clock_ns(CLOCK_REALTIME);
	now->boot_ns = clock_ns(CLOCK_BOOTTIME);
	return clock_ns(CLOCK_MONOTONIC) - now->mono_ns < READ_NS;
}

/* By the wall clock as it was last read. */
static int64_t wall_at(const struct clockwatch *c, int64_t mono_ns)
{
	return c->last.wall_ns + mono_ns - c->last.mono_ns;
}

static void put_jump(struct clockwatch *c, const char *source, int64_t by)
{
	struct clock_said s = { .source = source, .outcome = "ok",
	    .has_offset = true, .offset_ns = by, .bound_ns = -1 };

	put_clock(c, &s, stamp_now(), NULL, span_of(NULL, 0));
}

/* What was said before is of another clock. A server may not be asked twice
 * within 15 seconds (ntp.h): once more when that is over. */
static void doubt(struct clockwatch *c)
{
	for (size_t i = 0; i < c->conf.ntps; i++)
		c->bounds[i] = -1;
	read_kernel(c);
	ntp_round(c->ntp);
	if (!c->stopping)
		uv_timer_start(&c->round, on_round, AGAIN_MS,
		    (uint64_t)c->servers_ms);
}

static void on_beat(uv_timer_t *timer)
{
	struct clockwatch *c = timer->data;
	struct jump_clocks now;
	int64_t late, slept, stepped;
	bool sound = read_clocks(&now);

	late = now.mono_ns - c->beat_ns - BEAT_MS * NS_PER_MS;
	if (late > LATE_NS) {
		remember(c, c->beat_ns, now.mono_ns);
		put_stall(c, "loop", wall_at(c, c->beat_ns),
		    wall_at(c, now.mono_ns), late, 0);
	}
	c->beat_ns = now.mono_ns;
	if (!sound)
		return;
	jump_between(&c->last, &now, &slept, &stepped);
	c->last = now;
	if (slept)
		put_jump(c, "suspend", slept);
	if (stepped)
		put_jump(c, "step", stepped);
	if (slept || stepped)
		doubt(c);
}

bool clockwatch_stalled(const struct clockwatch *c, int64_t since_mono_ns)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	/* One that its own beat, while it beats, has not noticed yet. */
	if (!c->closing && now - c->beat_ns > BEAT_MS * NS_PER_MS + LATE_NS)
		return true;
	for (unsigned i = 0; i < STALLS; i++)
		if (c->stalls[i].to != 0 && c->stalls[i].to > since_mono_ns)
			return true;
	return false;
}

void clockwatch_stall(struct clockwatch *c, const char *cause,
    int64_t from_utc_ns, int64_t to_utc_ns, int64_t lag_ns, int64_t dropped)
{
	int64_t offset = wall_at(c, 0);

	remember(c, from_utc_ns - offset, to_utc_ns - offset);
	put_stall(c, cause, from_utc_ns, to_utc_ns, lag_ns, dropped);
}

/* --- end ----------------------------------------------------------------- */

static void let_go(void *ctx)
{
	struct clockwatch *c = ctx;

	if (--c->open == 0)
		c->done(c->conf.ctx);
}

static void timer_closed(uv_handle_t *h)
{
	let_go(h->data);
}

static void close_all(struct clockwatch *c)
{
	c->open = 5;
	uv_close((uv_handle_t *)&c->beat, timer_closed);
	uv_close((uv_handle_t *)&c->kernel, timer_closed);
	uv_close((uv_handle_t *)&c->round, timer_closed);
	uv_close((uv_handle_t *)&c->end, timer_closed);
	ntp_close(c->ntp, let_go, c);
}

static void on_end(uv_timer_t *timer)
{
	struct clockwatch *c = timer->data;

	c->closing = true;
	ntp_give_up(c->ntp, "the run ended");
	close_all(c);
}

static void finish_if_done(struct clockwatch *c)
{
	if (c->stopping && !c->closing && !ntp_busy(c->ntp))
		uv_timer_start(&c->end, on_end, 0, 0);
}

void clockwatch_stop(struct clockwatch *c, int wait_ms,
    void (*done)(void *ctx))
{
	if (c->stopping)
		return;
	c->stopping = true;
	c->done = done;
	uv_timer_stop(&c->kernel);
	uv_timer_stop(&c->round);
	read_kernel(c);
	ntp_round(c->ntp);
	uv_timer_start(&c->end, on_end, (uint64_t)wait_ms, 0);
	finish_if_done(c);
}

void clockwatch_free(struct clockwatch *c)
{
	if (c == NULL)
		return;
	json_fini(&c->json);
	free(c->bounds);
	free(c->bounds_at);
	free(c->sorted);
	free(c);
}

/* --- beginning ----------------------------------------------------------- */

static void start_timer(struct clockwatch *c, uv_timer_t *t, uv_timer_cb cb,
    int64_t ms)
{
	uv_timer_init(c->conf.loop, t);
	t->data = c;
	if (cb != NULL)
		uv_timer_start(t, cb, (uint64_t)ms, (uint64_t)ms);
}

struct clockwatch *clockwatch_new(const struct clockwatch_conf *conf)
{
	struct clockwatch *c = calloc(1, sizeof(*c));
	int64_t kernel_s = conf->every_s > 0 ? conf->every_s : KERNEL_S;
	int64_t servers_s = conf->every_s > 0 ? conf->every_s : SERVERS_S;

	if (c == NULL)
		return NULL;
	c->conf = *conf;
	c->conf.ntp = NULL;
	json_init(&c->json, JSON_MOST);
	c->bounds = calloc(conf->ntps + 1, sizeof(*c->bounds));
	c->bounds_at = calloc(conf->ntps + 1, sizeof(*c->bounds_at));
	c->sorted = calloc(conf->ntps + 1, sizeof(*c->sorted));
	if (c->bounds == NULL || c->bounds_at == NULL || c->sorted == NULL)
		goto fail;
	for (size_t i = 0; i < conf->ntps; i++)
		c->bounds[i] = -1;
	c->ntp = ntp_new(&(struct ntp_conf){ .loop = conf->loop, .ctx = c,
	    .said = on_said, .servers = conf->ntp, .n = conf->ntps,
	    .ports_from = conf->ports_from, .ports_to = conf->ports_to });
	if (c->ntp == NULL)
		goto fail;
	while (!read_clocks(&c->last))
		;
	c->beat_ns = c->last.mono_ns;
	c->servers_ms = servers_s * 1000;
	start_timer(c, &c->beat, on_beat, BEAT_MS);
	start_timer(c, &c->kernel, on_kernel, kernel_s * 1000);
	start_timer(c, &c->round, on_round, c->servers_ms);
	start_timer(c, &c->end, NULL, 0);
	read_kernel(c);
	ntp_round(c->ntp);
	return c;
fail:
	clockwatch_free(c);
	return NULL;
}
