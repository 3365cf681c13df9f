#include "report/endpoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/caution.h"
#include "report/queries.h"
#include "schema/log.h"
#include "wire/endpoint.h"

#define MINUTE 60000000000LL
#define CLOCK_WIDE 1000000000LL	/* ns; wider, a caution says so */
#define DAY_NS "utc_ns / 86400000000000 * 86400000000000"

/* When it was named that day, for one that never answered: how long we tried
 * is no time at which it was seen. */
#define NAMED_AT(column) \
	"CASE WHEN e.level = 0 AND e.port_kind <> 'listed' THEN " \
	"coalesce((SELECT l." column " FROM " \
	"endpoint AS l WHERE l.swarm = e.swarm AND l.ip = e.ip AND l.port = " \
	"e.port AND l.port_kind = 'listed' AND l.utc_day = e.utc_day), " \
	"e." column ") ELSE e." column " END"

/* Orders addresses by family, then numerically. */
static void ip_key(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const char *text = (const char *)sqlite3_value_text(v[0]);
	struct endpoint at = { 0 };
	uint8_t key[17];

	(void)n;
	if (text == NULL || !endpoint_parse_ip(span_str(text), &at)) {
		sqlite3_result_null(ctx);
		return;
	}
	key[0] = at.family;
	memcpy(key + 1, at.addr, sizeof(at.addr));
	sqlite3_result_blob(ctx, key, sizeof(key), SQLITE_TRANSIENT);
}

/*
 * What rows are told by, once for all of them. Of one address only its own
 * conversations are read, through their index, and one pass over the contacts
 * tells who else bore its peer ids.
 */
int endpoints_prepare(const struct facts *c, const struct endpoints_of *of,
    const char *swarm)
{
	static const char rest[] =
	    "CREATE TEMP TABLE id_at (swarm TEXT, ip TEXT, peer_id TEXT, "
	    "PRIMARY KEY (swarm, ip, peer_id)) WITHOUT ROWID;"
	    "INSERT OR IGNORE INTO id_at SELECT swarm, ip, peer_id FROM "
	    "mine WHERE swarm IS NOT NULL AND peer_id IS NOT NULL;"
	    "CREATE TEMP TABLE id_of (swarm TEXT, peer_id TEXT, ips INTEGER, "
	    "PRIMARY KEY (swarm, peer_id)) WITHOUT ROWID;"
	    /* One address may have spoken in very many swarms. */
	    "CREATE TEMP TABLE talk_of (swarm TEXT, ip TEXT, port INTEGER, "
	    "conn INTEGER, PRIMARY KEY (swarm, ip, port, conn)) "
	    "WITHOUT ROWID;"
	    "INSERT INTO talk_of SELECT swarm, ip, port, conn FROM mine "
	    "WHERE swarm IS NOT NULL ORDER BY swarm, ip, port, conn;"
	    "CREATE TEMP TABLE lack (conn INTEGER, ip TEXT, port INTEGER, "
	    "day_ns INTEGER, n INTEGER, PRIMARY KEY (conn, ip, port, day_ns)) "
	    "WITHOUT ROWID;";
	static const char ids_of_all[] =
	    "INSERT INTO id_of SELECT swarm, peer_id, count(*) FROM id_at "
	    "GROUP BY swarm, peer_id;"
	    "INSERT INTO lack SELECT conn, ip, port, " DAY_NS " AS day_ns, "
	    "count(*) FROM piece_check WHERE ok IS NULL "
	    "GROUP BY conn, ip, port, day_ns;";
	static const char ids_of_one[] =
	    "INSERT INTO id_of SELECT swarm, peer_id, count(DISTINCT ip) "
	    "FROM contact WHERE (swarm, peer_id) IN (SELECT swarm, peer_id "
	    "FROM id_at) GROUP BY swarm, peer_id;"
	    "INSERT INTO lack SELECT p.conn, p.ip, p.port, " DAY_NS " AS "
	    "day_ns, count(*) FROM mine AS m JOIN extent AS x ON x.conn = "
	    "m.conn CROSS JOIN piece_check AS p ON p.seq BETWEEN m.conn AND "
	    "x.last_seq AND p.conn = m.conn AND p.ip = m.ip AND p.port = "
	    "m.port WHERE p.ok IS NULL GROUP BY p.conn, p.ip, p.port, day_ns;";
	char *mine;
	bool one = of && of->ip;

	if (one)
		mine = sqlite3_mprintf("CREATE TEMP VIEW mine AS SELECT * "
		    "FROM contact WHERE ip = %Q", of->ip);
	else if (swarm)
		mine = sqlite3_mprintf("CREATE TEMP VIEW mine AS SELECT * "
		    "FROM contact WHERE swarm = %Q", swarm);
	else
		mine = sqlite3_mprintf("CREATE TEMP VIEW mine AS SELECT * "
		    "FROM contact");
	if (mine == NULL)
		log_die("out of memory");
	if (sqlite3_create_function(c->db, "ip_key", 1, SQLITE_UTF8 |
	    SQLITE_DETERMINISTIC, NULL, ip_key, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(c->db, mine, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(c->db, rest, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(c->db, one ? ids_of_one : ids_of_all, NULL,
	    NULL, NULL) != SQLITE_OK) {
		log_warn("report: %s", sqlite3_errmsg(c->db));
		sqlite3_free(mine);
		return -1;
	}
	sqlite3_free(mine);
	return 0;
}

int endpoints_count(const struct facts *c, const char *swarm,
    int64_t over[LADDER_TOP + 1], int64_t *addresses)
{
	struct rows q;

	memset(over, 0, sizeof(*over) * (LADDER_TOP + 1));
	rows_open(&q, c->db, ENDPOINTS_BY_LEVEL, swarm);
	while (rows_next(&q))
		if (rows_int(&q, 0) >= 0 && rows_int(&q, 0) <= LADDER_TOP)
			over[rows_int(&q, 0)] = rows_int(&q, 1);
	*addresses = rows_number(c->db, ENDPOINTS_ADDRESSES, swarm, 0);
	return rows_close(&q);
}

/* Texts are ours: an address in canonical form, days. */
static void choose(const struct endpoints_of *of, char *sql, size_t room)
{
	size_t n = 0;

	if (of->ip)
		n += (size_t)snprintf(sql + n, room - n, "AND e.ip = '%s' ",
		    of->ip);
	if (of->port >= 0)
		n += (size_t)snprintf(sql + n, room - n, "AND (e.port = %d OR "
		    "EXISTS (SELECT 1 FROM contact AS c WHERE c.ip = e.ip AND "
		    "c.port = e.port AND c.swarm = e.swarm AND c.listen_port = "
		    "%d)) ", of->port, of->port);
	if (of->from_day)
		n += (size_t)snprintf(sql + n, room - n, "AND e.utc_day >= "
		    "'%s' ", of->from_day);
	if (of->to_day)
		snprintf(sql + n, room - n, "AND e.utc_day <= '%s' ",
		    of->to_day);
}

static const char select_rows[] = "SELECT e.ip, e.port, e.port_kind, "
    "e.utc_day, e.level, " NAMED_AT("first_utc_ns") " AS first_ns, "
    NAMED_AT("last_utc_ns") " AS last_ns, e.pieces_matched, e.pieces_failed, "
    "iif(e.port_kind = 'listed', e.sightings, coalesce((SELECT l.sightings "
    "FROM endpoint AS l WHERE l.swarm = e.swarm AND l.ip = e.ip AND l.port = "
    "e.port AND l.port_kind = 'listed' AND l.utc_day = e.utc_day), 0)) AS "
    "named, "
    "strftime('%s', e.utc_day) * 1000000000 AS day_ns, "
    "(SELECT count(*) FROM sighting AS s WHERE s.swarm = e.swarm AND "
    "s.ip = e.ip AND s.port = e.port AND s.source <> 'incoming') AS sources, "
    "(SELECT min(first_seq) FROM sighting AS s WHERE s.swarm = e.swarm "
    "AND s.ip = e.ip AND s.port = e.port AND s.source <> 'incoming') AS first_seq, "
    "EXISTS (SELECT 1 FROM decoy_source WHERE named > 0) AND "
    "EXISTS (SELECT 1 FROM sighting AS s JOIN decoy_source AS d ON "
    "d.source = s.source AND d.witness = s.witness WHERE s.swarm = "
    "e.swarm AND s.ip = e.ip AND s.port = e.port AND d.named > 0) AS by_inventor, "
    "(e.ip, e.port) IN (SELECT ip, port FROM decoy_endpoint WHERE accepted) "
    "AS took_decoy "
    ENDPOINTS_LISTED;

/* With the conversations' times at hand, a row finds its own. */
static const char select_talks[] =
    "SELECT c.conn, c.ip, c.port, c.direction, c.listen_port, "
    "c.opened_utc_ns, c.closed_utc_ns, c.outcome, c.peer_id, c.client, "
    "c.pieces_claimed, coalesce(c.pieces_total, (SELECT pieces FROM swarm "
    "WHERE swarm = c.swarm)) AS pieces, c.level, (SELECT count(*) FROM "
    "piece_check AS p WHERE p.conn = c.conn AND p.ip = c.ip AND p.port = "
    "c.port AND p.ok IS NULL) AS incomplete FROM contact AS c WHERE c.swarm = "
    "?1 ORDER BY c.conn, c.ip, c.port";

void endpoints_open(struct endpoints *e, const struct facts *c,
    const char *swarm, const struct endpoints_of *of)
{
	static const char order[] =
	    "ORDER BY e.level DESC, ip_key(e.ip), e.ip, e.port, e.utc_day";
	static const char by_day[] =
	    "ORDER BY e.utc_day, e.port, e.port_kind DESC";
	char chosen[700] = "", *sql;

	*e = (struct endpoints){ .facts = c, .swarm = swarm };
	if (of)
		choose(of, chosen, sizeof(chosen));
	if (asprintf(&sql, "%s%s%s", select_rows, chosen, of ? by_day :
	    order) < 0)
		log_die("out of memory");
	rows_open(&e->rows, c->db, sql, swarm);
	free(sql);
	if (!e->rows.failed && (sqlite3_prepare_v2(c->db,
	    "SELECT c.conn, c.direction, c.listen_port, c.opened_utc_ns, "
	    "c.closed_utc_ns, c.outcome, c.peer_id, c.client, "
	    "c.pieces_claimed, coalesce(c.pieces_total, (SELECT pieces FROM "
	    "swarm WHERE swarm = c.swarm)), c.level, coalesce(k.n, 0) "
	    "FROM talk_of AS o CROSS JOIN contact AS c ON c.conn = o.conn AND "
	    "c.ip = o.ip AND c.port = o.port LEFT JOIN lack AS k ON "
	    "k.conn = c.conn AND k.ip = c.ip AND k.port = c.port AND "
	    "k.day_ns = ?4 "
	    "WHERE o.swarm = ?1 AND o.ip = ?2 AND o.port = ?3 AND "
	    "c.opened_utc_ns < ?4 + 86400000000000 AND "
	    "(c.closed_utc_ns IS NULL OR c.closed_utc_ns >= ?4) "
	    "ORDER BY o.conn", -1, &e->talks, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, "SELECT count(*), max(o.ips) FROM id_at "
	    "AS a CROSS JOIN id_of AS o ON o.swarm = a.swarm AND o.peer_id = "
	    "a.peer_id WHERE a.swarm = ?1 AND a.ip = ?2", -1, &e->ids, NULL)
	    != SQLITE_OK)) {
		log_warn("report: %s", sqlite3_errmsg(c->db));
		e->rows.failed = true;
	}
}

static void caution(struct endpoint_row *r, enum caution c, bool holds)
{
	if (holds)
		r->cautions |= caution_bit(c);
}

/* One conversation with the row's endpoint, on the row's day. */
static int64_t add_talk(const struct endpoints *e, struct endpoint_row *r,
    const struct rows *t)
{
	int64_t from = rows_int(t, 3);
	bool closed = !rows_null(t, 4);
	int64_t to = closed ? rows_int(t, 4) : e->facts->last_utc_ns;
	const char *outcome = rows_text(t, 5), *client = rows_text(t, 7);

	r->contacts++;
	if (r->conns < ENDPOINT_CONNS)
		r->conn[r->conns++] = rows_int(t, 0);
	if (strcmp(rows_text(t, 1), "out") == 0)
		r->dialled = true;
	else
		r->came = true;
	if (!rows_null(t, 2))
		r->listen_port = (int)rows_int(t, 2);
	if (client && *client)
		snprintf(r->client, sizeof(r->client), "%s", client);
	if (!rows_null(t, 8)) {
		r->claimed = rows_int(t, 8);
		r->total = rows_null(t, 9) ? -1 : rows_int(t, 9);
	}
	r->incomplete += rows_int(t, 11);
	caution(r, CAUTION_OTHER_TORRENT,
	    !rows_null(t, 6) && rows_int(t, 10) < 2);
	caution(r, CAUTION_UNENDED, outcome && strcmp(outcome, "open") == 0);
	caution(r, CAUTION_STALL,
	    windows_touch(&e->facts->stall, from, to));
	caution(r, CAUTION_DROPS, windows_touch(&e->facts->drop, from, to));
	return to > from ? to - from : 0;
}

static void add_talks(struct endpoints *e, struct endpoint_row *r,
    int64_t day_ns)
{
	struct rows t = { .st = e->talks };
	int64_t lasted = 0;

	sqlite3_reset(e->talks);
	sqlite3_bind_text(e->talks, 1, e->swarm, -1, SQLITE_STATIC);
	sqlite3_bind_text(e->talks, 2, r->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int(e->talks, 3, r->port);
	sqlite3_bind_int64(e->talks, 4, day_ns);
	while (rows_next(&t)) {
		int64_t one = add_talk(e, r, &t);

		lasted = lasted > INT64_MAX - one ? INT64_MAX : lasted + one;
	}
	e->rows.failed |= t.failed;
	caution(r, CAUTION_BRIEF, r->level > 0 && lasted < MINUTE);
}

static void add_ids(struct endpoints *e, struct endpoint_row *r)
{
	struct rows t = { .st = e->ids };

	sqlite3_reset(e->ids);
	sqlite3_bind_text(e->ids, 1, e->swarm, -1, SQLITE_STATIC);
	sqlite3_bind_text(e->ids, 2, r->ip, -1, SQLITE_STATIC);
	if (rows_next(&t)) {
		caution(r, CAUTION_IDS, rows_int(&t, 0) > 1);
		caution(r, CAUTION_ID_ELSEWHERE, rows_int(&t, 1) > 1);
	}
	e->rows.failed |= t.failed;
}

bool endpoints_next(struct endpoints *e, struct endpoint_row *r)
{
	const struct rows *q = &e->rows;

	if (!rows_next(&e->rows))
		return false;
	*r = (struct endpoint_row){
		.ip = rows_text(q, 0),
		.port = (int)rows_int(q, 1),
		.listed_only = strcmp(rows_text(q, 2), "listed") == 0,
		.utc_day = rows_text(q, 3),
		.level = (int)rows_int(q, 4),
		.first_utc_ns = rows_int(q, 5),
		.last_utc_ns = rows_int(q, 6),
		.matched = rows_int(q, 7),
		.failed = rows_int(q, 8),
		.named = rows_int(q, 9),
		.sources = rows_int(q, 11),
		.first_seq = rows_null(q, 12) ? -1 : rows_int(q, 12),
		.claimed = -1,
		.total = -1,
	};
	r->bound_ns = facts_bound(e->facts, r->first_utc_ns);
	caution(r, CAUTION_CLOCK, r->bound_ns < 0 || r->bound_ns > CLOCK_WIDE);
	caution(r, CAUTION_OBSERVER, facts_own(e->facts, r->ip));
	caution(r, CAUTION_ONE_SOURCE, r->sources == 1);
	caution(r, CAUTION_DECOY_SOURCE, rows_int(q, 13) != 0);
	caution(r, CAUTION_DECOY_ANSWER, rows_int(q, 14) != 0);
	if (!r->listed_only) {
		add_talks(e, r, rows_int(q, 10));
		add_ids(e, r);
	}
	/* Levels are those of the day; a claim of another day is not. */
	r->claimed_else = r->claimed > 0 && r->level < 3;
	if (r->claimed_else)
		r->claimed = -1;
	caution(r, CAUTION_EPHEMERAL, r->came && !r->dialled);
	caution(r, CAUTION_FAILED, r->failed > 0);
	caution(r, CAUTION_SAMPLE, r->level == LADDER_TOP &&
	    (r->claimed < 0 || r->matched < r->claimed));
	return !e->rows.failed;
}

char *endpoints_rows_sql(const struct endpoints *e)
{
	char *sql, *text;

	if (asprintf(&sql, "%sORDER BY e.level DESC, e.ip, e.port, e.utc_day",
	    select_rows) < 0)
		log_die("out of memory");
	text = queries_bound(e->facts->db, sql, e->swarm);
	free(sql);
	return text;
}

char *endpoints_talks_sql(const struct endpoints *e)
{
	return queries_bound(e->facts->db, select_talks, e->swarm);
}

int endpoints_close(struct endpoints *e)
{
	sqlite3_finalize(e->talks);
	sqlite3_finalize(e->ids);
	return rows_close(&e->rows);
}
