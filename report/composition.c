#include "report/composition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/ladder.h"
#include "report/rows.h"
#include "report/swarmsize.h"
#include "report/when.h"
#include "schema/log.h"

#define S 1000000000LL
#define BUCKETS 48
#define MANY 12			/* rows of a list; the rest is summed up */
#define HERE_COLUMNS "ip, port, conn, level, direction, transport, " \
	"encryption, client, pieces_claimed, pieces_total"

static const struct chart views[VIEWS] = {
	[VIEW_LEVELS] = { .name = "levels", .title = "Endpoints by the highest "
	    "level observed", .says = "An endpoint is an address and port on "
	    "one UTC day.", .what = "Level", .shares = true,
	    .series = { "Endpoints" } },
	[VIEW_PRESENT] = { .name = "present", .title = "Endpoints present over "
	    "time", .says = "Those that answered, from when each was first "
	    "seen to when it was last seen, however silent between; by the "
	    "highest level it ever reached.", .what = "From (UTC)",
	    .columns = true, .series = { "5 hash-matched", "4 delivered",
	    "3 advertised", "2 handshaked", "1 reached" } },
	[VIEW_MOVES] = { .name = "moves", .title = "Arrivals and departures",
	    .says = "Endpoints that answered: first seen above the line, last "
	    "seen below it. The first and last columns show the observer’s "
	    "own coming and going as well.", .what = "From (UTC)",
	    .columns = true, .below = true, .series = { "First seen",
	    "Last seen" } },
	[VIEW_HELD] = { .name = "held", .title = "What endpoints claim to hold",
	    .says = "The most that each claimed, as a share of the torrent. A "
	    "claim is a claim.", .what = "Share", .shares = true,
	    .series = { "Endpoints" } },
	[VIEW_CLIENTS] = { .name = "clients", .title = "Clients", .says = "As "
	    "they name themselves; anyone can say anything.", .what = "Client",
	    .shares = true, .series = { "Endpoints" } },
	[VIEW_COUNTRIES] = { .name = "countries", .title = "Countries", .says =
	    "Of addresses that answered, as the databases below believe.",
	    .what = "Country", .shares = true, .series = { "Addresses" } },
	[VIEW_NETWORKS] = { .name = "networks", .title = "Networks", .says =
	    "Of addresses that answered, as the databases below believe.",
	    .what = "Network", .shares = true, .series = { "Addresses" } },
	[VIEW_SOURCES] = { .name = "sources", .title = "Who named endpoints",
	    .says = "Each endpoint under all the kinds of source that named "
	    "it. Being named is hearsay.", .what = "Sources", .shares = true,
	    .series = { "Endpoints" } },
	[VIEW_REACHED] = { .name = "reached", .title = "Reachable or not",
	    .says = "Whether the observer’s dials got through, or the "
	    "endpoint called.", .what = "Contact", .shares = true,
	    .series = { "Endpoints" } },
	[VIEW_TRANSPORTS] = { .name = "transports", .title = "Transports",
	    .says = "Of conversations that completed a connection.",
	    .what = "Transport", .shares = true,
	    .series = { "Conversations" } },
	[VIEW_ENCRYPTION] = { .name = "encryption", .title = "Encryption",
	    .says = "Of conversations in which a handshake came. It hides "
	    "nothing from whoever knows the infohash.", .what = "Encryption",
	    .shares = true, .series = { "Conversations" } },
};

/* --- places, for SQL --------------------------------------------------------------- */

static void country(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const struct geo *g = sqlite3_user_data(ctx);
	const char *ip = (const char *)sqlite3_value_text(v[0]);
	struct geo_place p;

	(void)n;
	geo_find(g, ip ? ip : "", &p);
	sqlite3_result_text(ctx, p.country[0] ? p.country : "unknown", -1,
	    SQLITE_TRANSIENT);
}

static void network(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const struct geo *g = sqlite3_user_data(ctx);
	const char *ip = (const char *)sqlite3_value_text(v[0]);
	struct geo_place p;
	char text[160] = "unknown";

	(void)n;
	geo_find(g, ip ? ip : "", &p);
	if (p.asn)
		snprintf(text, sizeof(text), "AS%u %s", p.asn, p.org);
	else if (p.org[0])
		snprintf(text, sizeof(text), "%s", p.org);
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

/* Those of all swarms, in one pass over the case's contacts. */
static int read_answered(const struct facts *c, const char *swarm)
{
	struct rows q;

	if (sqlite3_exec(c->db, "CREATE TEMP TABLE answered (swarm TEXT, "
	    "ip TEXT, port INTEGER, conn INTEGER, level INTEGER, "
	    "direction TEXT, transport TEXT, encryption TEXT, client TEXT, "
	    "pieces_claimed INTEGER, pieces_total INTEGER, PRIMARY KEY (swarm, "
	    "ip, port, conn)) WITHOUT ROWID", NULL, NULL, NULL) != SQLITE_OK) {
		log_warn("report: %s", sqlite3_errmsg(c->db));
		return -1;
	}
	rows_open(&q, c->db, "INSERT INTO temp.answered SELECT swarm, "
	    HERE_COLUMNS " FROM contact WHERE level > 0 AND swarm IS NOT NULL "
	    "AND ?1 IN ('', swarm) ORDER BY swarm, ip, port, conn",
	    swarm ? swarm : "");
	rows_next(&q);
	return rows_close(&q);
}

int composition_prepare(const struct facts *c, const struct geo *geo,
    const char *swarm)
{
	if (sqlite3_create_function(c->db, "geo_country", 1, SQLITE_UTF8,
	    (void *)geo, country, NULL, NULL) != SQLITE_OK ||
	    sqlite3_create_function(c->db, "geo_network", 1, SQLITE_UTF8,
	    (void *)geo, network, NULL, NULL) != SQLITE_OK) {
		log_warn("report: %s", sqlite3_errmsg(c->db));
		return -1;
	}
	return read_answered(c, swarm);
}

/* --- lists ------------------------------------------------------------------------- */

/* The text of a query for readers. What it calls here is a table that the
 * program made for all of them; a reader gets it in the same query. */
static char *told(const struct rows *q, const char *swarm)
{
	char *sql = queries_text(q->st), *text = NULL, *quoted;

	if (sql == NULL || strstr(sql, "FROM here") == NULL)
		return sql;
	quoted = sqlite3_mprintf("%Q", swarm);
	if (quoted == NULL || asprintf(&text, "WITH here AS (SELECT "
	    HERE_COLUMNS " FROM contact WHERE swarm = %s AND level > 0) %s",
	    quoted, sql) < 0)
		log_die("out of memory");
	sqlite3_free(quoted);
	free(sql);
	return text;
}

/* Rows of (label, count), the first MANY, the rest as one. */
static int read_list(struct chart *c, const struct facts *facts,
    const char *swarm, const char *sql)
{
	int64_t rest = 0, kinds = 0;
	struct rows q;

	rows_open(&q, facts->db, sql, swarm);
	c->sql = told(&q, swarm);
	while (rows_next(&q)) {
		const char *label = rows_text(&q, 0);

		if (c->rows < MANY) {
			*chart_row(c, label && *label ? label : "not said") =
			    rows_int(&q, 1);
		} else {
			rest += rows_int(&q, 1);
			kinds++;
		}
	}
	if (rest) {
		char label[48];

		snprintf(label, sizeof(label), "%" PRId64 " others", kinds);
		*chart_row(c, label) = rest;
	}
	return rows_close(&q);
}

/* Whose country and network the databases are asked for: no SQL does that. */
#define LOOKED_UP "SELECT DISTINCT ip FROM endpoint WHERE swarm = ?1 AND " \
	"level > 0 AND port_kind = 'remote'"

static const struct {
	enum view view;
	const char *sql;
} lists[] = {
	{ VIEW_CLIENTS, "SELECT client, count(*) AS n FROM (SELECT ip, port, "
	    "max(client) AS client FROM here WHERE level > 1 "
	    "GROUP BY ip, port) GROUP BY client ORDER BY n DESC, client" },
	{ VIEW_SOURCES, "SELECT kinds, count(*) AS n FROM (SELECT "
	    "group_concat(source, ' and ') AS kinds FROM (SELECT DISTINCT ip, "
	    "port, source FROM sighting WHERE swarm = ?1 AND source <> "
	    "'incoming' ORDER BY ip, port, source) GROUP BY ip, port) GROUP BY "
	    "kinds ORDER BY n DESC, kinds" },
	{ VIEW_TRANSPORTS, "SELECT CASE transport WHEN 'tcp' THEN 'TCP' WHEN "
	    "'utp' THEN 'uTP' ELSE 'unknown' END || CASE direction WHEN 'out' "
	    "THEN ', dialled' WHEN 'in' THEN ', dialling in' ELSE '' END AS t, "
	    "count(*) AS n FROM here GROUP BY t ORDER BY n DESC, t" },
	{ VIEW_ENCRYPTION, "SELECT CASE encryption WHEN 'none' THEN 'none' "
	    "WHEN 'plaintext' THEN 'handshake only' WHEN 'rc4' THEN 'RC4' ELSE "
	    "'not told' END AS e, count(*) AS n FROM here WHERE level > 1 "
	    "GROUP BY e ORDER BY n DESC, e" },
	{ VIEW_REACHED, "SELECT CASE WHEN dialled > 0 THEN 'dialled, and "
	    "answered' WHEN came > 0 THEN 'called the observer' WHEN tried THEN "
	    "'dialled in vain' ELSE 'named only, never dialled' END AS r, "
	    "count(*) AS n FROM (SELECT e.ip, e.port, max(e.port_kind = "
	    "'remote') AS tried, (SELECT max(c.level) FROM here AS c WHERE "
	    "c.ip = e.ip AND c.port = e.port AND c.direction = 'out') AS "
	    "dialled, (SELECT max(c.level) FROM here AS c WHERE c.ip = "
	    "e.ip AND c.port = e.port AND c.direction <> 'out') AS came FROM endpoint AS e WHERE e.swarm = ?1 AND "
	    "e.port_kind <> 'listen' GROUP BY e.ip, e.port) GROUP BY r ORDER "
	    "BY n DESC, r" },
	{ VIEW_COUNTRIES, "SELECT geo_country(ip) AS p, count(*) AS n FROM "
	    "(" LOOKED_UP ") GROUP BY p ORDER BY n DESC, p" },
	{ VIEW_NETWORKS, "SELECT geo_network(ip) AS p, count(*) AS n FROM "
	    "(" LOOKED_UP ") GROUP BY p ORDER BY n DESC, p" },
};

static int read_levels(struct chart *c, const struct facts *facts,
    const char *swarm)
{
	int64_t over[LADDER_TOP + 1], addresses;

	if (endpoints_count(facts, swarm, over, &addresses))
		return -1;
	c->sql = queries_bound(facts->db, ENDPOINTS_BY_LEVEL, swarm);
	for (int i = LADDER_TOP; i >= 0; i--) {
		char label[32];

		snprintf(label, sizeof(label), "%d %s", i, ladder_at(i)->name);
		*chart_row(c, label) = over[i];
	}
	return 0;
}

static int read_held(struct chart *c, const struct facts *facts,
    const char *swarm)
{
	static const char *const label[] = { "all of it (seeds)", "75 to 99 %",
	    "50 to 74 %", "25 to 49 %", "1 to 24 %", "less than 1 %",
	    "nothing", "no claim" };
	int64_t n[8] = { 0 };
	struct rows q;

	rows_open(&q, facts->db, "SELECT CASE WHEN share IS NULL THEN 'no "
	    "claim' WHEN share >= 1 THEN 'all of it (seeds)' WHEN share >= "
	    "0.75 THEN '75 to 99 %' WHEN share >= 0.5 THEN '50 to 74 %' WHEN "
	    "share >= 0.25 THEN '25 to 49 %' WHEN share >= 0.01 THEN '1 to 24 "
	    "%' WHEN share > 0 THEN 'less than 1 %' ELSE 'nothing' END AS k, "
	    "count(*) FROM (SELECT max(c.pieces_claimed * 1.0 / "
	    "coalesce(c.pieces_total, s.pieces)) AS share FROM here AS c LEFT "
	    "JOIN swarm AS s ON s.swarm = ?1 WHERE c.level > 1 GROUP BY c.ip, "
	    "c.port) GROUP BY k", swarm);
	c->sql = told(&q, swarm);
	while (rows_next(&q))
		for (int i = 0; i < 8; i++)
			if (strcmp(rows_text(&q, 0), label[i]) == 0)
				n[i] = rows_int(&q, 1);
	for (int i = 0; i < 8; i++)
		*chart_row(c, label[i]) = n[i];
	return rows_close(&q);
}

/* --- over time ---------------------------------------------------------------------- */

struct axis {
	int64_t from, step;	/* ns */
	int buckets;
};

static void axis_set(struct axis *x, int64_t from, int64_t to)
{
	static const int64_t steps_s[] = { 1, 2, 5, 10, 30, 60, 120, 300, 600,
	    1800, 3600, 7200, 14400, 21600, 43200, 86400 };
	size_t k = 0, last = sizeof(steps_s) / sizeof(steps_s[0]) - 1;

	while (k < last && (to - from) / (steps_s[k] * S) >= BUCKETS - 1)
		k++;
	x->step = steps_s[k] * S;
	while ((to - from) / x->step >= BUCKETS - 1)	/* many weeks */
		x->step *= 2;
	x->from = from / x->step * x->step;
	x->buckets = (int)((to - x->from) / x->step) + 1;
}

static int bucket(const struct axis *x, int64_t utc_ns)
{
	return (int)((utc_ns - x->from) / x->step);
}

/* Who answered, by when it was first and last seen, and columns of time. */
#define SPANS "SELECT min(first_utc_ns) AS f, max(last_utc_ns) AS l, " \
	"max(level) AS level FROM endpoint WHERE swarm = ?1 AND port_kind = " \
	"'remote' AND level > 0 GROUP BY ip, port"
#define TIMES "WITH RECURSIVE t (b) AS (SELECT ?2 UNION ALL SELECT b + ?3 " \
	"FROM t WHERE b + ?3 <= ?4), e AS (" SPANS ") SELECT datetime(b / " \
	"1000000000, 'unixepoch') AS \"from\", "
#define PRESENT(level) "count(*) FILTER (WHERE f < b + ?3 AND l >= b AND " \
	"level = " level ")"
static const char times_present[] = TIMES PRESENT("5") ", " PRESENT("4") ", "
    PRESENT("3") ", " PRESENT("2") ", " PRESENT("1") " FROM t, e GROUP BY b";
static const char times_moves[] = TIMES "count(*) FILTER (WHERE f BETWEEN b "
    "AND b + ?3 - 1), count(*) FILTER (WHERE l BETWEEN b AND b + ?3 - 1) FROM "
    "t, e GROUP BY b";

/* The same numbers in SQL. It passes over all endpoints for each column of
 * time, where one pass is enough here: a test holds the two together. */
static char *times_sql(const struct facts *facts, const char *swarm,
    const char *sql, const struct axis *x)
{
	struct rows q;
	char *text;

	rows_open(&q, facts->db, sql, swarm);
	if (!q.failed) {
		sqlite3_bind_int64(q.st, 2, x->from);
		sqlite3_bind_int64(q.st, 3, x->step);
		sqlite3_bind_int64(q.st, 4, x->from + (x->buckets - 1) *
		    x->step);
	}
	text = queries_text(q.st);
	rows_close(&q);
	return text;
}

static int read_times(struct composition *m, const struct facts *facts,
    const char *swarm)
{
	int64_t gone[BUCKETS + 1][LADDER_TOP] = { { 0 } };
	int64_t came[BUCKETS + 1][LADDER_TOP] = { { 0 } };
	int64_t here[LADDER_TOP] = { 0 }, from, to;
	struct axis x;
	struct rows q;

	from = rows_number(facts->db, "SELECT min(first_utc_ns) FROM endpoint "
	    "WHERE swarm = ?1 AND port_kind = 'remote' AND level > 0", swarm, -1);
	to = rows_number(facts->db, "SELECT max(last_utc_ns) FROM endpoint "
	    "WHERE swarm = ?1 AND port_kind = 'remote' AND level > 0", swarm, -1);
	if (from < 0)
		return 0;
	axis_set(&x, from, to);
	m->view[VIEW_PRESENT].sql = times_sql(facts, swarm, times_present, &x);
	m->view[VIEW_MOVES].sql = times_sql(facts, swarm, times_moves, &x);
	rows_open(&q, facts->db, SPANS, swarm);
	while (rows_next(&q)) {
		int level = (int)rows_int(&q, 2);

		came[bucket(&x, rows_int(&q, 0))][LADDER_TOP - level]++;
		gone[bucket(&x, rows_int(&q, 1)) + 1][LADDER_TOP - level]++;
	}
	for (int b = 0; b < x.buckets; b++) {
		char label[WHEN_MAX];
		int64_t *present, *moves, in = 0, out = 0;

		when_text(x.from + b * x.step, BOUND_UNKNOWN, label);
		label[x.step < 60 * S ? 19 : 16] = '\0';
		label[10] = ' ';
		present = chart_row(&m->view[VIEW_PRESENT], label);
		for (int k = 0; k < LADDER_TOP; k++) {
			here[k] += came[b][k] - gone[b][k];
			present[k] = here[k];
			in += came[b][k];
			out += gone[b + 1][k];
		}
		moves = chart_row(&m->view[VIEW_MOVES], label);
		moves[0] = in;
		moves[1] = out;
	}
	return rows_close(&q);
}

/* --- all ------------------------------------------------------------------------------ */

/* The swarm's conversations that completed a connection, by endpoint. */
static int read_here(const struct facts *c, const char *swarm)
{
	struct rows q;

	if (sqlite3_exec(c->db, "CREATE TEMP TABLE IF NOT EXISTS here ("
	    "ip TEXT, port INTEGER, conn INTEGER, level INTEGER, "
	    "direction TEXT, transport TEXT, encryption TEXT, client TEXT, "
	    "pieces_claimed INTEGER, pieces_total INTEGER, PRIMARY KEY (ip, "
	    "port, conn)) WITHOUT ROWID; DELETE FROM temp.here", NULL, NULL,
	    NULL) != SQLITE_OK) {
		log_warn("report: %s", sqlite3_errmsg(c->db));
		return -1;
	}
	rows_open(&q, c->db, "INSERT INTO temp.here SELECT " HERE_COLUMNS " FROM "
	    "temp.answered WHERE swarm = ?1", swarm);
	rows_next(&q);
	return rows_close(&q);
}

int composition_read(struct composition *m, const struct subject *s,
    const struct facts *c, const char *swarm)
{
	*m = (struct composition){ 0 };
	for (int i = 0; i < VIEWS; i++) {
		m->view[i] = views[i];
		while (m->view[i].n_series < CHART_SERIES &&
		    m->view[i].series[m->view[i].n_series])
			m->view[i].n_series++;
	}
	if (read_here(c, swarm) ||
	    read_levels(&m->view[VIEW_LEVELS], c, swarm) ||
	    read_held(&m->view[VIEW_HELD], c, swarm) ||
	    read_times(m, c, swarm) || swarmsize_read(m, c, swarm))
		return -1;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		enum view v = lists[i].view;

		bool place = v == VIEW_COUNTRIES || v == VIEW_NETWORKS;

		if (place && s->geo->n == 0)
			continue;
		if (read_list(&m->view[v], c, swarm, lists[i].sql))
			return -1;
		if (place) {
			free(m->view[v].sql);
			m->view[v].sql = queries_bound(c->db, LOOKED_UP,
			    swarm);
		}
	}
	return 0;
}

bool composition_file(const char *name)
{
	for (int i = 0; i < VIEWS; i++) {
		size_t n = strlen(views[i].name);

		if (name[0] == '-' && strncmp(name + 1, views[i].name, n) ==
		    0 && strcmp(name + 1 + n, ".csv") == 0)
			return true;
	}
	return false;
}

void composition_fini(struct composition *m)
{
	for (int i = 0; i < VIEWS; i++)
		chart_fini(&m->view[i]);
	free(m->count_sql);
	free(m->window_sql);
}
