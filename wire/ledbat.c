#include "ledbat.h"

#define MINUTE_US 60000000u
#define RTO_FIRST_US 1000000u
#define RTO_MIN_US 500000u
#define RTT_MAX_US 60000000u
#define START_PACKETS 4u
#define MIN_PACKETS 2u

void ledbat_init(struct ledbat *l, uint32_t mss)
{
	*l = (struct ledbat){ .mss = mss, .cwnd = START_PACKETS * mss,
	    .ssthresh = LEDBAT_CWND_MAX, .slow_start = true };
}

/* Is a before b, on a clock that wraps? */
static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static uint32_t lowest(const uint32_t *v, unsigned n)
{
	uint32_t low = v[0];

	for (unsigned i = 1; i < n; i++)
		if (before(v[i], low))
			low = v[i];
	return low;
}

static void add_base(struct ledbat *l, uint32_t delay_us, uint64_t now_us)
{
	if (l->bases == 0 || now_us - l->minute_us >= MINUTE_US) {
		if (l->bases < LEDBAT_BASE)
			l->bases++;
		for (unsigned i = l->bases - 1; i > 0; i--)
			l->base_us[i] = l->base_us[i - 1];
		l->base_us[0] = delay_us;
		l->minute_us = now_us;
	} else if (before(delay_us, l->base_us[0])) {
		l->base_us[0] = delay_us;
	}
}

static void add_sample(struct ledbat *l, uint32_t delay_us, uint64_t now_us)
{
	add_base(l, delay_us, now_us);
	l->recent_us[l->at++ % LEDBAT_RECENT] = delay_us;
	if (l->recents < LEDBAT_RECENT)
		l->recents++;
}

/* What stands in queues on our way out: never more than the round trip. */
static uint32_t queueing(const struct ledbat *l)
{
	if (l->recents == 0)
		return 0;
	uint32_t q = lowest(l->recent_us, l->recents) -
	    lowest(l->base_us, l->bases);
	if (before(q, 0))
		return 0;
	return l->srtt_us && q > l->srtt_us ? l->srtt_us : q;
}

static void clamp(struct ledbat *l, int64_t cwnd)
{
	int64_t least = MIN_PACKETS * (int64_t)l->mss;

	if (cwnd < least)
		cwnd = least;
	l->cwnd = cwnd > LEDBAT_CWND_MAX ? LEDBAT_CWND_MAX : (uint32_t)cwnd;
}

void ledbat_ack(struct ledbat *l, uint32_t acked, uint32_t in_flight,
    uint32_t delay_us, uint64_t now_us)
{
	int64_t cwnd = l->cwnd;

	if (delay_us != 0 && delay_us != INT32_MAX)
		add_sample(l, delay_us, now_us);
	int64_t off = LEDBAT_TARGET_US - (int64_t)queueing(l);
	if (acked == 0)
		return;
	/* What was never used is not known to be allowed. */
	bool used = (uint64_t)in_flight + l->mss >= l->cwnd;
	if (l->slow_start && off < LEDBAT_TARGET_US / 4) {
		l->slow_start = false;
		l->ssthresh = l->cwnd;
	}
	if (l->slow_start) {
		if (used)
			clamp(l, cwnd + acked);
		l->slow_start = l->cwnd < l->ssthresh;
		return;
	}
	if (off < -LEDBAT_TARGET_US)
		off = -LEDBAT_TARGET_US;
	if (off < 0 || used)
		clamp(l, cwnd + off * (int64_t)acked * l->mss /
		    (cwnd * LEDBAT_TARGET_US));
}

void ledbat_loss(struct ledbat *l)
{
	clamp(l, l->cwnd / 2);
	l->ssthresh = l->cwnd;
	l->slow_start = false;
}

void ledbat_timeout(struct ledbat *l)
{
	ledbat_loss(l);
	l->cwnd = l->mss;
	l->slow_start = true;
}

void ledbat_rtt(struct ledbat *l, uint64_t sample_us)
{
	uint32_t rtt = sample_us > RTT_MAX_US ? RTT_MAX_US :
	    (uint32_t)sample_us;

	if (rtt == 0)
		rtt = 1;
	if (l->srtt_us == 0) {
		l->srtt_us = rtt;
		l->var_us = rtt / 2;
		return;
	}
	uint32_t off = rtt > l->srtt_us ? rtt - l->srtt_us : l->srtt_us - rtt;
	l->var_us = l->var_us - l->var_us / 4 + off / 4;
	l->srtt_us = l->srtt_us - l->srtt_us / 8 + rtt / 8;
	if (l->srtt_us == 0)
		l->srtt_us = 1;
}

uint64_t ledbat_rto_us(const struct ledbat *l)
{
	uint64_t rto = (uint64_t)l->srtt_us + 4 * (uint64_t)l->var_us;

	if (l->srtt_us == 0)
		return RTO_FIRST_US;
	return rto < RTO_MIN_US ? RTO_MIN_US : rto;
}
