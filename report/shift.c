#include "report/shift.h"

#include <stdlib.h>

#include "schema/log.h"

#define QUARTER (900LL * 1000000000)

struct edge {
	int64_t at_ns;
	int step;		/* 1: one more fits from here on; -1: one less
				 * behind here */
};

static int by_claim(const void *a, const void *b)
{
	const struct shift_in *x = a, *y = b;

	if (x->claim != y->claim)
		return x->claim < y->claim ? -1 : 1;
	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* At one moment those that begin come before those that end. */
static int by_time(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return y->step - x->step;
}

/* One claim's stretches that touch are one, so that it counts once. */
static size_t join(struct shift_in *in, size_t n)
{
	size_t k = 0;

	for (size_t i = 1; i < n; i++) {
		if (in[i].claim == in[k].claim && in[i].from_ns <= in[k].to_ns) {
			if (in[i].to_ns > in[k].to_ns)
				in[k].to_ns = in[i].to_ns;
		} else {
			in[++k] = in[i];
		}
	}
	return n ? k + 1 : 0;
}

static int64_t away(int64_t ns)
{
	return ns < 0 ? -ns : ns;
}

/* The multiple of a quarter of an hour in [least, most] nearest to none. */
static bool quarter(int64_t least, int64_t most, int64_t *by)
{
	int64_t q = least > 0 ? (least + QUARTER - 1) / QUARTER * QUARTER :
	    most < 0 ? -((-most + QUARTER - 1) / QUARTER * QUARTER) : 0;

	*by = q;
	return q >= least && q <= most;
}

void shift_find(struct shift_in *in, size_t n, struct shift *out)
{
	struct edge *e = calloc(2 * n + 1, sizeof(*e));
	size_t now = 0, edges = 0;

	*out = (struct shift){ 0 };
	if (e == NULL)
		log_die("out of memory");
	qsort(in, n, sizeof(*in), by_claim);
	n = join(in, n);
	for (size_t i = 0; i < n; i++) {
		out->of += i == 0 || in[i].claim != in[i - 1].claim;
		out->fit_now += in[i].from_ns <= 0 && in[i].to_ns >= 0;
		e[edges++] = (struct edge){ in[i].from_ns, 1 };
		e[edges++] = (struct edge){ in[i].to_ns, -1 };
	}
	qsort(e, edges, sizeof(*e), by_time);
	for (size_t i = 0; i < edges; i++) {
		if (e[i].step < 0) {
			now--;
			continue;
		}
		now++;
		/* A best one begins where the next edge ends another, and
		 * lasts until there; of equal ones the nearest to none. */
		if (e[i + 1].step < 0 && (now > out->fit ||
		    (now == out->fit && away(e[i].at_ns) <
		    away(out->least_ns)))) {
			out->fit = now;
			out->least_ns = e[i].at_ns;
			out->most_ns = e[i + 1].at_ns;
		}
	}
	free(e);
	out->zone = quarter(out->least_ns, out->most_ns, &out->by_ns);
	if (!out->zone)
		out->by_ns = out->least_ns + (out->most_ns - out->least_ns) / 2;
	out->found = out->fit >= 3 && 2 * out->fit > out->of &&
	    out->fit > 2 * out->fit_now && out->by_ns != 0;
}
