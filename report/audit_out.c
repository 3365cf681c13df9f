/* audit.csv and audit.json. */
#include "report/audit_impl.h"

#include <stdlib.h>
#include <string.h>

#include "report/csv.h"
#include "report/queries.h"
#include "report/when.h"
#include "schema/json.h"
#include "schema/log.h"
#include "version.h"

#define PART_MOST (64u << 20)

/* The reasons of one claim, "; " between. To be freed. */
static char *joined(const struct judged *j)
{
	size_t n = 1, at = 0;
	char *s;

	for (size_t i = 0; i < j->reasons; i++)
		n += strlen(j->reason[i].text) + 2;
	s = malloc(n);
	if (s == NULL)
		log_die("out of memory");
	s[0] = '\0';
	for (size_t i = 0; i < j->reasons; i++)
		at += (size_t)snprintf(s + at, n - at, "%s%s", i ? "; " : "",
		    j->reason[i].text);
	return s;
}

int audit_csv(FILE *f, const struct audit *a)
{
	fputs("line,ip,port,utc,infohash,verdict,level,nearest_utc,distance_s,"
	    "reasons\r\n", f);
	for (size_t i = 0; i < a->claims.n; i++) {
		const struct claim *c = &a->claims.at[i];
		const struct judged *j = &a->judged[i];
		char t[48], d[32], *why = joined(j);

		fprintf(f, "%lld,", (long long)c->line);
		csv_text(f, c->ip[0] ? c->ip : c->text[0]);
		fputc(',', f);
		if (c->port >= 0)
			fprintf(f, "%d", c->port);
		else
			csv_text(f, c->text[1]);
		fputc(',', f);
		csv_text(f, c->timed ? audit_utc(c, t) : c->text[2]);
		fputc(',', f);
		csv_text(f, c->infohash[0] ? c->infohash : c->text[3]);
		fprintf(f, ",%s,", verdict_name(j->verdict));
		if (j->level >= 0)
			fprintf(f, "%d", j->level);
		fputc(',', f);
		if (j->has_nearest)
			fprintf(f, "%s,%s,", when_exact(j->nearest_ns, t),
			    audit_seconds(j->distance_ns, d));
		else
			fputs(",,", f);
		csv_text(f, why);
		fputs("\r\n", f);
		free(why);
	}
	return 0;
}

static void flush(FILE *f, struct json *j)
{
	if (j->n && !j->failed)
		fwrite(j->text, 1, j->n, f);
	j->n = 0;
}

static void put_table(struct json *j, const struct audit *a)
{
	static const char *const names[] = {
#define X(id, name) name,
		CLAIM_FIELDS(X)
#undef X
	};
	const struct claimlist *c = &a->claims;
	char sep[2] = { c->table.separator, '\0' };

	json_open(j, "claims", '{');
	json_text(j, "file", span_str(a->file));
	json_str(j, "sha256", a->sha256);
	json_int(j, "bytes", a->bytes);
	json_uint(j, "rows", c->n);
	json_uint(j, "readable", c->readable);
	json_str(j, "encoding", c->table.encoding);
	json_bool(j, "byte_order_mark", c->table.bom);
	json_str(j, "separator", sep);
	json_str(j, "line_ends", c->table.ends);
	json_str(j, "dates", c->order == DATES_MDY ? "month first" :
	    c->order == DATES_DMY ? "day first" : c->order_mixed ? "mixed" :
	    NULL);
	json_str(j, "zone", a->zone ? a->zone : "UTC");
	json_open(j, "columns", '{');
	for (int i = 0; i < CLAIM_FIELD_COUNT; i++)
		if (c->column[i])
			json_text(j, names[i], span_str(c->column[i]));
	json_close(j, '}');
	json_uint(j, "columns_not_used", c->columns_unused);
	json_uint(j, "duplicates", a->duplicates);
	json_uint(j, "without_port", a->portless);
	json_uint(j, "zero_length_sessions", a->zero_sessions);
	json_bool(j, "whole_minutes", c->whole_minutes);
	json_close(j, '}');
}

static void put_shift(struct json *j, const struct shift *s)
{
	if (!s->found) {
		json_null(j, "shift");
		return;
	}
	json_open(j, "shift", '{');
	json_int(j, "by_ns", s->by_ns);
	json_int(j, "least_ns", s->least_ns);
	json_int(j, "most_ns", s->most_ns);
	json_bool(j, "quarter_hours", s->zone);
	json_uint(j, "fit", s->fit);
	json_uint(j, "fit_as_they_stand", s->fit_now);
	json_uint(j, "of", s->of);
	json_bool(j, "applied", false);
	json_close(j, '}');
}

/* Once for all rows; each has the values. */
static void put_queries(struct json *j, const struct audit *a)
{
	json_str(j, "queries_run_as", "sqlite3 -readonly CASE/derived.db \"ATTACH "
	    "'file:CASE/evidence.db?mode=ro' AS evidence\" \".parameter set "
	    ":NAME VALUE\" \"SQL\"");
	json_open(j, "queries", '[');
	for (int k = 0; k < ASK_COUNT; k++) {
		char *sql = queries_tidy(audit_sql(a, (enum asked)k));

		json_open(j, NULL, '{');
		json_str(j, "name", audit_ask_name((enum asked)k));
		json_str(j, "what", audit_asks((enum asked)k));
		json_str(j, "sql", sql);
		json_close(j, '}');
		free(sql);
	}
	json_close(j, ']');
}

static void put_values(struct json *j, const struct claim *c,
    const struct judged *w)
{
	if (c->fault) {
		json_null(j, "query_values");
		return;
	}
	json_open(j, "query_values", '{');
	json_str(j, ":ip", c->ip);
	if (c->port >= 0)
		json_int(j, ":port", c->port);
	else
		json_null(j, ":port");
	json_str(j, ":infohash", c->infohash);
	json_str(j, ":swarm", w->swarm);
	json_int(j, ":from_ns", c->from_utc_ns);
	json_int(j, ":to_ns", c->to_utc_ns);
	json_int(j, ":reach_ns", w->reach_ns);
	json_close(j, '}');
}

static void put_head(struct json *j, const struct audit *a)
{
	const struct facts *c = a->subject.cases;

	json_int(j, "format", 1);
	json_str(j, "made_by", "swarmwitness " SW_VERSION ", commit "
	    SW_COMMIT);
	json_text(j, "case", span_str(c->name));
	json_str(j, "case_id", c->case_id);
	json_int(j, "records", c->records);
	json_str(j, "evidence_sha256", c->sealed ? c->digest : NULL);
	json_bool(j, "imported", c->imported);
	json_int(j, "require", a->require);
	json_int(j, "within_ns", a->within_ns);
	json_str(j, "never_shown", ladder_never);
	put_table(j, a);
	put_shift(j, &a->shift);
	put_queries(j, a);
	json_open(j, "verdicts", '{');
	for (int v = 0; v <= VERDICT_UNREADABLE; v++)
		json_uint(j, verdict_name((enum verdict)v), a->over[v]);
	json_close(j, '}');
}

static void put_claim(struct json *j, const struct claim *c,
    const struct judged *w)
{
	char t[48];

	json_open(j, NULL, '{');
	json_int(j, "line", c->line);
	json_open(j, "written", '{');
	json_text(j, "ip", span_str(c->text[0]));
	json_text(j, "port", span_str(c->text[1]));
	json_text(j, "time", span_str(c->text[2]));
	json_text(j, "infohash", span_str(c->text[3]));
	json_close(j, '}');
	json_str(j, "ip", c->ip[0] ? c->ip : NULL);
	if (c->port >= 0)
		json_int(j, "port", c->port);
	else
		json_null(j, "port");
	json_str(j, "utc", c->timed ? audit_utc(c, t) : NULL);
	json_str(j, "end_utc", c->timed && c->session ?
	    when_exact(c->to_utc_ns, t) : NULL);
	json_str(j, "infohash", c->infohash[0] ? c->infohash : NULL);
	json_str(j, "swarm", w->swarm[0] ? w->swarm : NULL);
	json_str(j, "verdict", verdict_name(w->verdict));
	if (w->level >= 0)
		json_int(j, "level", w->level);
	else
		json_null(j, "level");
	json_str(j, "nearest_utc", w->has_nearest ?
	    when_exact(w->nearest_ns, t) : NULL);
	if (w->has_nearest)
		json_int(j, "distance_ns", w->distance_ns);
	else
		json_null(j, "distance_ns");
	json_open(j, "reasons", '[');
	for (size_t i = 0; i < w->reasons; i++) {
		json_open(j, NULL, '{');
		json_str(j, "side", w->reason[i].against ? "against" : "for");
		json_str(j, "text", w->reason[i].text);
		if (w->reason[i].seq >= 0)
			json_int(j, "record", w->reason[i].seq);
		else
			json_null(j, "record");
		json_str(j, "query", audit_ask_name(w->reason[i].asked));
		json_close(j, '}');
	}
	json_close(j, ']');
	put_values(j, c, w);
	json_close(j, '}');
}

int audit_json(FILE *f, const struct audit *a)
{
	struct json j;
	int r = 0;

	json_init(&j, PART_MOST);
	json_open(&j, NULL, '{');
	put_head(&j, a);
	json_open(&j, "rows", '[');
	for (size_t i = 0; i < a->claims.n; i++) {
		put_claim(&j, &a->claims.at[i], &a->judged[i]);
		flush(f, &j);
	}
	json_close(&j, ']');
	json_close(&j, '}');
	flush(f, &j);
	fputc('\n', f);
	if (j.failed) {
		log_warn("audit.json: a part is larger than memory allows");
		r = -1;
	}
	json_fini(&j);
	return r;
}
