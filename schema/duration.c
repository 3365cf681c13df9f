#include "schema/duration.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int64_t duration_s(const char *text)
{
	static const struct {
		const char *unit;
		int64_t s;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
	    { "d", 86400 } };
	size_t digits = strspn(text, "0123456789");
	int64_t n = strtoll(text, NULL, 10);	/* INT64_MAX if too large */

	if (digits == 0)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text + digits, units[i].unit) == 0)
			return n > DURATION_MOST / units[i].s ? -1 :
			    n * units[i].s;
	return -1;
}
