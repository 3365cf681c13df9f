#include "schema/indexer.h"

#include <stdlib.h>
#include <time.h>

#include "schema/log.h"
#include "schema/spill.h"

#define DAY_NS 86400000000000
#define CONNS 16384		/* conversations remembered */
#define TEXT 56			/* of an item: the subject, NULs behind it */

_Static_assert(SUBJECT_MAX <= TEXT + 1, "a subject fits its item");

struct ends {
	int64_t conn;			/* -1: none */
	char ip[2][ENDPOINT_IP_MAX];	/* "": none */
};

struct indexer {
	struct spill *pairs;
	sqlite3 *db;
	sqlite3_stmt *opening, *member;
	struct ends *conns;		/* by conn modulo CONNS */
	int64_t seq;			/* of the record last added */
	int64_t day;			/* last made text of */
	char day_text[11];
	uint8_t last[TEXT + 8];		/* given out */
	bool any;
};

struct indexer *indexer_new(const char *folder, sqlite3 *db)
{
	struct indexer *x = calloc(1, sizeof(*x));

	if (x == NULL)
		log_die("out of memory");
	x->pairs = spill_new(folder, TEXT + 8, INDEXER_ROOM);
	x->db = db;
	x->day = INT64_MIN;
	x->conns = malloc(CONNS * sizeof(*x->conns));
	if (x->conns == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < CONNS; i++)
		x->conns[i].conn = -1;
	return x;
}

void indexer_free(struct indexer *x)
{
	if (x == NULL)
		return;
	spill_free(x->pairs);
	sqlite3_finalize(x->opening);
	sqlite3_finalize(x->member);
	free(x->conns);
	free(x);
}

bool indexer_is_common(const char *kind, bool has_conn, bool has_ip)
{
	static const char *const kinds[] = { "clock", "decoy", "end", "erased",
		"geo", "index", "key", "no_packets", "packets", "published", "run",
		"selftest", "stall", "stamp", "torrent" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return !has_conn;
	return strcmp(kind, "dht") == 0 && !has_conn && !has_ip;
}

static void day_of(int64_t day, char out[11])
{
	time_t t = (time_t)(day * 86400);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 11, "%Y-%m-%d", &tm);
}

static int64_t day_number(int64_t utc_ns)
{
	return utc_ns / DAY_NS - (utc_ns % DAY_NS < 0);
}

void indexer_day(int64_t utc_ns, char out[11])
{
	day_of(day_number(utc_ns), out);
}

/* --- gathering ------------------------------------------------------------- */

static int put(struct indexer *x, const char *subject, int64_t seq)
{
	uint8_t item[TEXT + 8] = { 0 };

	memcpy(item, subject, strlen(subject));
	for (int i = 0; i < 8; i++)
		item[TEXT + i] = (uint8_t)((uint64_t)seq >> (56 - 8 * i));
	return spill_add(x->pairs, item);
}

/* No address is longer; what is, is told of by who checks the columns. */
int indexer_name(struct indexer *x, const char *ip)
{
	char subject[SUBJECT_MAX];
	size_t n = strlen(ip);

	if (n == 0 || n >= ENDPOINT_IP_MAX)
		return 0;
	memcpy(subject, ip, n);
	subject[n] = '|';
	memcpy(subject + n + 1, x->day_text, 11);
	return put(x, subject, x->seq);
}

/* The ip of the "ip:port" that detail has at path; "" if it has none. */
static void member(struct indexer *x, const char *detail, const char *path,
    char out[ENDPOINT_IP_MAX])
{
	struct endpoint at;
	const char *text;

	out[0] = '\0';
	if (x->member == NULL && sqlite3_prepare_v2(x->db, "SELECT CASE WHEN "
	    "json_valid(?1) THEN json_extract(?1, ?2) END", -1, &x->member,
	    NULL) != SQLITE_OK)
		return;
	sqlite3_bind_text(x->member, 1, detail, -1, SQLITE_STATIC);
	sqlite3_bind_text(x->member, 2, path, -1, SQLITE_STATIC);
	if (sqlite3_step(x->member) == SQLITE_ROW &&
	    sqlite3_column_type(x->member, 0) == SQLITE_TEXT) {
		text = (const char *)sqlite3_column_text(x->member, 0);
		if (endpoint_parse(span_str(text), &at))
			endpoint_ip(&at, out);
	}
	sqlite3_reset(x->member);
}

static void ends_of(struct indexer *x, struct ends *e, int64_t conn,
    const char *kind, const char *ip, const char *detail)
{
	*e = (struct ends){ .conn = conn };
	if (strcmp(kind, "flow") == 0) {
		member(x, detail, "$.initiator", e->ip[0]);
		member(x, detail, "$.responder", e->ip[1]);
	} else if (ip) {
		strncpy(e->ip[0], ip, sizeof(e->ip[0]) - 1);
	}
}

static const struct ends *find_ends(struct indexer *x, int64_t conn)
{
	struct ends *e = &x->conns[conn % CONNS];
	sqlite3_stmt *s;

	if (e->conn == conn)
		return e;
	*e = (struct ends){ .conn = conn };
	if (x->opening == NULL && sqlite3_prepare_v2(x->db, "SELECT kind, ip, "
	    "detail FROM record WHERE seq = ?", -1, &x->opening, NULL) !=
	    SQLITE_OK)
		return e;
	s = x->opening;
	sqlite3_bind_int64(s, 1, conn);
	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0) &&
	    sqlite3_column_text(s, 2))
		ends_of(x, e, conn, (const char *)sqlite3_column_text(s, 0),
		    (const char *)sqlite3_column_text(s, 1),
		    (const char *)sqlite3_column_text(s, 2));
	sqlite3_reset(s);
	return e;
}

int indexer_add(struct indexer *x, const struct indexed *r)
{
	int64_t day = day_number(r->utc_ns);
	char to[ENDPOINT_IP_MAX];
	const struct ends *e;
	int got = 0;

	x->seq = r->seq;
	if (day != x->day)
		day_of(day, x->day_text);
	x->day = day;
	if (indexer_is_common(r->kind, r->conn >= 0, r->ip != NULL))
		got |= put(x, "", r->seq);
	if (r->ip)
		got |= indexer_name(x, r->ip);
	if (r->conn >= 0) {
		if (r->conn == r->seq)
			ends_of(x, &x->conns[r->conn % CONNS], r->conn,
			    r->kind, r->ip, r->detail);
		e = find_ends(x, r->conn);
		for (int i = 0; i < 2; i++)
			if (e->ip[i][0] && (!r->ip ||
			    strcmp(e->ip[i], r->ip) != 0))
				got |= indexer_name(x, e->ip[i]);
	} else if (strstr(r->detail, "\"to\":\"")) {
		member(x, r->detail, "$.to", to);
		got |= indexer_name(x, to);
	}
	return got;
}

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

int indexer_read(struct indexer *x, int64_t from, int64_t to)
{
	sqlite3_stmt *r = NULL, *n = NULL;
	int got = 0, row = SQLITE_DONE;

	if (sqlite3_prepare_v2(x->db, "SELECT seq, utc_ns, conn, kind, ip, "
	    "detail FROM record WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", -1,
	    &r, NULL) != SQLITE_OK || sqlite3_prepare_v2(x->db, "SELECT seq, ip "
	    "FROM named WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", -1, &n,
	    NULL) != SQLITE_OK) {
		sqlite3_finalize(r);
		log_warn("index: %s", sqlite3_errmsg(x->db));
		return -1;
	}
	sqlite3_bind_int64(r, 1, from);
	sqlite3_bind_int64(r, 2, to);
	sqlite3_bind_int64(n, 1, from);
	sqlite3_bind_int64(n, 2, to);
	if (from < to)
		row = sqlite3_step(n);
	while (got == 0 && sqlite3_step(r) == SQLITE_ROW) {
		struct indexed i = { .seq = sqlite3_column_int64(r, 0),
			.utc_ns = sqlite3_column_int64(r, 1),
			.conn = sqlite3_column_type(r, 2) == SQLITE_NULL ? -1 :
			    sqlite3_column_int64(r, 2),
			.kind = text(r, 3), .ip = text(r, 4),
			.detail = text(r, 5) };

		if (i.kind == NULL || i.detail == NULL)
			continue;
		got = indexer_add(x, &i);
		for (; row == SQLITE_ROW && sqlite3_column_int64(n, 0) <= i.seq;
		    row = sqlite3_step(n))
			if (sqlite3_column_int64(n, 0) == i.seq && text(n, 1))
				got |= indexer_name(x, text(n, 1));
	}
	sqlite3_finalize(r);
	sqlite3_finalize(n);
	return got;
}

/* --- reading back ---------------------------------------------------------- */

int indexer_rewind(struct indexer *x)
{
	x->any = false;
	return spill_rewind(x->pairs);
}

bool indexer_next(struct indexer *x, struct index_pair *p, bool *bad)
{
	const uint8_t *item;
	uint64_t seq = 0;

	do {
		item = spill_next(x->pairs, bad);
		if (item == NULL)
			return false;
	} while (x->any && memcmp(item, x->last, sizeof(x->last)) == 0);
	memcpy(x->last, item, sizeof(x->last));
	x->any = true;
	memcpy(p->subject, item, TEXT);
	p->subject[SUBJECT_MAX - 1] = '\0';
	for (int i = 0; i < 8; i++)
		seq = seq << 8 | item[TEXT + i];
	p->seq = (int64_t)seq;
	return true;
}

void indexer_clear(struct indexer *x)
{
	spill_clear(x->pairs);
}
