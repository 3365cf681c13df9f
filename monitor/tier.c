#include "monitor/tier.h"

#define NS 1000000000ll

static void swap(struct tier_slot *a, struct tier_slot *b)
{
	struct tier_slot t = *a;

	*a = *b;
	*b = t;
}

void tier_init(struct tier_walk *w, struct tier_slot *slots, size_t n,
    const uint32_t *rnd, int64_t now_ns)
{
	size_t first = 0;

	*w = (struct tier_walk){ .slots = slots, .n = n,
	    .due_ns = n ? now_ns : INT64_MAX };
	for (size_t i = 0; i < n; i++) {
		slots[i].failures = 0;
		slots[i].after_ns = INT64_MIN;
		if (slots[i].tier != slots[first].tier)
			first = i;
		swap(&slots[i], &slots[first + rnd[i] % (i - first + 1)]);
	}
}

int64_t tier_due(const struct tier_walk *w)
{
	return w->asking ? INT64_MAX : w->due_ns;
}

bool tier_next(struct tier_walk *w, int64_t now_ns, unsigned *id)
{
	if (w->asking || now_ns < w->due_ns)
		return false;
	for (size_t i = 0; i < w->n; i++) {
		if (w->slots[i].after_ns > now_ns)
			continue;
		*id = w->slots[i].id;
		w->asking = true;
		return true;
	}
	return false;
}

static size_t find(const struct tier_walk *w, unsigned id)
{
	size_t i = 0;

	while (i + 1 < w->n && w->slots[i].id != id)
		i++;
	return i;
}

int64_t tier_interval(int64_t interval_s, int64_t min_interval_s)
{
	int64_t s = interval_s > min_interval_s ? interval_s : min_interval_s;

	if (s <= 0)
		return TIER_INTERVAL_S;
	if (s < TIER_INTERVAL_LEAST_S)
		return TIER_INTERVAL_LEAST_S;
	return s > TIER_INTERVAL_MOST_S ? TIER_INTERVAL_MOST_S : s;
}

void tier_ok(struct tier_walk *w, unsigned id, int64_t interval_s,
    int64_t min_interval_s, int64_t now_ns)
{
	size_t i = find(w, id);

	w->asking = false;
	w->slots[i].failures = 0;
	w->slots[i].after_ns = INT64_MIN;
	while (i > 0 && w->slots[i - 1].tier == w->slots[i].tier) {
		swap(&w->slots[i], &w->slots[i - 1]);
		i--;
	}
	w->due_ns = now_ns + tier_interval(interval_s, min_interval_s) * NS;
}

void tier_failed(struct tier_walk *w, unsigned id, int64_t retry_s,
    int64_t now_ns)
{
	struct tier_slot *s = &w->slots[find(w, id)];
	int64_t wait_s = TIER_BACKOFF_MOST_S;

	w->asking = false;
	if (s->failures < 8)
		wait_s = (int64_t)TIER_BACKOFF_S << s->failures;
	s->failures++;
	if (retry_s > 0 && tier_interval(retry_s, -1) > wait_s)
		wait_s = tier_interval(retry_s, -1);
	else if (wait_s > TIER_BACKOFF_MOST_S)
		wait_s = TIER_BACKOFF_MOST_S;
	s->after_ns = now_ns + wait_s * NS;
	w->due_ns = INT64_MAX;
	for (size_t i = 0; i < w->n; i++)
		if (w->slots[i].after_ns < w->due_ns)
			w->due_ns = w->slots[i].after_ns;
	if (w->due_ns < now_ns)
		w->due_ns = now_ns;
}
