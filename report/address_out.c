#include "report/address_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/caution.h"
#include "report/csv.h"
#include "report/reference.h"
#include "report/tell.h"
#include "report/when.h"
#include "schema/json.h"
#include "schema/log.h"
#include "version.h"

#define PART_MOST (64u << 20)

static void put_time(struct json *j, const char *key, int64_t utc_ns)
{
	char t[WHEN_MAX];

	json_str(j, key, when_exact(utc_ns, t));
}

/* Comma-separated numbers as an array. */
static void put_seqs(struct json *j, const char *key, const char *list)
{
	json_open(j, key, '[');
	for (const char *p = list; p && *p; p += *p == ',') {
		char *end;

		json_int(j, NULL, strtoll(p, &end, 10));
		if (end == p)
			break;
		p = end;
	}
	json_close(j, ']');
}

static void put_known(struct json *j, const char *key, int64_t v)
{
	if (v < 0)
		json_null(j, key);
	else
		json_int(j, key, v);
}

static void put_statement(struct json *j, const struct statement *s, int id)
{
	char name[16];

	snprintf(name, sizeof(name), "S%d", id);
	json_open(j, NULL, '{');
	json_str(j, "id", name);
	json_str(j, "side", s->side == SIDE_OBSERVED ? "observed" : "limits");
	json_str(j, "text", s->text);
	put_seqs(j, "records", s->records);
	json_str(j, "sql", s->sql);
	json_str(j, "result", s->result);
	json_close(j, '}');
}

static void put_received(struct json *j, const struct received *r)
{
	json_open(j, "received", '{');
	json_int(j, "bytes", r->bytes);
	json_str(j, "sql", r->sql);
	json_open(j, "files", '[');
	for (size_t i = 0; i < r->n; i++) {
		const struct received_file *f = &r->at[i];

		json_open(j, NULL, '{');
		json_str(j, "path", f->path);
		json_bool(j, "padding", f->pad);
		json_int(j, "bytes", f->bytes);
		put_known(j, "size", f->size);
		json_str(j, "ranges", f->ranges);
		put_seqs(j, "records", f->records);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

/* A conversation, and which packets are its. */
static void put_talk(struct json *j, const struct address *a,
    const struct finding *w, int64_t conn)
{
	static const char *const name[] = { "origin", "direction", "transport",
	    "encryption", "opened_utc_ns", "closed_utc_ns", "outcome",
	    "peer_id", "claimed_client", "rx_bytes", "tx_bytes" };
	const struct frames *frames = &a->frames;
	const struct frames_talk *t = frames_of(frames, conn);
	struct frames_span s;
	struct rows q;
	size_t at = 0;

	json_open(j, NULL, '{');
	json_int(j, "conn", conn);
	rows_open(&q, a->facts->db, "SELECT origin, direction, transport, "
	    "encryption, opened_utc_ns, closed_utc_ns, outcome, peer_id, "
	    "client, rx_bytes, tx_bytes FROM contact WHERE ip = ?1 AND conn = "
	    "?2 AND port = ?3", w->ip);
	if (!q.failed) {
		sqlite3_bind_int64(q.st, 2, conn);
		sqlite3_bind_int(q.st, 3, w->row.port);
	}
	if (rows_next(&q)) {
		for (int i = 0; i < (int)(sizeof(name) / sizeof(name[0]));
		    i++) {
			if (sqlite3_column_type(q.st, i) == SQLITE_INTEGER)
				json_int(j, name[i], rows_int(&q, i));
			else
				json_str(j, name[i], rows_text(&q, i));
		}
	}
	j->failed |= rows_close(&q) != 0;
	json_open(j, "packets", '[');
	while (frames_next(t, &at, &s)) {
		json_open(j, NULL, '{');
		json_str(j, "file", frames->file[s.file]);
		json_uint(j, "first_frame", s.first);
		json_uint(j, "last_frame", s.last);
		json_uint(j, "packets", s.n);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void put_finding(struct json *j, const struct address *a,
    const struct finding *w, int *id)
{
	const struct ladder *l = ladder_at(w->row.level);

	json_open(j, NULL, '{');
	json_str(j, "infohash", w->swarm);
	json_str(j, "name", w->name);
	json_str(j, "utc_day", w->utc_day);
	json_int(j, "port", w->row.port);
	json_str(j, "port_is", w->row.listed_only ? "listed" : "remote");
	put_known(j, "says_it_listens_on", w->row.listen_port ?
	    w->row.listen_port : -1);
	json_int(j, "level", w->row.level);
	json_str(j, "level_name", l->name);
	json_str(j, "observed", l->observed);
	json_str(j, "not_shown", l->not_shown);
	put_time(j, "first_utc", w->row.first_utc_ns);
	put_time(j, "last_utc", w->row.last_utc_ns);
	put_known(j, "bound_ns", w->row.bound_ns);
	json_str(j, "claimed_client", w->row.client[0] ? w->row.client : NULL);
	put_known(j, "pieces_claimed", w->row.claimed);
	put_known(j, "pieces_total", w->row.total);
	json_int(j, "pieces_matched", w->row.matched);
	json_int(j, "pieces_failed", w->row.failed);
	json_int(j, "pieces_incomplete", w->row.incomplete);
	json_open(j, "conversations", '[');
	for (size_t i = 0; i < w->talks; i++)
		put_talk(j, a, w, w->talk[i].conn);
	json_close(j, ']');
	json_open(j, "statements", '[');
	for (size_t i = 0; i < w->said.n; i++)
		put_statement(j, &w->said.at[i], ++*id);
	json_close(j, ']');
	put_received(j, &w->received);
	json_open(j, "cautions", '[');
	for (int i = 0; i < CAUTION_COUNT; i++)
		if (w->row.cautions & caution_bit((enum caution)i)) {
			json_open(j, NULL, '{');
			json_str(j, "caution", caution_mark((enum caution)i));
			json_str(j, "meaning",
			    caution_meaning((enum caution)i));
			json_close(j, '}');
		}
	json_close(j, ']');
	json_close(j, '}');
}

static void put_networks(struct json *j, const struct subject *s)
{
	json_open(j, "networks", '[');
	for (size_t i = 0; i < s->geo->n; i++) {
		const struct geo_db *d = &s->geo->db[i];
		struct geo_place p;

		geo_find_in(s->geo, i, s->of.ip, &p);
		json_open(j, NULL, '{');
		json_str(j, "database", d->file);
		json_str(j, "sha256", d->sha256);
		put_time(j, "built_utc", geo_built_ns(d));
		json_str(j, "country", p.country[0] ? p.country : NULL);
		put_known(j, "asn", p.asn ? (int64_t)p.asn : -1);
		json_str(j, "network", p.org[0] ? p.org : NULL);
		put_known(j, "prefix", p.prefix);
		put_known(j, "accuracy_radius_km", p.radius_km);
		json_close(j, '}');
	}
	json_close(j, ']');
}

int address_json(FILE *f, const struct subject *s, const struct address *a)
{
	struct json j;
	int id = 0;

	json_init(&j, PART_MOST);
	json_open(&j, NULL, '{');
	json_int(&j, "format", 1);
	json_str(&j, "made_by", "swarmwitness " SW_VERSION ", commit "
	    SW_COMMIT);
	if (s->pseudonyms)
		json_bool(&j, "pseudonyms", true);
	json_str(&j, "ip", s->of.ip);
	put_known(&j, "port", s->of.port);
	json_str(&j, "from_day", s->of.from_day);
	json_str(&j, "to_day", s->of.to_day);
	json_str(&j, "never_shown", ladder_never);
	put_networks(&j, s);
	if (reference_json(f, &j, s))
		j.failed = true;
	json_open(&j, "cases", '[');
	for (size_t i = 0; i < s->n; i++) {
		const struct facts *c = &s->cases[i];

		json_open(&j, NULL, '{');
		json_str(&j, "name", c->name);
		json_str(&j, "case_id", c->case_id);
		json_int(&j, "records", c->records);
		json_str(&j, "checkpoint", c->checkpoint);
		json_bool(&j, "imported", c->imported);
		json_open(&j, "findings", '[');
		for (size_t k = 0; k < a[i].n; k++) {
			put_finding(&j, &a[i], &a[i].at[k], &id);
			if (j.failed)
				break;
			fwrite(j.text, 1, j.n, f);	/* and goes on */
			j.n = 0;
		}
		json_close(&j, ']');
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	if (j.failed)
		log_warn("report: address.json: a part could not be read, or "
		    "is larger than %u bytes", PART_MOST);
	else
		fwrite(j.text, 1, j.n, f);
	fputc('\n', f);
	json_fini(&j);
	return j.failed ? -1 : 0;
}

static void cell(FILE *f, const char *text)
{
	if (text)
		csv_text(f, text);
	fputc(',', f);
}

int address_csv(FILE *f, const struct subject *s, const struct address *a)
{
	fputs("case,seq,utc,bound_ns,kind,infohash,conn,ip,port,by,file,frame,"
	    "text\r\n", f);
	for (size_t i = 0; i < s->n; i++) {
		const struct facts *c = &s->cases[i];
		struct tell t;
		struct told r;

		tell_open(&t, c, &s->of, s->swarm);
		while (tell_next(&t, &r)) {
			int64_t bound = facts_bound(c, r.utc_ns);
			const struct frame *p;
			char at[WHEN_MAX];

			cell(f, c->name);
			fprintf(f, "%" PRId64 ",%s,", r.seq,
			    when_exact(r.utc_ns, at));
			if (bound >= 0)
				fprintf(f, "%" PRId64, bound);
			fputc(',', f);
			cell(f, r.kind);
			cell(f, r.swarm);
			if (r.conn >= 0)
				fprintf(f, "%" PRId64, r.conn);
			fputc(',', f);
			cell(f, r.ip);
			fprintf(f, "%d,", r.port);
			cell(f, r.by);
			p = tell_packet(&r, &a[i].frames, s->of.ip);
			cell(f, p ? a[i].frames.file[p->file] : NULL);
			if (p)
				fprintf(f, "%" PRIu64, p->number);
			fputc(',', f);
			csv_text(f, r.text ? r.text : "");
			fputs("\r\n", f);
		}
		if (tell_close(&t))
			return -1;
	}
	return 0;
}
