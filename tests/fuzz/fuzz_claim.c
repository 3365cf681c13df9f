/* Tables of claims: the readers of rows, of times, and of the whole. */
#include <stdlib.h>

#include "report/claim.h"
#include "tests/fuzz/fuzz.h"

static void one_time(struct span s)
{
	struct claimtime t;
	int64_t utc;

	if (claimtime_read(s, &t))
		return;
	for (int order = DATES_UNKNOWN; order <= DATES_DMY; order++)
		if (claimtime_utc(&t, (enum dateorder)order, -50400, &utc) ==
		    NULL)
			demand(utc > -2 * CLAIMTIME_DAY_NS && t.step_ns > 0);
}

static void rows(struct span s)
{
	struct claimtable t;
	struct claimrow r;
	int64_t line = 0;

	demand(claimtable_init(&t, s));
	while (claimtable_next(&t, &r)) {
		demand(r.line > line && r.cells <= CLAIMTABLE_CELLS);
		demand(t.at <= t.n);
		line = r.line;
		for (size_t i = 0; i < r.cells; i++)
			demand(r.cell[i].n <= CLAIMTABLE_CELL);
	}
	claimtable_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char head[] = "ip,port,utc,end,tz,hash,bytes,pieces\n";
	static const struct claim_options plain;
	struct claimlist c;
	char *under;

	one_time(span_of(data, n));
	rows(span_of(data, n));
	/* Under names that are known, so that few tables are refused. */
	under = malloc(sizeof(head) - 1 + n);
	demand(under != NULL);
	memcpy(under, head, sizeof(head) - 1);
	if (n)
		memcpy(under + sizeof(head) - 1, data, n);
	if (claimlist_read(&c, "x", span_of(under, sizeof(head) - 1 + n),
	    &plain) == 0)
		for (size_t i = 0; i < c.n; i++)
			demand(c.at[i].fault || (c.at[i].ip[0] &&
			    c.at[i].infohash[0] && c.at[i].timed &&
			    c.at[i].to_utc_ns >= c.at[i].from_utc_ns));
	claimlist_fini(&c);
	free(under);
	return 0;
}
