#include "report/when.h"

#include <stdio.h>
#include <time.h>

#define S 1000000000LL

static const char *stamp(int64_t utc_ns, int digits, char buf[WHEN_MAX])
{
	int64_t s = utc_ns / S, ns = utc_ns % S;
	struct tm tm = { 0 };
	time_t t;
	size_t n;

	if (ns < 0) {
		ns += S;
		s--;
	}
	t = (time_t)s;
	gmtime_r(&t, &tm);
	n = strftime(buf, WHEN_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (digits == 3)
		snprintf(buf + n, WHEN_MAX - n, ".%03dZ",
		    (int)(ns / 1000000));
	else if (digits == 9)
		snprintf(buf + n, WHEN_MAX - n, ".%09dZ", (int)ns);
	else
		snprintf(buf + n, WHEN_MAX - n, "Z");
	return buf;
}

const char *when_text(int64_t utc_ns, int64_t bound_ns, char buf[WHEN_MAX])
{
	return stamp(utc_ns, bound_ns >= 0 && bound_ns < S ? 3 : 0, buf);
}

const char *when_exact(int64_t utc_ns, char buf[WHEN_MAX])
{
	return stamp(utc_ns, 9, buf);
}

const char *when_bound(int64_t bound_ns, char buf[WHEN_MAX])
{
	if (bound_ns < 0)
		snprintf(buf, WHEN_MAX, "± unknown");
	else if (bound_ns <= 999000000)
		snprintf(buf, WHEN_MAX, "± %lld ms",
		    (long long)(bound_ns + 999999) / 1000000);
	else
		snprintf(buf, WHEN_MAX, "± %lld s",
		    (long long)(bound_ns / S + (bound_ns % S != 0)));
	return buf;
}

const char *when_span(int64_t ns, char buf[WHEN_MAX])
{
	int64_t s = ns / S;

	if (ns < 0)
		snprintf(buf, WHEN_MAX, "less than nothing");
	else if (s < 60)
		snprintf(buf, WHEN_MAX, "%lld.%d s", (long long)s,
		    (int)(ns % S / 100000000));
	else if (s < 3600)
		snprintf(buf, WHEN_MAX, "%lld min %02d s",
		    (long long)(s / 60), (int)(s % 60));
	else
		snprintf(buf, WHEN_MAX, "%lld h %02d min",
		    (long long)(s / 3600), (int)(s / 60 % 60));
	return buf;
}
