/* The SQL behind the page of a claim. */
#include "report/audit_impl.h"

#include "claim_sql.h"

/* Whom the torrent was observed at then: by a piece, or where less is asked
 * for by a handshake. One that has the port claimed comes first. */
#define OTHERS(from) \
	"WITH there AS (SELECT * FROM (" from ") WHERE utc_ns BETWEEN " \
	":from_ns - :reach_ns AND :to_ns + :reach_ns AND ip <> :ip)\nSELECT (SELECT count(DISTINCT ip) " \
	"FROM there) AS addresses, ip, port, utc_ns, seq AS record FROM there " \
	"ORDER BY port IS :port DESC, utc_ns, seq LIMIT 1"

static const char pieces[] = OTHERS("SELECT ip, port, utc_ns, seq FROM "
    "piece_check WHERE ok = 1 AND swarm = :swarm");
static const char greetings[] = OTHERS("SELECT c.ip, c.port, g.greeted_utc_ns "
    "AS utc_ns, g.greeted_seq AS seq FROM contact AS c JOIN rung AS g ON "
    "g.conn = c.conn AND g.ip = c.ip AND g.port = c.port WHERE c.swarm = "
    ":swarm");

/* A live run watches a torrent that it names or asks for, an import all that
 * its packets hold. */
static const char watched[] =
    "WITH named AS (SELECT r.swarm, (SELECT max(seq) FROM about WHERE kind = "
    "'run' AND seq < a.seq) AS run FROM about AS a JOIN evidence.record AS r "
    "ON r.seq = a.seq WHERE a.kind = 'torrent' UNION SELECT swarm, run FROM "
    "poll),\nlive AS (SELECT n.swarm, r.utc_ns AS a, (SELECT utc_ns FROM "
    "evidence.record WHERE seq = coalesce((SELECT min(seq) FROM about WHERE "
    "kind = 'run' AND seq > n.run), (SELECT max(seq) + 1 FROM "
    "evidence.record)) - 1) AS z FROM named AS n JOIN evidence.record AS r ON "
    "r.seq = n.run WHERE n.swarm IS NOT NULL AND coalesce(r.detail ->> "
    "'$.config.import', 0) = 0)\n"
    "SELECT iif(swarm = :swarm, 'live, this torrent', 'live, other torrents') "
    "AS what, count(*) AS n, min(a) AS first_utc_ns, max(z) AS last_utc_ns "
    "FROM live GROUP BY what\nUNION ALL SELECT 'imported packets', count(*), "
    "min(r.detail ->> 'first_utc_ns'), max(r.detail ->> 'last_utc_ns') FROM "
    "about AS a JOIN evidence.record AS r ON r.seq = a.seq WHERE a.kind = "
    "'packets' AND r.detail ->> 'imported' IS NOT NULL AND r.detail ->> "
    "'first_utc_ns' IS NOT NULL AND r.detail ->> 'last_utc_ns' IS NOT NULL "
    "HAVING count(*) > 0";

const char *audit_ask_name(enum asked which)
{
	switch (which) {
	case ASK_CASE:
		return "case";
	case ASK_OTHERS:
		return "others";
	case ASK_WATCHED:
		return "watched";
	case ASK_NOTHING:
		break;
	}
	return NULL;
}

const char *audit_asks(enum asked which)
{
	switch (which) {
	case ASK_CASE:
		return "What the case holds about the claim, kind by kind: how "
		    "much, and what is nearest in time";
	case ASK_OTHERS:
		return "Other addresses that the torrent was observed at "
		    "within reach of the time: how many, and one of them";
	case ASK_WATCHED:
		return "When what was watched";
	case ASK_NOTHING:
		break;
	}
	return "";
}

const char *audit_sql(const struct audit *a, enum asked which)
{
	switch (which) {
	case ASK_CASE:
		return (const char *)claim_sql;
	case ASK_OTHERS:
		return a->require >= 4 ? pieces : greetings;
	case ASK_WATCHED:
		return watched;
	case ASK_NOTHING:
		break;
	}
	return "";
}

static void bind_int(sqlite3_stmt *st, const char *name, int64_t n)
{
	int i = sqlite3_bind_parameter_index(st, name);

	if (i)
		sqlite3_bind_int64(st, i, n);
}

static void bind_text(sqlite3_stmt *st, const char *name, const char *text)
{
	int i = sqlite3_bind_parameter_index(st, name);

	if (i)
		sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

void audit_bind(const struct audit *a, size_t i, enum asked which,
    struct rows *q)
{
	const struct claim *c = &a->claims.at[i];
	const struct judged *j = &a->judged[i];

	rows_open(q, a->subject.cases->db, audit_sql(a, which), NULL);
	if (q->failed)
		return;
	bind_text(q->st, ":ip", c->ip);
	bind_text(q->st, ":infohash", c->infohash);
	bind_text(q->st, ":swarm", j->swarm);
	if (c->port >= 0)
		bind_int(q->st, ":port", c->port);
	bind_int(q->st, ":from_ns", c->from_utc_ns);
	bind_int(q->st, ":to_ns", c->to_utc_ns);
	bind_int(q->st, ":reach_ns", j->reach_ns);
}
