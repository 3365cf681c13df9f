#include "report/select.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool select_ip(const char *text, char ip[ENDPOINT_IP_MAX])
{
	struct endpoint at = { 0 };

	if (!endpoint_parse_ip(span_str(text), &at))
		return false;
	endpoint_ip(&at, ip);
	return true;
}

int select_port(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
		return -1;
	return strtol(text, NULL, 10) > 65535 ? -1 :
	    (int)strtol(text, NULL, 10);
}

bool select_day(const char *text, char day[11])
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d", &tm);

	if (rest && *rest == 'T')
		rest = strptime(rest, "T%H:%M:%SZ", &tm);
	if (rest == NULL || *rest || rest - text < 10)
		return false;
	tm.tm_isdst = 0;
	if (timegm(&tm) == (time_t)-1)
		return false;
	return strftime(day, 11, "%Y-%m-%d", &tm) == 10 &&
	    strncmp(day, text, 10) == 0;
}
