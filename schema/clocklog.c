#include "schema/clocklog.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

struct clock_said clocklog_kernel(void)
{
	struct timex t = { .modes = 0 };
	struct clock_said s = { .source = "kernel", .outcome = "ok",
		.bound_ns = -1 };

	if (ntp_adjtime(&t) < 0) {
		s.outcome = "error";
		s.error = strerror(errno);
		return s;
	}
	s.has_offset = s.has_dispersion = s.has_sync = true;
	s.offset_ns = t.offset * (t.status & STA_NANO ? 1 : 1000);
	s.dispersion_ns = t.esterror * 1000;
	s.sync = (t.status & STA_UNSYNC) == 0;
	if (s.sync)
		s.bound_ns = t.maxerror * 1000 +
		    (s.offset_ns < 0 ? -s.offset_ns : s.offset_ns);
	return s;
}

static void put_if(struct json *j, const char *key, bool has, int64_t v)
{
	if (has)
		json_int(j, key, v);
	else
		json_null(j, key);
}

void clocklog_detail(const struct clock_said *s, struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "source", s->source);
	json_str(j, "server", s->server);
	json_str(j, "outcome", s->outcome);
	put_if(j, "offset_ns", s->has_offset, s->offset_ns);
	put_if(j, "delay_ns", s->has_delay, s->delay_ns);
	put_if(j, "dispersion_ns", s->has_dispersion, s->dispersion_ns);
	put_if(j, "stratum", s->has_stratum, s->stratum);
	put_if(j, "bound_ns", s->bound_ns >= 0, s->bound_ns);
	if (s->has_sync)
		json_bool(j, "synchronised", s->sync);
	else
		json_null(j, "synchronised");
	json_str(j, "error", s->error);
}
