#include "monitor/peerlog.h"

#include <stdio.h>

#include "schema/json.h"
#include "schema/now.h"

static int64_t put(struct peer *p, const char *kind, int64_t conn,
    struct json *j, struct stamp at)
{
	struct record r = { .at = at, .kind = kind,
		.swarm = p->swarm ? p->swarm->ref.swarm : NULL,
		.conn = conn, .who = &p->who };
	int64_t seq;

	json_close(j, '}');
	r.detail = json_done(j);
	seq = p->env->add(p->env->ctx, &r);
	json_fini(j);
	return seq;
}

static void begin(struct json *j)
{
	json_init(j, JSON_MOST);
	json_open(j, NULL, '{');
}

static int64_t took_ms(const struct peer *p, struct stamp at)
{
	return (at.mono_ns - p->began_ns) / NS_PER_MS;
}

static void put_local(struct json *j, const struct endpoint *local)
{
	char text[ENDPOINT_TEXT_MAX];

	json_str(j, "local", local && local->family ?
	    endpoint_text(local, text) : NULL);
}

/* Who named it, as "tracker+dht". */
static void put_sources(struct json *j, unsigned sources)
{
	static const char *const word[] = { "tracker", "dht", "lsd",
	    "pex", "magnet", "decoy" };
	char text[64];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (sources >> i & 1)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s%s", n ? "+" : "", word[i]);
	json_str(j, "source", text);
}

void peerlog_dial(struct peer *p, struct stamp at)
{
	struct json j;

	begin(&j);
	json_str(&j, "transport", p->stream->ops->transport);
	json_str(&j, "encryption", p->ladder.way.offer ? "mse" : "none");
	put_sources(&j, p->visit.sources);
	json_int(&j, "attempt", p->visit.attempt);
	json_int(&j, "try", p->ladder.tries + 1);
	p->conn = put(p, "dial", CONN_SELF, &j, at);
}

void peerlog_accept(struct peer *p, const struct endpoint *local,
    struct stamp at)
{
	struct json j;

	begin(&j);
	json_str(&j, "transport", p->stream->ops->transport);
	json_str(&j, "encryption", p->undecided ? NULL : "none");
	put_local(&j, local);
	p->conn = put(p, "accept", CONN_SELF, &j, at);
}

void peerlog_reached(struct peer *p, struct stamp at)
{
	struct endpoint local;
	struct json j;

	begin(&j);
	put_local(&j, stream_local(p->stream, &local) ? &local : NULL);
	json_int(&j, "took_ms", took_ms(p, at));
	put(p, "reached", p->conn, &j, at);
}

void peerlog_unreached(struct peer *p, const char *why, const char *error,
    struct stamp at)
{
	struct json j;

	begin(&j);
	json_str(&j, "why", why);
	json_str(&j, "error", error);
	json_int(&j, "took_ms", took_ms(p, at));
	json_bool(&j, "stalled", p->env->stalled(p->env->ctx, p->began_ns));
	put(p, "unreached", p->conn, &j, at);
}
