#include "monitor/peerlog.h"

#include <errno.h>
#include <stdio.h>

#include "monitor/now.h"
#include "monitor/sock.h"
#include "schema/json.h"

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

/* Who named it, as "tracker+dht". */
static void put_sources(struct json *j, unsigned sources)
{
	static const char *const word[] = { "tracker", "dht", "lsd",
	    "pex", "magnet" };
	char text[64];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (sources >> i & 1)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s%s", n ? "+" : "", word[i]);
	json_str(j, "source", text);
}

void peerlog_dial(struct peer *p, const struct book_visit *v,
    struct stamp at)
{
	struct json j;

	begin(&j);
	json_str(&j, "transport", "tcp");
	json_str(&j, "encryption", "none");
	put_sources(&j, v->sources);
	json_int(&j, "attempt", v->attempt);
	p->conn = put(p, "dial", CONN_SELF, &j, at);
}

void peerlog_accept(struct peer *p, const struct endpoint *local,
    struct stamp at)
{
	char text[ENDPOINT_TEXT_MAX];
	struct json j;

	begin(&j);
	json_str(&j, "transport", "tcp");
	json_str(&j, "encryption", "none");
	json_str(&j, "local", local->family ? endpoint_text(local, text) :
	    NULL);
	p->conn = put(p, "accept", CONN_SELF, &j, at);
}

void peerlog_reached(struct peer *p, struct stamp at)
{
	char text[ENDPOINT_TEXT_MAX];
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct endpoint local;
	struct json j;
	bool known = getsockname(p->fd, (struct sockaddr *)&ss, &n) == 0 &&
	    sock_endpoint((struct sockaddr *)&ss, &local);

	begin(&j);
	json_str(&j, "local", known ? endpoint_text(&local, text) : NULL);
	json_int(&j, "took_ms", (at.mono_ns - p->began_ns) / NS_PER_MS);
	put(p, "reached", p->conn, &j, at);
}

const char *peerlog_word(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timeout";
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return "unreachable";
	case ECONNRESET:
		return "reset";
	}
	return "other";
}

void peerlog_unreached(struct peer *p, const char *why,
    const char *error, struct stamp at)
{
	struct json j;

	begin(&j);
	json_str(&j, "why", why);
	json_str(&j, "error", error);
	json_int(&j, "took_ms", (at.mono_ns - p->began_ns) / NS_PER_MS);
	json_bool(&j, "stalled", p->env->stalled(p->env->ctx, p->began_ns));
	put(p, "unreached", p->conn, &j, at);
}
