#include "report/swarmsize.h"

#include <stdlib.h>
#include <string.h>

#include "report/estimate.h"
#include "report/rows.h"

#define S 1000000000LL
#define OVERLAP_LEAST 7		/* below, Chapman's estimate is biased */
#define WINDOW_MOST (24 * 3600 * S)

#define NAMED_BY(kinds) \
	"SELECT DISTINCT ip, port FROM sighting WHERE swarm = ?1 AND source " \
	kinds " AND first_utc_ns < ?2 "

/* Named by trackers and by the DHT: sources that know nothing of each other,
 * though both know only who announces. */
static const char two_sources[] =
    "WITH a AS (" NAMED_BY("= 'tracker'") "), b AS (" NAMED_BY("= 'dht'") ") "
    "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), "
    "(SELECT count(*) FROM a JOIN b USING (ip, port))";

/* Named by one kind of source, in the first half and in the second. */
static const char two_halves[] =
    "WITH seen AS (SELECT ip, port, min(first_utc_ns) AS f, max(last_utc_ns) "
    "AS l FROM sighting WHERE swarm = ?1 AND source = ?4 GROUP BY ip, port) "
    "SELECT count(*) FILTER (WHERE f < ?3), count(*) FILTER (WHERE l >= ?3), "
    "count(*) FILTER (WHERE f < ?3 AND l >= ?3) FROM seen WHERE f < ?2";

/* When any source was asked, and how often one answered. */
#define WINDOW "SELECT min(from_utc_ns), max(to_utc_ns), sum(polls) - " \
	"sum(failures) FROM coverage WHERE swarm = ?1"

static int count(struct composition *m, const struct facts *c,
    const char *swarm, const char *sql, const char *source)
{
	struct rows q;

	rows_open(&q, c->db, sql, swarm);
	if (!q.failed) {
		sqlite3_bind_int64(q.st, 2, m->to_utc_ns);
		sqlite3_bind_int64(q.st, 3, m->from_utc_ns +
		    (m->to_utc_ns - m->from_utc_ns) / 2);
		sqlite3_bind_text(q.st, 4, source, -1, SQLITE_STATIC);
	}
	free(m->count_sql);
	m->count_sql = queries_text(q.st);
	if (rows_next(&q)) {
		m->a = rows_int(&q, 0);
		m->b = rows_int(&q, 1);
		m->both = rows_int(&q, 2);
	}
	return rows_close(&q);
}

static const char *refusal(const struct composition *m, bool halves,
    bool invents, bool long_time, int64_t polls)
{
	if (invents)
		return "a source that was asked names peers for infohashes "
		    "that nobody shares, so what it names is no sample of "
		    "this swarm.";
	if (m->a == 0 || m->b == 0)
		return "only one of the two counts has any endpoint.";
	if (halves && long_time)
		return "one kind of source only, asked for more than a day: "
		    "two halves of that time do not count the same swarm.";
	if (halves && polls < 2)
		return "one kind of source only, asked only once.";
	if (m->both < OVERLAP_LEAST)
		return "fewer than 7 endpoints are in both counts; the "
		    "estimate would be biased and its interval too wide to "
		    "say anything.";
	return NULL;
}

int swarmsize_read(struct composition *m, const struct facts *c,
    const char *swarm)
{
	const char *why, *one;
	bool halves, long_time, invents;
	int64_t polls = 0;
	struct rows q;

	m->window_sql = queries_bound(c->db, WINDOW, swarm);
	rows_open(&q, c->db, WINDOW, swarm);
	if (rows_next(&q)) {
		m->from_utc_ns = rows_int(&q, 0);
		m->to_utc_ns = rows_int(&q, 1) + 1;
		polls = rows_int(&q, 2);
	}
	if (rows_close(&q))
		return -1;
	long_time = m->to_utc_ns - m->from_utc_ns > WINDOW_MOST;
	if (long_time)
		m->to_utc_ns = m->from_utc_ns + WINDOW_MOST;
	if (count(m, c, swarm, two_sources, NULL))
		return -1;
	snprintf(m->first, sizeof(m->first), "named by trackers");
	snprintf(m->second, sizeof(m->second), "named by DHT nodes");
	halves = m->a == 0 || m->b == 0;
	if (halves) {
		one = m->b ? "dht" : "tracker";
		snprintf(m->first, sizeof(m->first), "named by %s in the first "
		    "half of the time", m->b ? "DHT nodes" : "trackers");
		snprintf(m->second, sizeof(m->second), "named by them in the "
		    "second half");
		if (count(m, c, swarm, two_halves, one))
			return -1;
	}
	invents = rows_number(c->db, "SELECT count(*) FROM decoy_source AS d "
	    "WHERE d.named > 0 AND EXISTS (SELECT 1 FROM sighting AS s WHERE "
	    "s.swarm = ?1 AND s.source = d.source AND s.witness = d.witness "
	    "LIMIT 1)", swarm, 0) > 0;
	why = refusal(m, halves, invents, long_time, polls);
	if (why == NULL && !estimate_population(m->a, m->b, m->both, &m->size))
		why = "the counts are too large.";
	m->estimated = why == NULL;
	snprintf(m->refusal, sizeof(m->refusal), "%s", why ? why : "");
	return 0;
}
