#include "report/summary.h"

#include "report/caution.h"
#include "report/endpoints.h"
#include "report/ladder.h"
#include "report/reference.h"
#include "report/when.h"
#include "schema/json.h"
#include "schema/log.h"
#include "version.h"

#define PART_MOST (64u << 20)	/* one endpoint is a kilobyte */

/* Writes what j holds so far and goes on after it. */
static void flush(FILE *f, struct json *j)
{
	if (j->n)
		fwrite(j->text, 1, j->n, f);
	j->n = 0;
}

static void put_time(struct json *j, const char *key, int64_t utc_ns)
{
	char t[WHEN_MAX];

	json_str(j, key, when_exact(utc_ns, t));
}

static void put_bound(struct json *j, int64_t bound_ns)
{
	if (bound_ns < 0)
		json_null(j, "bound_ns");
	else
		json_int(j, "bound_ns", bound_ns);
}

static void put_if(struct json *j, const char *key, bool known, int64_t v)
{
	if (known)
		json_int(j, key, v);
	else
		json_null(j, key);
}

/* A column as it is. */
static void put_column(struct json *j, const char *key, const struct rows *q,
    int i)
{
	if (rows_null(q, i))
		json_null(j, key);
	else if (sqlite3_column_type(q->st, i) == SQLITE_INTEGER)
		json_int(j, key, rows_int(q, i));
	else
		json_str(j, key, rows_text(q, i));
}

static void put_run(struct json *j, const struct run_fact *r)
{
	json_open(j, NULL, '{');
	json_int(j, "seq", r->seq);
	put_time(j, "from_utc", r->from_utc_ns);
	put_time(j, "to_utc", r->to_utc_ns);
	json_bool(j, "ended", r->ended);
	json_str(j, "end_why", r->end_why);
	json_str(j, "operator", r->operator);
	json_str(j, "purpose", r->purpose);
	json_str(j, "ground", r->ground);
	json_str(j, "retention", r->retention);
	json_str(j, "program", r->program);
	json_str(j, "version", r->version);
	json_str(j, "commit", r->commit);
	json_str(j, "executable_sha256", r->executable_sha256);
	json_str(j, "vantage", r->vantage);
	json_str(j, "key", r->fingerprint);
	put_bound(j, r->bound_ns);
	json_int(j, "clock_steps", r->clock_steps);
	json_int(j, "clock_suspends", r->clock_suspends);
	json_int(j, "savefiles", r->savefiles);
	json_int(j, "packets", r->packets);
	json_int(j, "dropped_kernel", r->dropped_kernel);
	json_int(j, "dropped_interface", r->dropped_interface);
	json_str(j, "no_packets", r->no_packets);
	json_int(j, "stalls", r->stalls);
	put_if(j, "piece_bytes_sent", r->ended, r->piece_bytes_sent);
	json_close(j, '}');
}

static void put_endpoint(struct json *j, const struct subject *s,
    const struct endpoint_row *r)
{
	struct geo_place p;

	geo_find(s->geo, r->ip, &p);
	json_open(j, NULL, '{');
	json_str(j, "ip", r->ip);
	json_int(j, "port", r->port);
	json_str(j, "utc_day", r->utc_day);
	json_int(j, "level", r->level);
	json_str(j, "level_name", ladder_at(r->level)->name);
	put_time(j, "first_utc", r->first_utc_ns);
	put_time(j, "last_utc", r->last_utc_ns);
	put_bound(j, r->bound_ns);
	json_bool(j, "dialled", r->dialled);
	json_bool(j, "incoming", r->came);
	put_if(j, "says_it_listens_on", r->listen_port != 0, r->listen_port);
	json_int(j, "named", r->named);
	json_int(j, "sources", r->sources);
	json_int(j, "contacts", r->contacts);
	json_str(j, "claimed_client", r->client[0] ? r->client : NULL);
	/* Of that day: null where the claim was made on another. */
	put_if(j, "pieces_claimed", r->claimed >= 0, r->claimed);
	put_if(j, "pieces_total", r->total >= 0, r->total);
	json_int(j, "pieces_matched", r->matched);
	json_int(j, "pieces_failed", r->failed);
	json_int(j, "pieces_incomplete", r->incomplete);
	json_str(j, "country", p.country[0] ? p.country : NULL);
	put_if(j, "asn", p.asn != 0, p.asn);
	json_str(j, "network", p.org[0] ? p.org : NULL);
	json_open(j, "records", '[');
	if (r->first_seq >= 0)
		json_int(j, NULL, r->first_seq);
	for (int i = 0; i < r->conns; i++)
		json_int(j, NULL, r->conn[i]);
	json_close(j, ']');
	json_open(j, "cautions", '[');
	for (int i = 0; i < CAUTION_COUNT; i++)
		if (r->cautions & caution_bit((enum caution)i))
			json_str(j, NULL, caution_mark((enum caution)i));
	json_close(j, ']');
	json_close(j, '}');
}

static int put_rows(struct json *j, const struct facts *c, const char *key,
    const char *sql, const char *swarm, const char *const *names, int n)
{
	struct rows q;

	json_open(j, key, '[');
	rows_open(&q, c->db, sql, swarm);
	while (rows_next(&q)) {
		json_open(j, NULL, '{');
		for (int i = 0; i < n; i++)
			put_column(j, names[i], &q, i);
		/* Where a row has a time, by how much it can be off. */
		if (n > 2 && strcmp(names[1], "from_utc_ns") == 0) {
			put_time(j, "from_utc", rows_int(&q, 1));
			put_time(j, "to_utc", rows_int(&q, 2));
			put_bound(j, facts_bound(c, rows_int(&q, 1)));
		}
		json_close(j, '}');
	}
	json_close(j, ']');
	return rows_close(&q);
}

static int put_swarm(FILE *f, struct json *j, const struct subject *s,
    const struct facts *c, const struct rows *q)
{
	static const char *const column[] = { "infohash", "name",
	    "total_bytes", "piece_bytes", "pieces", "version", "private" };
	static const char *const source[] = { "source", "witness", "named",
	    "tried", "answered", "decoys_named", "decoys_asked" };
	static const char *const covered[] = { "source", "from_utc_ns",
	    "to_utc_ns", "polls", "failures" };
	const char *swarm = rows_text(q, 0);
	int64_t over[LADDER_TOP + 1], addresses;
	struct endpoints e;
	struct endpoint_row r;

	if (endpoints_count(c, swarm, over, &addresses))
		return -1;
	json_open(j, NULL, '{');
	for (int i = 0; i < 7; i++)
		put_column(j, column[i], q, i);
	json_int(j, "addresses", addresses);
	json_open(j, "endpoints_by_level", '[');
	for (int i = 0; i <= LADDER_TOP; i++)
		json_int(j, NULL, over[i]);
	json_close(j, ']');
	if (put_rows(j, c, "sources", SUBJECT_SOURCES, swarm, source, 7) ||
	    put_rows(j, c, "coverage", SUBJECT_COVERAGE, swarm, covered, 5))
		return -1;
	json_open(j, "endpoints", '[');
	endpoints_open(&e, c, swarm, NULL);
	while (endpoints_next(&e, &r)) {
		put_endpoint(j, s, &r);
		flush(f, j);
	}
	json_close(j, ']');
	json_close(j, '}');
	return endpoints_close(&e);
}

static int put_case(FILE *f, struct json *j, const struct subject *s,
    const struct facts *c)
{
	struct rows q;
	int r = 0;

	json_open(j, NULL, '{');
	json_str(j, "name", c->name);
	json_str(j, "case_id", c->case_id);
	json_int(j, "records", c->records);
	json_int(j, "erasures", c->erased);
	json_bool(j, "sealed", c->sealed);
	json_str(j, "evidence_sha256", c->sealed ? c->digest : NULL);
	json_str(j, "checkpoint", c->checkpoint);
	json_int(j, "incoming_of_no_swarm", c->strangers);
	json_open(j, "runs", '[');
	for (size_t i = 0; i < c->runs; i++)
		put_run(j, &c->run[i]);
	json_close(j, ']');
	json_open(j, "swarms", '[');
	rows_open(&q, c->db, SUBJECT_SWARMS, s->swarm ? s->swarm : "");
	while (r == 0 && rows_next(&q))
		r = put_swarm(f, j, s, c, &q);
	json_close(j, ']');
	json_close(j, '}');
	return rows_close(&q) || r ? -1 : 0;
}

static void put_ladder(struct json *j)
{
	json_open(j, "ladder", '[');
	for (int i = 0; i <= LADDER_TOP; i++) {
		json_open(j, NULL, '{');
		json_int(j, "level", i);
		json_str(j, "name", ladder_at(i)->name);
		json_str(j, "observed", ladder_at(i)->observed);
		json_str(j, "does_not_show", ladder_at(i)->not_shown);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_str(j, "never_shown", ladder_never);
	json_open(j, "cautions", '{');
	for (int i = 0; i < CAUTION_COUNT; i++)
		json_str(j, caution_mark((enum caution)i),
		    caution_meaning((enum caution)i));
	json_close(j, '}');
}

static void put_databases(struct json *j, const struct geo *geo)
{
	json_open(j, "databases", '[');
	for (size_t i = 0; i < geo->n; i++) {
		const struct geo_db *d = &geo->db[i];

		json_open(j, NULL, '{');
		json_text(j, "file", span_str(d->file));
		json_str(j, "type", d->mmdb.metadata.database_type);
		json_uint(j, "built_utc_s", d->mmdb.metadata.build_epoch);
		json_int(j, "bytes", d->bytes);
		json_str(j, "sha256", d->sha256);
		json_close(j, '}');
	}
	json_close(j, ']');
}

int summary_write(FILE *f, const struct subject *s)
{
	struct json j;
	int r = 0;

	json_init(&j, PART_MOST);
	json_open(&j, NULL, '{');
	json_int(&j, "format", 1);
	json_str(&j, "made_by", "swarmwitness " SW_VERSION ", commit "
	    SW_COMMIT);
	if (s->pseudonyms)
		json_bool(&j, "pseudonyms", true);
	put_ladder(&j);
	put_databases(&j, s->geo);
	r = reference_json(f, &j, s);
	json_open(&j, "cases", '[');
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = put_case(f, &j, s, &s->cases[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	flush(f, &j);
	fputc('\n', f);
	if (j.failed) {
		log_warn("report.json: a part is larger than memory allows");
		r = -1;
	}
	json_fini(&j);
	return r;
}
