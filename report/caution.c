#include "report/caution.h"

static const char *const mark[] = {
#define X(id, m, meaning) m,
	CAUTIONS(X)
#undef X
};

static const char *const means[] = {
#define X(id, m, meaning) meaning,
	CAUTIONS(X)
#undef X
};

const char *caution_mark(enum caution c)
{
	return mark[c];
}

const char *caution_meaning(enum caution c)
{
	return means[c];
}
