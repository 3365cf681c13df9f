#include "report/verdict.h"

const char *verdict_name(enum verdict v)
{
	switch (v) {
	case VERDICT_SUPPORTED:
		return "supported";
	case VERDICT_NOT_SUPPORTED:
		return "not supported";
	case VERDICT_CONTRADICTED:
		return "contradicted";
	case VERDICT_OUTSIDE:
		return "outside coverage";
	case VERDICT_UNREADABLE:
		break;
	}
	return "unreadable";
}

/* b - a for a <= b. */
static int64_t span_of_time(int64_t a, int64_t b)
{
	uint64_t d = (uint64_t)b - (uint64_t)a;

	return d > INT64_MAX ? INT64_MAX : (int64_t)d;
}

int64_t verdict_distance(int64_t from, int64_t to, int64_t a, int64_t b,
    int64_t *at)
{
	if (b < from) {
		*at = b;
		return span_of_time(b, from);
	}
	if (a > to) {
		*at = a;
		return span_of_time(to, a);
	}
	*at = a > from ? a : from;
	return 0;
}

/* The nearest of the highest level, -1: none yet. */
struct near {
	int64_t i, d;
	int level;
};

static void note(struct near *n, size_t i, int level, int64_t d)
{
	if (n->i < 0 || level > n->level || (level == n->level && d < n->d))
		*n = (struct near){ (int64_t)i, d, level };
}

/* What is within reach. */
static void find_there(const struct verdict_of *v, int64_t reach,
    struct verdict_is *r)
{
	struct near at[SEEN_OTHER_PORT + 1];

	for (int k = 0; k <= SEEN_OTHER_PORT; k++)
		at[k] = (struct near){ -1, 0, 0 };
	for (size_t i = 0; i < v->n; i++) {
		const struct sight *s = &v->sight[i];
		int64_t moment, d = verdict_distance(v->from_ns, v->to_ns,
		    s->from_ns, s->to_ns, &moment);

		if (d > reach)
			continue;
		note(&at[s->what], i, s->level, d);
		if (s->what == SEEN_LEVEL && s->level > r->level)
			r->level = s->level;
	}
	r->other_torrent = at[SEEN_OTHER_TORRENT].i;
	r->failed = at[SEEN_FAILED].i;
	r->vain = at[SEEN_VAIN].i;
	r->stalled = at[SEEN_STALLED].i;
}

/* Whether s, at this distance, comes before the best so far. */
static bool nearer(const struct verdict_of *v, int64_t d, int level,
    int64_t best, int64_t best_d)
{
	return best < 0 || d < best_d ||
	    (d == best_d && level > v->sight[best].level);
}

/* Of those that say the level found, or the one asked for if that is lower;
 * where none is within reach, of all. */
static void find_nearest(const struct verdict_of *v, struct verdict_is *r)
{
	int least = r->level < v->require ? r->level : v->require;
	int64_t port_d = 0;

	r->nearest = r->other_port = r->elsewhen = -1;
	for (size_t i = 0; i < v->n; i++) {
		const struct sight *s = &v->sight[i];
		int64_t at, d = verdict_distance(v->from_ns, v->to_ns,
		    s->from_ns, s->to_ns, &at);

		if (s->what == SEEN_OTHER_PORT && nearer(v, d, s->level,
		    r->other_port, port_d)) {
			r->other_port = (int64_t)i;
			r->other_port_ns = at;
			port_d = d;
		}
		if (s->what != SEEN_LEVEL)
			continue;
		if (s->level >= least && nearer(v, d, s->level, r->nearest,
		    r->distance_ns)) {
			r->nearest = (int64_t)i;
			r->nearest_ns = at;
			r->distance_ns = d;
			r->before = at < v->from_ns;
		}
		if (r->level < v->require && s->level >= v->require &&
		    nearer(v, d, s->level, r->elsewhen,
		    r->elsewhen_distance_ns)) {
			r->elsewhen = (int64_t)i;
			r->elsewhen_ns = at;
			r->elsewhen_distance_ns = d;
		}
	}
}

void verdict_find(const struct verdict_of *v, struct verdict_is *r)
{
	int64_t reach = v->within_ns > INT64_MAX - v->bound_ns ? INT64_MAX :
	    v->within_ns + v->bound_ns;

	*r = (struct verdict_is){ .level = -1 };
	find_there(v, reach, r);
	find_nearest(v, r);
	if (r->other_port >= 0) {
		const struct sight *s = &v->sight[r->other_port];
		int64_t at;

		r->other_port_there = verdict_distance(v->from_ns, v->to_ns,
		    s->from_ns, s->to_ns, &at) <= reach;
	}
	/* Amounts are held against records only where there are some. */
	if (r->level >= 1) {
		r->too_many_bytes = v->claimed_bytes >= 0 &&
		    v->held_bytes >= 0 && v->claimed_bytes > v->held_bytes;
		r->too_many_pieces = v->claimed_pieces >= 0 &&
		    v->held_pieces >= 0 && v->claimed_pieces > v->held_pieces;
	}
	if (r->too_many_bytes || r->too_many_pieces)
		r->verdict = VERDICT_CONTRADICTED;
	else if (r->level >= v->require)
		r->verdict = VERDICT_SUPPORTED;
	else if ((r->other_torrent >= 0 && r->level < 2) ||
	    (r->failed >= 0 && r->level < 5) ||
	    (r->vain >= 0 && r->level < 1))
		r->verdict = VERDICT_CONTRADICTED;
	else if (!v->watched)
		r->verdict = VERDICT_OUTSIDE;
	else
		r->verdict = VERDICT_NOT_SUPPORTED;
}
