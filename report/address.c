#include "report/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/queries.h"
#include "schema/log.h"

#define DAY_NS 86400000000000LL

bool address_known(const struct facts *c, const char *ip)
{
	return rows_number(c->db, SWARM_STEPS " SELECT EXISTS (SELECT 1 FROM s CROSS "
	    "JOIN endpoint AS e WHERE s.swarm IS NOT NULL AND e.swarm = "
	    "s.swarm AND e.ip = ?1) OR EXISTS (SELECT 1 FROM contact WHERE "
	    "ip = ?1)", ip, 0) != 0;
}

/* The conversations of one endpoint that touch the day. One without an end
 * goes on to the end of its run. */
static int read_talks(struct finding *f, const struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, "SELECT c.conn, iif(c.outcome = 'open', "
	    "coalesce((SELECT min(seq) - 1 FROM about WHERE kind = 'run' AND "
	    "seq > c.conn), (SELECT max(seq) FROM evidence.record)), "
	    "x.last_seq), c.direction <> 'observed' FROM contact AS c JOIN extent AS x "
	    "ON x.conn = c.conn WHERE c.ip = ?1 AND c.port = ?2 AND "
	    "c.swarm = ?3 AND c.opened_utc_ns < ?4 AND (c.closed_utc_ns IS NULL "
	    "OR c.closed_utc_ns >= ?5) ORDER BY c.conn", f->ip);
	if (!q.failed) {
		sqlite3_bind_int(q.st, 2, f->row.port);
		sqlite3_bind_text(q.st, 3, f->swarm, -1, SQLITE_STATIC);
		sqlite3_bind_int64(q.st, 4, f->to_utc_ns);
		sqlite3_bind_int64(q.st, 5, f->from_utc_ns);
	}
	while (rows_next(&q)) {
		struct talk *more = realloc(f->talk,
		    (f->talks + 1) * sizeof(*more));

		if (more == NULL)
			log_die("out of memory");
		f->talk = more;
		f->talk[f->talks++] = (struct talk){ rows_int(&q, 0),
			rows_int(&q, 1), rows_int(&q, 2) != 0 };
	}
	return rows_close(&q);
}

static int fill(struct finding *f, const struct facts *c,
    const struct endpoint_row *r)
{
	struct scope s;
	int64_t day;

	f->row = *r;
	f->row.ip = f->row.utc_day = NULL;
	snprintf(f->ip, sizeof(f->ip), "%s", r->ip);
	snprintf(f->utc_day, sizeof(f->utc_day), "%s", r->utc_day);
	day = rows_number(c->db, "SELECT CAST(strftime('%s', ?1) AS INTEGER)",
	    f->utc_day, 0);
	f->from_utc_ns = day * 1000000000;
	f->to_utc_ns = f->from_utc_ns + DAY_NS;
	if (!r->listed_only && read_talks(f, c))
		return -1;
	s = (struct scope){ .db = c->db, .swarm = f->swarm, .ip = f->ip,
		.port = r->port, .from_utc_ns = f->from_utc_ns,
		.to_utc_ns = f->to_utc_ns, .talk = f->talk,
		.talks = f->talks };
	return statements_make(&f->said, &s) || received_make(&f->received, &s)
	    ? -1 : 0;
}

static int read_swarm(struct address *a, const struct endpoints_of *of,
    const char *swarm, char *name, int64_t bytes)
{
	struct endpoints e;
	struct endpoint_row r;
	int bad = 0;

	endpoints_open(&e, a->facts, swarm, of);
	while (bad == 0 && endpoints_next(&e, &r)) {
		struct finding *more = realloc(a->at,
		    (a->n + 1) * sizeof(*more));

		if (more == NULL)
			log_die("out of memory");
		a->at = more;
		a->at[a->n] = (struct finding){ .torrent_bytes = bytes };
		snprintf(a->at[a->n].swarm, sizeof(a->at[a->n].swarm), "%s",
		    swarm);
		a->at[a->n].name = name ? strdup(name) : NULL;
		a->at[a->n].rows_sql = queries_text(e.rows.st);
		bad = fill(&a->at[a->n++], a->facts, &r);
	}
	free(name);
	return endpoints_close(&e) || bad ? -1 : 0;
}

int address_read(struct address *a, const struct facts *c,
    const struct endpoints_of *of, const char *swarm, bool packets)
{
	struct rows q;
	int r = 0;

	*a = (struct address){ .facts = c, .frames.left_out = !packets };
	rows_open(&q, c->db, SWARM_STEPS " SELECT s.swarm, t.name, t.total_bytes "
	    "FROM s LEFT JOIN swarm AS t ON t.swarm = s.swarm WHERE s.swarm "
	    "IS NOT NULL AND ?1 IN ('', s.swarm) AND EXISTS (SELECT 1 FROM "
	    "endpoint AS e WHERE e.swarm = s.swarm AND e.ip = ?2) "
	    "ORDER BY s.swarm", swarm ? swarm : "");
	if (!q.failed)
		sqlite3_bind_text(q.st, 2, of->ip, -1, SQLITE_STATIC);
	while (r == 0 && rows_next(&q))
		r = read_swarm(a, of, rows_text(&q, 0), rows_copy(&q, 1),
		    rows_null(&q, 2) ? -1 : rows_int(&q, 2));
	if (rows_close(&q) || r)
		return -1;
	return packets ? frames_read(&a->frames, c, of, swarm) : 0;
}

void address_free(struct address *a)
{
	for (size_t i = 0; i < a->n; i++) {
		statements_free(&a->at[i].said);
		received_free(&a->at[i].received);
		free(a->at[i].talk);
		free(a->at[i].name);
		free(a->at[i].rows_sql);
	}
	free(a->at);
	frames_free(&a->frames);
	*a = (struct address){ 0 };
}
