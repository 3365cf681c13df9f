/*
 * Arithmetic of samples: what a few answers say of the whole. Pure.
 */
#ifndef REPORT_ESTIMATE_H
#define REPORT_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * P(X >= k) where X is how many of n drawn without replacement out of `all`
 * are among `held` (the hypergeometric distribution); P(X <= k) likewise.
 * held, n <= all. Summed term by term, to about 17 digits; time grows with n.
 */
long double estimate_at_least(int64_t all, int64_t held, int64_t n, int64_t k);
long double estimate_at_most(int64_t all, int64_t held, int64_t n, int64_t k);

/*
 * The fewest of `all` that can be held, where k of n drawn at random without
 * replacement were: the least `held` with P(X >= k) >= 5 %. So with 95 %
 * confidence at least so many are held (Clopper and Pearson's argument, for
 * draws without replacement). 0 <= k <= n <= all.
 */
int64_t estimate_least_held(int64_t all, int64_t n, int64_t k);

/*
 * Two counts of one population, a and b of it seen, both among them: Chapman's
 * estimate of its size, and all sizes N for which neither P(X <= both) nor
 * P(X >= both) is below 2.5 %, X being the overlap of a and b drawn at random
 * out of N. high is -1 where no size is too large. False, and nothing set,
 * if the counts are impossible, or above 2^31.
 */
struct estimate_size {
	int64_t size;		/* rounded down */
	int64_t low, high;
};
bool estimate_population(int64_t a, int64_t b, int64_t both,
    struct estimate_size *out);

#endif
