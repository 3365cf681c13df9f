#include "report/clockbound.h"

#include <string.h>

/* A hostile case may say any number. */
static int64_t plus(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

void clockbound_add(struct clockbound *b, const char *source,
    int64_t offset_ns, int64_t bound_ns)
{
	int64_t by = offset_ns == INT64_MIN ? INT64_MAX :
	    offset_ns < 0 ? -offset_ns : offset_ns;

	if (source && strcmp(source, "suspend") == 0) {
		b->suspends++;
		return;
	}
	if (source && strcmp(source, "step") == 0) {
		b->steps++;
		if (b->answered)
			b->open_ns = plus(b->open_ns, by);
		else
			b->apart_ns = plus(b->apart_ns, by);
		return;
	}
	b->asked++;
	if (bound_ns < 0)
		return;
	b->answered++;
	b->open_ns = 0;
	if (bound_ns > b->widest_ns)
		b->widest_ns = bound_ns;
}

int64_t clockbound_ns(const struct clockbound *b)
{
	if (b->answered == 0)
		return -1;
	return plus(b->widest_ns, plus(b->open_ns, b->apart_ns));
}
