#include "monitor/asked.h"

#include <stddef.h>

static struct asked_slot *find(const struct asked *t, uint64_t who)
{
	const struct asked_slot *set = t->slot[who % ASKED_SETS];

	for (unsigned i = 0; i < ASKED_WAYS; i++)
		if (set[i].who == who)
			return (struct asked_slot *)&set[i];
	return NULL;
}

bool asked_may(const struct asked *t, uint64_t who, int64_t now_ms)
{
	const struct asked_slot *s = find(t, who);

	return s == NULL || now_ms - s->at_ms >= ASKED_AGAIN_MS;
}

/* Its place: its own, a free one, or the oldest of the set. */
static struct asked_slot *place(struct asked *t, uint64_t who, int64_t now_ms)
{
	struct asked_slot *set = t->slot[who % ASKED_SETS], *oldest = set;
	struct asked_slot *s = find(t, who);

	for (unsigned i = 0; s == NULL && i < ASKED_WAYS; i++) {
		if (set[i].who == 0 || now_ms - set[i].at_ms >= ASKED_AGAIN_MS)
			s = &set[i];
		if (set[i].at_ms < oldest->at_ms)
			oldest = &set[i];
	}
	return s ? s : oldest;
}

void asked_put(struct asked *t, uint64_t who, int64_t now_ms)
{
	*place(t, who, now_ms) = (struct asked_slot){ who, now_ms };
}

void asked_answered(struct asked *t, uint64_t who)
{
	struct asked_slot *s = find(t, who);

	if (s != NULL)
		s->who = 0;
}
