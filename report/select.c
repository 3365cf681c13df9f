#include "report/select.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/log.h"

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

static bool is_infohash(const char *text)
{
	size_t n = strlen(text);

	return (n == 40 || n == 64) && strspn(text, "0123456789abcdef") == n;
}

bool select_option(const struct selection *s, int option, const char *value)
{
	const char *wants = NULL;

	switch (option) {
	case 'i':
		if (!select_ip(value, s->ip))
			wants = "ip wants an address";
		break;
	case 'p':
		*s->port = select_port(value);
		if (*s->port < 0)
			wants = "port wants 0 to 65535";
		break;
	case 'f':
		if (!select_day(value, s->from_day))
			wants = "from wants a UTC day or time, as 2026-01-31 or "
			    "2026-01-31T12:00:00Z";
		break;
	case 't':
		if (!select_day(value, s->to_day))
			wants = "to wants a UTC day or time, as 2026-01-31 or "
			    "2026-01-31T12:00:00Z";
		break;
	case 's':
		*s->swarm = value;
		if (!is_infohash(value))
			wants = "swarm wants the infohash in lower-case hex";
		break;
	}
	if (wants)
		log_warn("%s: --%s", s->command, wants);
	return wants == NULL;
}
