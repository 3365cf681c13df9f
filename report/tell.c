#include "report/tell.h"

#include <string.h>

#include "told_sql.h"

void tell_open(struct tell *t, const struct facts *c,
    const struct endpoints_of *of, const char *swarm)
{
	*t = (struct tell){ .facts = c };
	rows_open(&t->rows, c->db, (const char *)told_sql, of->ip);
	if (t->rows.failed)
		return;
	sqlite3_bind_int(t->rows.st, 2, of->port);
	sqlite3_bind_text(t->rows.st, 3, swarm ? swarm : "", -1,
	    SQLITE_STATIC);
	sqlite3_bind_text(t->rows.st, 4, of->from_day, -1, SQLITE_STATIC);
	sqlite3_bind_text(t->rows.st, 5, of->to_day, -1, SQLITE_STATIC);
}

bool tell_next(struct tell *t, struct told *r)
{
	const struct rows *q = &t->rows;

	if (!rows_next(&t->rows))
		return false;
	*r = (struct told){
		.seq = rows_int(q, 0),
		.utc_ns = rows_int(q, 1),
		.kind = rows_text(q, 2),
		.swarm = rows_text(q, 3),
		.conn = rows_null(q, 4) ? -1 : rows_int(q, 4),
		.ip = rows_text(q, 5),
		.port = (int)rows_int(q, 6),
		.by = rows_text(q, 7),
		.text = rows_text(q, 8),
	};
	return true;
}

const struct frame *tell_packet(const struct told *r,
    const struct frames *frames, const char *ip)
{
	bool theirs = r->by ? strcmp(r->by, "peer") == 0 :
	    strcmp(r->kind, "reached") == 0 || strcmp(r->kind, "accept") == 0;

	if (r->conn < 0 || !theirs || r->ip == NULL || strcmp(r->ip, ip))
		return NULL;
	return frames_before(frames_of(frames, r->conn), r->utc_ns);
}

int tell_close(struct tell *t)
{
	return rows_close(&t->rows);
}
