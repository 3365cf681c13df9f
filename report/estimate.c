#include "report/estimate.h"

#define ALPHA 0.05L
#define SLACK 1e-12L		/* a tie counts as not excluded */
#define SIZE_MOST ((int64_t)1 << 40)

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * Terms relative to the largest, which lies at the mode, so that nothing
 * overflows and what underflows does not count. From x to x + 1 a term grows
 * by (held - x)(n - x) / ((x + 1)(all - held - n + x + 1)).
 */
static long double share(int64_t all, int64_t held, int64_t n, int64_t from,
    int64_t to)
{
	int64_t low = n + held > all ? n + held - all : 0;
	int64_t high = least(n, held);
	int64_t mode = (int64_t)((long double)(n + 1) *
	    (long double)(held + 1) / (long double)(all + 2));
	long double sum = 0, part = 0, t = 1;

	if (mode < low)
		mode = low;
	if (mode > high)
		mode = high;
	for (int64_t x = mode; x <= high && t > 0; x++) {
		sum += t;
		part += x >= from && x <= to ? t : 0;
		t = t * (long double)(held - x) * (long double)(n - x) /
		    ((long double)(x + 1) *
		    (long double)(all - held - n + x + 1));
	}
	t = 1;
	for (int64_t x = mode; x > low && t > 0; x--) {
		t = t * (long double)x * (long double)(all - held - n + x) /
		    ((long double)(held - x + 1) * (long double)(n - x + 1));
		sum += t;
		part += x - 1 >= from && x - 1 <= to ? t : 0;
	}
	return part / sum;
}

long double estimate_at_least(int64_t all, int64_t held, int64_t n, int64_t k)
{
	return share(all, held, n, k, n);
}

long double estimate_at_most(int64_t all, int64_t held, int64_t n, int64_t k)
{
	return share(all, held, n, 0, k);
}

static bool excluded(long double p, long double alpha)
{
	return p < alpha * (1 - SLACK);
}

int64_t estimate_least_held(int64_t all, int64_t n, int64_t k)
{
	int64_t a = k, z = all - (n - k);	/* what is possible at all */

	if (k <= 0)
		return 0;
	while (a < z) {		/* P(X >= k) grows with held */
		int64_t m = a + (z - a) / 2;

		if (excluded(estimate_at_least(all, m, n, k), ALPHA))
			a = m + 1;
		else
			z = m;
	}
	return a;
}

/* The least N in [from, to] for which too_small says no. */
static int64_t edge(int64_t from, int64_t to, int64_t a, int64_t b,
    int64_t both, bool upper)
{
	while (from < to) {
		int64_t m = from + (to - from) / 2;
		bool below = upper ?
		    !excluded(estimate_at_least(m, a, b, both), ALPHA / 2) :
		    excluded(estimate_at_most(m, a, b, both), ALPHA / 2);

		if (below)
			from = m + 1;
		else
			to = m;
	}
	return from;
}

bool estimate_population(int64_t a, int64_t b, int64_t both,
    struct estimate_size *out)
{
	int64_t seen = a + b - both;

	if (a < 0 || b < 0 || both < 0 || both > a || both > b ||
	    a > INT32_MAX || b > INT32_MAX)
		return false;
	out->size = (a + 1) * (b + 1) / (both + 1) - 1;
	/* The larger the population, the smaller the overlap to expect. */
	out->low = edge(seen, SIZE_MOST, a, b, both, false);
	out->high = edge(seen, SIZE_MOST, a, b, both, true) - 1;
	if (both == 0 || out->high == SIZE_MOST - 1)
		out->high = -1;
	if (out->size < seen)
		out->size = seen;
	return true;
}
