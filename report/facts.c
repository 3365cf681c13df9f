#include "report/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/clockbound.h"
#include "report/passkey.h"
#include "report/rows.h"
#include "report/when.h"
#include "schema/casedir.h"
#include "schema/lasthead.h"
#include "schema/derive.h"
#include "schema/log.h"

/* The records of one kind, in order, with their details as d. */
#define OF(kind, columns) "SELECT r.seq, r.utc_ns, " columns \
	" FROM about AS a CROSS JOIN evidence.record AS r ON r.seq = a.seq " \
	"WHERE a.kind = '" kind "' ORDER BY a.seq"
#define D(key) "json_extract(r.detail, '$." key "')"

static void *grown(void *p, size_t n, size_t each)
{
	/* Doubled whenever n is a power of two. */
	if (n & (n - 1))
		return p;
	p = realloc(p, (n ? 2 * n : 1) * each);
	if (p == NULL)
		log_die("out of memory");
	return p;
}

/* The run that record seq belongs to, NULL before the first. */
static struct run_fact *run_of(struct facts *c, int64_t seq)
{
	size_t a = 0, z = c->runs;

	while (a < z) {
		size_t m = a + (z - a) / 2;

		if (c->run[m].seq <= seq)
			a = m + 1;
		else
			z = m;
	}
	return a ? &c->run[a - 1] : NULL;
}

static int read_runs(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("run", D("program") "," D("version") ","
	    D("commit") "," D("executable_sha256") "," D("operator") ","
	    D("purpose") "," D("ground") "," D("retention") ","
	    "(SELECT group_concat(value, ', ') FROM "
	    "json_each(r.detail, '$.vantage'))," D("host.name") ","
	    "(SELECT group_concat(masked(value), ' ') FROM "
	    "json_each(r.detail, '$.command'))," D("config") ","
	    D("config.import")), NULL);
	while (rows_next(&q)) {
		c->imported |= rows_int(&q, 14) != 0;
		c->run = grown(c->run, c->runs, sizeof(*c->run));
		c->run[c->runs++] = (struct run_fact){
			.seq = rows_int(&q, 0),
			.from_utc_ns = rows_int(&q, 1),
			.to_utc_ns = rows_int(&q, 1),
			.program = rows_copy(&q, 2),
			.version = rows_copy(&q, 3),
			.commit = rows_copy(&q, 4),
			.executable_sha256 = rows_copy(&q, 5),
			.operator = rows_copy(&q, 6),
			.purpose = rows_copy(&q, 7),
			.ground = rows_copy(&q, 8),
			.retention = rows_copy(&q, 9),
			.vantage = rows_copy(&q, 10),
			.host = rows_copy(&q, 11),
			.command = rows_copy(&q, 12),
			.config = rows_copy(&q, 13),
			.imported = rows_int(&q, 14) != 0,
			.bound_ns = BOUND_UNKNOWN,
		};
	}
	return rows_close(&q);
}

/* When each run's last record was made: the one before the next run. */
static int read_last(struct facts *c)
{
	struct rows q;

	for (size_t i = 0; i < c->runs; i++) {
		char before[24];

		c->run[i].last_seq = (i + 1 < c->runs ? c->run[i + 1].seq :
		    c->records) - 1;
		snprintf(before, sizeof(before), "%lld", i + 1 < c->runs ?
		    (long long)c->run[i + 1].seq : (long long)c->records);
		rows_open(&q, c->db, "SELECT utc_ns FROM evidence.record "
		    "WHERE seq < CAST(?1 AS INTEGER) ORDER BY seq DESC LIMIT 1",
		    before);
		if (rows_next(&q) && rows_int(&q, 0) > c->run[i].from_utc_ns)
			c->run[i].to_utc_ns = rows_int(&q, 0);
		if (rows_close(&q))
			return -1;
	}
	return 0;
}

static int read_ends(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("end", D("why") "," D("ok") "," D("records") ","
	    D("connections") "," D("piece_bytes_sent")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		if (r == NULL || r->ended)
			continue;
		r->ended = true;
		r->end_why = rows_copy(&q, 2);
		r->ended_ok = rows_int(&q, 3) != 0;
		r->records = rows_int(&q, 4);
		r->connections = rows_int(&q, 5);
		r->piece_bytes_sent = rows_int(&q, 6);
	}
	return rows_close(&q);
}

static int read_keys(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("key", D("fingerprint") "," D("vkey")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		if (r == NULL || r->vkey)
			continue;
		r->fingerprint = rows_copy(&q, 2);
		r->vkey = rows_copy(&q, 3);
	}
	return rows_close(&q);
}

static int read_clocks(struct facts *c)
{
	struct clockbound b = { 0 };
	struct run_fact *of = NULL;
	struct rows q;

	rows_open(&q, c->db, OF("clock", D("source") "," D("offset_ns") ","
	    D("bound_ns")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		if (r == NULL || rows_text(&q, 2) == NULL)
			continue;
		if (r != of)
			b = (struct clockbound){ 0 };
		of = r;
		clockbound_add(&b, rows_text(&q, 2), rows_int(&q, 3),
		    rows_null(&q, 4) ? -1 : rows_int(&q, 4));
		r->clock_asked = b.asked;
		r->clock_answered = b.answered;
		r->clock_steps = b.steps;
		r->clock_suspends = b.suspends;
		r->bound_ns = clockbound_ns(&b);
	}
	return rows_close(&q);
}

/* --- windows --------------------------------------------------------------- */

static void window_add(struct windows *w, int64_t from, int64_t to)
{
	w->at = grown(w->at, w->n, sizeof(*w->at));
	w->at[w->n++] = (struct window){ from, to < from ? from : to };
}

static int by_time(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return x->from_utc_ns < y->from_utc_ns ? -1 :
	    x->from_utc_ns > y->from_utc_ns;
}

static void windows_join(struct windows *w)
{
	size_t n = 0;

	if (w->n == 0)
		return;
	qsort(w->at, w->n, sizeof(*w->at), by_time);
	for (size_t i = 1; i < w->n; i++) {
		if (w->at[i].from_utc_ns > w->at[n].to_utc_ns)
			w->at[++n] = w->at[i];
		else if (w->at[i].to_utc_ns > w->at[n].to_utc_ns)
			w->at[n].to_utc_ns = w->at[i].to_utc_ns;
	}
	w->n = n + 1;
}

bool windows_touch(const struct windows *w, int64_t from, int64_t to)
{
	size_t a = 0, z = w->n;

	while (a < z) {		/* the first that ends at or after from */
		size_t m = a + (z - a) / 2;

		if (w->at[m].to_utc_ns < from)
			a = m + 1;
		else
			z = m;
	}
	return a < w->n && w->at[a].from_utc_ns <= to;
}

static int read_packets(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("packets", D("bytes") "," D("packets") ","
	    D("dropped_kernel") "," D("dropped_interface") "," D("salvaged") ","
	    D("first_utc_ns") "," D("last_utc_ns")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		if (rows_int(&q, 4) + rows_int(&q, 5) > 0 && !rows_null(&q, 7))
			window_add(&c->drop, rows_int(&q, 7), rows_int(&q, 8));
		if (r == NULL)
			continue;
		r->savefiles++;
		r->packet_bytes += rows_int(&q, 2);
		r->packets += rows_int(&q, 3);
		r->dropped_kernel += rows_int(&q, 4);
		r->dropped_interface += rows_int(&q, 5);
		r->salvaged += rows_int(&q, 6) != 0;
	}
	if (rows_close(&q))
		return -1;
	windows_join(&c->drop);
	rows_open(&q, c->db, OF("no_packets", D("why")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		if (r && r->no_packets == NULL)
			r->no_packets = rows_copy(&q, 2);
	}
	return rows_close(&q);
}

static int read_stalls(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("stall", D("from_utc_ns") "," D("to_utc_ns") ","
	    D("dropped")), NULL);
	while (rows_next(&q)) {
		struct run_fact *r = run_of(c, rows_int(&q, 0));

		window_add(&c->stall, rows_int(&q, 2), rows_int(&q, 3));
		if (r == NULL)
			continue;
		r->stalls++;
		r->stalled_ns += rows_int(&q, 3) - rows_int(&q, 2);
		r->stall_dropped += rows_int(&q, 4);
	}
	windows_join(&c->stall);
	return rows_close(&q);
}

/* --- the case -------------------------------------------------------------- */

static int read_geo(struct facts *c)
{
	struct rows q;

	rows_open(&q, c->db, OF("geo", D("sha256")), NULL);
	while (rows_next(&q)) {
		if (rows_null(&q, 2))
			continue;
		c->geo = grown(c->geo, c->geos, sizeof(*c->geo));
		c->geo[c->geos++] = rows_copy(&q, 2);
	}
	return rows_close(&q);
}

static int read_ledger(struct facts *c, bool whole)
{
	struct rows q;

	c->records = rows_number(c->db,
	    "SELECT max(seq) + 1 FROM evidence.record", NULL, 0);
	c->first_utc_ns = rows_number(c->db, "SELECT utc_ns FROM "
	    "evidence.record ORDER BY seq LIMIT 1", NULL, 0);
	c->last_utc_ns = rows_number(c->db, "SELECT utc_ns FROM "
	    "evidence.record ORDER BY seq DESC LIMIT 1", NULL, 0);
	c->erased = rows_number(c->db,
	    "SELECT count(*) FROM about WHERE kind = 'erased'", NULL, 0);
	c->strangers = whole ? rows_number(c->db, "SELECT count(*) FROM contact "
	    "WHERE swarm IS NULL", NULL, 0) : -1;
	rows_open(&q, c->db, "SELECT value FROM evidence.meta WHERE name = "
	    "'case_id'", NULL);
	if (rows_next(&q))
		c->case_id = rows_copy(&q, 0);
	if (rows_close(&q))
		return -1;
	rows_open(&q, c->db, "SELECT note, size FROM evidence.checkpoint "
	    "ORDER BY size DESC LIMIT 1", NULL);
	if (rows_next(&q)) {
		c->checkpoint = rows_copy(&q, 0);
		c->checkpoint_size = rows_int(&q, 1);
	}
	return rows_close(&q);
}

/* Sealed, the file's digest says what a reader holds. */
static int read_seal(struct facts *c, bool whole)
{
	char *file;
	int r = 0;

	if (asprintf(&file, "%s/evidence.db", c->path) < 0)
		log_die("out of memory");
	c->sealed = casedir_sealed(file);
	if (c->sealed && whole)
		r = casedir_digest(file, c->digest, NULL);
	free(file);
	return r;
}

static const char *last_part(const char *path, char **keep)
{
	size_t n = strlen(path);
	const char *slash;

	while (n > 1 && path[n - 1] == '/')
		n--;
	*keep = strndup(path, n);
	if (*keep == NULL)
		log_die("out of memory");
	slash = strrchr(*keep, '/');
	return slash && slash[1] ? slash + 1 : *keep;
}

int facts_open(struct facts *c, const char *path, bool whole)
{
	struct lasthead head;
	char *keep;
	const char *name;

	*c = (struct facts){ .path = path };
	lasthead_read(&head, path);
	name = last_part(path, &keep);
	c->name = strdup(name);
	free(keep);
	if (c->name == NULL)
		log_die("out of memory");
	c->db = derive_open(path, NULL);
	if (c->db == NULL || passkey_hide(c->db) < 0)
		return -1;
	if (sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	if (read_ledger(c, whole) < 0)
		return -1;
	if (c->case_id && lasthead_lost(&head, c->case_id,
	    c->checkpoint_size))
		lasthead_warn(&head, path, c->checkpoint_size);
	return read_runs(c) || read_last(c) || read_ends(c) || read_keys(c) || read_clocks(c) ||
	    read_packets(c) || read_stalls(c) || read_geo(c) ||
	    read_seal(c, whole) ? -1 : 0;
}

int64_t facts_bound(const struct facts *c, int64_t utc_ns)
{
	for (size_t i = c->runs; i > 0; i--)
		if (c->run[i - 1].from_utc_ns <= utc_ns || i == 1)
			return c->run[i - 1].bound_ns;
	return BOUND_UNKNOWN;
}

bool facts_own(const struct facts *c, const char *ip)
{
	size_t n = strlen(ip);

	for (size_t i = 0; i < c->runs; i++) {
		const char *p = c->run[i].vantage;

		while (p && (p = strstr(p, ip)) != NULL) {
			bool whole = p == c->run[i].vantage || p[-1] == ' ';

			p += n;
			if (whole && (*p == ',' || *p == '\0'))
				return true;
		}
	}
	return false;
}

void facts_close(struct facts *c)
{
	for (size_t i = 0; i < c->runs; i++) {
		struct run_fact *r = &c->run[i];
		char *own[] = { r->program, r->version, r->commit,
			r->executable_sha256, r->operator, r->purpose,
			r->ground, r->retention, r->vantage, r->host,
			r->command, r->config, r->end_why, r->no_packets,
			r->fingerprint, r->vkey };

		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			free(own[k]);
	}
	free(c->run);
	for (size_t i = 0; i < c->geos; i++)
		free(c->geo[i]);
	free(c->geo);
	free(c->stall.at);
	free(c->drop.at);
	free(c->name);
	free(c->case_id);
	free(c->checkpoint);
	sqlite3_close(c->db);
	*c = (struct facts){ 0 };
}
