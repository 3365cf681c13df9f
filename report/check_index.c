#include "report/check_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/index.h"
#include "schema/log.h"

struct check_index {
	struct check *c;
	sqlite3 *db;
	struct indexer *pairs;
	sqlite3_stmt *gone;
	bool any_gone;
	int64_t to;		/* of the newest index */
	bool tail;		/* somebody's record stands behind it */
};

static int64_t count(struct check *c, sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = check_query(c, db, sql);
	int64_t n = check_step(c, s) ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_finalize(s);
	return n;
}

struct check_index *check_index_new(struct check *c, sqlite3 *db)
{
	struct check_index *x = calloc(1, sizeof(*x));

	if (x == NULL)
		log_die("out of memory");
	x->c = c;
	x->db = db;
	x->pairs = indexer_new(NULL, db);
	x->gone = check_query(c, db, "SELECT hash FROM gone WHERE seq = ?1 "
	    "AND what = ?2 AND n = ?3");
	x->any_gone = count(c, db, "SELECT EXISTS (SELECT 1 FROM gone)") != 0;
	return x;
}

void check_index_free(struct check_index *x)
{
	if (x == NULL)
		return;
	indexer_free(x->pairs);
	sqlite3_finalize(x->gone);
	free(x);
}

static void hear(void *ctx, const char *text)
{
	check_tell(ctx, true, "%s", text);
}

static void check_one(struct check_index *x, int64_t seq)
{
	struct index_tell tell = { .wrong = hear, .ctx = x->c };
	struct index_said said;

	x->c->indexes++;
	if (!index_read(x->db, seq, &said)) {
		check_wrong(x->c, seq, "its detail is not that of an index");
	} else {
		if (said.from != x->to || said.to != seq)
			check_wrong(x->c, seq, "does not cover the records "
			    "from the index before up to itself");
		index_again(x->db, &said, x->pairs, NULL, NULL, &tell);
		x->c->subjects += said.subjects;
	}
	indexer_clear(x->pairs);
	x->to = seq;
	x->tail = false;
}

void check_index_record(struct check_index *x, int64_t seq, int64_t utc_ns,
    int64_t conn, const char *kind, const char *ip, const char *detail)
{
	struct indexed r = { .seq = seq, .utc_ns = utc_ns, .conn = conn,
		.kind = kind, .ip = ip, .detail = detail };

	if (strcmp(kind, "index") == 0)
		check_one(x, seq);
	x->c->erasures += strcmp(kind, "erased") == 0;
	if (ip && strlen(ip) >= ENDPOINT_IP_MAX)
		check_wrong(x->c, seq, "its ip is none");
	x->tail = x->tail || ip || conn >= 0;
	if (indexer_add(x->pairs, &r) < 0)
		check_tell(x->c, true, "the index could not be checked");
}

void check_index_name(struct check_index *x, const char *ip)
{
	x->tail = true;
	if (indexer_name(x->pairs, ip) < 0)
		check_tell(x->c, true, "the index could not be checked");
}

/* --- what was erased ------------------------------------------------------- */

static bool find_gone(struct check_index *x, int64_t seq, const char *what,
    int64_t n, struct hash *leaf)
{
	sqlite3_stmt *s = x->gone;
	bool found = false;

	if (!x->any_gone || s == NULL)
		return false;
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_text(s, 2, what, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, n);
	if (check_step(x->c, s)) {
		found = leaf == NULL ||
		    sqlite3_column_bytes(s, 0) == (int)sizeof(*leaf);
		if (found && leaf)
			memcpy(leaf, sqlite3_column_blob(s, 0), sizeof(*leaf));
	}
	return found;
}

bool check_erased_record(struct check_index *x, int64_t seq,
    struct hash *leaf)
{
	bool is = find_gone(x, seq, "record", 0, leaf);

	x->c->erased += is;
	return is;
}

bool check_erased_named(struct check_index *x, int64_t seq, int64_t n,
    struct hash *leaf)
{
	return find_gone(x, seq, "named", n, leaf);
}

bool check_erased_raw(struct check_index *x, int64_t seq)
{
	return find_gone(x, seq, "raw", 0, NULL);
}

/* Rows that sql selects are wrong. */
static void none(struct check_index *x, const char *sql, const char *what)
{
	sqlite3_stmt *s = check_query(x->c, x->db, sql);

	while (check_step(x->c, s))
		check_wrong(x->c, sqlite3_column_int64(s, 0), what);
	sqlite3_finalize(s);
}

/* What is gone is what `erased` records name, all of it and nothing else. */
static void check_named_gone(struct check_index *x, const char *what,
    const char *key, const char *cols)
{
	char text[500];

	snprintf(text, sizeof(text), "SELECT seq, n, erased FROM gone WHERE "
	    "what = '%s' EXCEPT SELECT %s, r.seq FROM record AS r, "
	    "json_each(r.detail, '$.%s') AS j WHERE r.kind = 'erased' AND "
	    "json_valid(r.detail)", what, cols, key);
	none(x, text, "is gone, but no erased record names it");
	snprintf(text, sizeof(text), "SELECT %s, r.seq FROM record AS r, "
	    "json_each(r.detail, '$.%s') AS j WHERE r.kind = 'erased' AND "
	    "json_valid(r.detail) EXCEPT SELECT seq, n, erased FROM gone WHERE "
	    "what = '%s'", cols, key, what);
	none(x, text, "is named by an erased record, but is not gone as it "
	    "says");
}

static void check_gone(struct check_index *x)
{
	if (!x->any_gone && x->c->erasures == 0)
		return;
	check_named_gone(x, "record", "records", "j.value, 0");
	check_named_gone(x, "raw", "raws", "j.value, 0");
	check_named_gone(x, "named", "lines", "json_extract(j.value, '$[0]'), "
	    "json_extract(j.value, '$[1]')");
	check_named_gone(x, "subject", "subjects",
	    "json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]')");
	none(x, "SELECT seq FROM gone JOIN record USING (seq) "
	    "WHERE what = 'record'", "is said to be erased, and is there");
	none(x, "SELECT seq FROM gone JOIN raw USING (seq) WHERE what IN "
	    "('record', 'raw')", "has raw bytes said to be erased");
	none(x, "SELECT g.seq FROM gone AS g JOIN named AS n ON n.seq = g.seq "
	    "WHERE g.what = 'record' OR (g.what = 'named' AND g.n = n.n)",
	    "names what is said to be erased");
}

void check_index_end(struct check_index *x)
{
	check_gone(x);
	none(x, "SELECT s.seq FROM subject AS s LEFT JOIN record AS r ON "
	    "r.seq = s.seq AND r.kind = 'index' WHERE r.seq IS NULL",
	    "has subjects and is no index");
	none(x, "SELECT DISTINCT seq FROM subject WHERE path NOTNULL", "has a "
	    "path in subject, which only excerpts have");
	if (x->c->indexes == 0 && x->tail)
		check_tell(x->c, false, "no index: that records of an address "
		    "are all there are cannot be shown");
	else if (x->tail)
		check_tell(x->c, false, "records from %" PRId64 " on are in no "
		    "index yet", x->to);
	if (count(x->c, x->db, "SELECT EXISTS (SELECT 1 FROM proof) OR "
	    "EXISTS (SELECT 1 FROM omitted)"))
		check_tell(x->c, true, "proof and omitted are for excerpts, "
		    "and hold rows");
}

bool check_erased_packets(struct check *c, sqlite3 *db, const char *file,
    char now[65], char was[65], int64_t *bytes)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT "
	    "json_extract(j.value, '$.sha256'), json_extract(j.value, '$.was'),"
	    " json_extract(j.value, '$.bytes') FROM record AS r, "
	    "json_each(r.detail, '$.packets') AS j WHERE r.kind = 'erased' AND "
	    "json_valid(r.detail) AND json_extract(j.value, '$.file') = ?1 "
	    "ORDER BY r.seq DESC LIMIT 1");
	bool found = false;

	if (s)
		sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
	if (check_step(c, s) && sqlite3_column_text(s, 0) &&
	    sqlite3_column_text(s, 1)) {
		snprintf(now, 65, "%s", (const char *)
		    sqlite3_column_text(s, 0));
		snprintf(was, 65, "%s", (const char *)
		    sqlite3_column_text(s, 1));
		*bytes = sqlite3_column_int64(s, 2);
		found = true;
	}
	sqlite3_finalize(s);
	return found;
}
