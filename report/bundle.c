#include "report/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/address_out.h"
#include "report/caseuco.h"
#include "report/certificate.h"
#include "report/composition.h"
#include "report/csv.h"
#include "report/reference.h"
#include "report/summary.h"
#include "report/when.h"
#include "schema/log.h"

/* By how much times near this one can be off: no column of the tables, since it
 * is the run's; and times for people. */
#define BOUND(column) "clock_bound_ns(" column ") AS bound_ns"
#define ISO(name) "iso_utc(" name "_ns) AS " name

/* Whether ?1 (a swarm, or empty) chooses rows, and their order. As a range, so
 * that an index by swarm serves both. */
#define CHOSEN " WHERE swarm BETWEEN ?1 AND iif(?1 = '', 'g', ?1) "

static const struct {
	const char *name, *sql;
} tables[] = {
	{ "swarm", "SELECT * FROM swarm" CHOSEN "ORDER BY swarm" },
	{ "sighting", "SELECT *, " BOUND("first_utc_ns") ", " ISO("first_utc")
	    ", " ISO("last_utc") " FROM sighting" CHOSEN
	    "ORDER BY swarm, ip, port, source, witness" },
	{ "contact", "SELECT *, " BOUND("opened_utc_ns") ", " ISO("opened_utc")
	    ", " ISO("closed_utc") " FROM contact "
	    "WHERE ?1 = '' OR swarm = ?1 ORDER BY conn, ip, port" },
	{ "piece_check", "SELECT *, " BOUND("utc_ns") ", " ISO("utc") " FROM "
	    "piece_check "
	    "WHERE ?1 = '' OR swarm = ?1 ORDER BY seq" },
	{ "endpoint", "SELECT *, " BOUND("first_utc_ns") ", " ISO("first_utc")
	    ", " ISO("last_utc") " FROM endpoint" CHOSEN
	    "ORDER BY swarm, ip, port, port_kind, utc_day" },
	{ "coverage", "SELECT *, " BOUND("from_utc_ns") ", " ISO("from_utc")
	    ", " ISO("to_utc") " FROM coverage" CHOSEN
	    "ORDER BY swarm, source, from_utc_ns, to_utc_ns" },
	{ "decoy_source", "SELECT * FROM decoy_source WHERE ?1 IS NOT NULL "
	    "ORDER BY source, witness" },
	{ "decoy_endpoint", "SELECT *, " BOUND("utc_ns") ", " ISO("utc")
	    " FROM decoy_endpoint WHERE ?1 IS NOT NULL ORDER BY conn" },
};

static void bound_of(sqlite3_context *x, int n, sqlite3_value **v)
{
	int64_t bound = BOUND_UNKNOWN;

	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER)
		bound = facts_bound(sqlite3_user_data(x),
		    sqlite3_value_int64(v[0]));
	if (bound >= 0)
		sqlite3_result_int64(x, bound);
	else
		sqlite3_result_null(x);
}

static void iso_of(sqlite3_context *x, int n, sqlite3_value **v)
{
	char t[WHEN_MAX];

	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER)
		sqlite3_result_text(x, when_exact(sqlite3_value_int64(v[0]), t),
		    -1, SQLITE_TRANSIENT);
}

/* Table k of case i. */
static int write_table(FILE *f, const struct subject *s, size_t i, size_t k)
{
	struct rows q;
	int r;

	sqlite3_create_function(s->cases[i].db, "clock_bound_ns", 1,
	    SQLITE_UTF8, (void *)&s->cases[i], bound_of, NULL, NULL);
	sqlite3_create_function(s->cases[i].db, "iso_utc", 1, SQLITE_UTF8, NULL,
	    iso_of, NULL, NULL);
	rows_open(&q, s->cases[i].db, tables[k].sql, s->swarm ? s->swarm : "");
	r = csv_write(f, &q);
	return rows_close(&q) || r ? -1 : 0;
}

bool bundle_has(const char *name)
{
	for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++)
		if (strcmp(tables[k].name, name) == 0)
			return true;
	return false;
}

int bundle_table(FILE *f, const struct subject *s, const char *name)
{
	for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++)
		if (strcmp(tables[k].name, name) == 0 &&
		    write_table(f, s, 0, k))
			return -1;
	if (fflush(f) != 0 || ferror(f)) {
		log_warn("report: --csv: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int put_tables(struct manifest *m, const struct subject *s, size_t i)
{
	for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++) {
		char name[64], what[96];
		FILE *f;

		if (s->n > 1)
			snprintf(name, sizeof(name), "%zu-%s.csv", i + 1,
			    tables[k].name);
		else
			snprintf(name, sizeof(name), "%s.csv",
			    tables[k].name);
		snprintf(what, sizeof(what), "D%zu-%zu: table %s of case %zu",
		    i + 1, k + 1, tables[k].name, i + 1);
		f = manifest_file(m, name, what);
		if (f == NULL)
			return -1;
		if (write_table(f, s, i, k) || manifest_put(m))
			return -1;
	}
	return 0;
}

static int put_file(struct manifest *m, const char *name, const char *what,
    int (*writer)(FILE *, const struct subject *), const struct subject *s)
{
	FILE *f = manifest_file(m, name, what);

	return f == NULL || writer(f, s) || manifest_put(m) ? -1 : 0;
}

/* --- the swarms ---------------------------------------------------------------- */

static int put_lists(struct manifest *m, const struct subject *s,
    const struct facts *c, const char *swarm, struct page_of *of)
{
	struct endpoints e;
	struct endpoint_row row;
	int r;

	endpoints_open(&e, c, swarm, NULL);
	r = endpoints_next(&e, &row) ? 1 : 0;
	for (of->page = 1; r == 1 && of->page <= of->pages; of->page++) {
		char name[PAGE_NAME_MAX], what[64];
		FILE *f;

		page_list_name(name, of->swarm, of->page);
		snprintf(what, sizeof(what), "B%d-%d: endpoints of swarm %d",
		    of->swarm, of->page, of->swarm);
		f = manifest_file(m, name, what);
		r = f ? page_list(f, s, &e, &row, of) : -1;
		if (f && manifest_put(m))
			r = -1;
	}
	return endpoints_close(&e) || r < 0 ? -1 : 0;
}

static int put_charts(struct manifest *m, const struct composition *made,
    int swarm)
{
	for (int i = 0; i < VIEWS; i++) {
		char name[64], what[96];
		FILE *f;

		if (made->view[i].rows == 0)
			continue;
		snprintf(name, sizeof(name), "swarm-%d-%s.csv", swarm,
		    made->view[i].name);
		snprintf(what, sizeof(what), "B%d: chart: %s", swarm,
		    made->view[i].title);
		f = manifest_file(m, name, what);
		if (f == NULL || chart_csv(f, &made->view[i]) ||
		    manifest_put(m))
			return -1;
	}
	return 0;
}

static int put_swarm(struct manifest *m, const struct subject *s,
    const struct facts *c, const char *swarm, int number)
{
	struct page_of of = { .swarm = number };
	struct composition made;
	char name[64], what[64];
	int64_t over[LADDER_TOP + 1], addresses, rows = 0;
	FILE *f;
	int r = composition_read(&made, s, c, swarm);

	if (r == 0)
		r = endpoints_count(c, swarm, over, &addresses);
	for (int i = 0; r == 0 && i <= LADDER_TOP; i++)
		rows += over[i];
	of.pages = rows > (int64_t)PAGES_MOST * PAGE_ROWS ? PAGES_MOST :
	    (int)((rows + PAGE_ROWS - 1) / PAGE_ROWS);
	snprintf(name, sizeof(name), "swarm-%d.html", number);
	snprintf(what, sizeof(what), "B%d: swarm %d", number, number);
	if (r == 0) {
		f = manifest_file(m, name, what);
		r = f && page_swarm(f, s, c, swarm, &made, &of, rows) == 0 &&
		    manifest_put(m) == 0 ? 0 : -1;
	}
	if (r == 0)
		r = put_lists(m, s, c, swarm, &of);
	if (r == 0)
		r = put_charts(m, &made, number);
	composition_fini(&made);
	return r;
}

static int put_swarms(struct manifest *m, const struct subject *s)
{
	int number = 0, r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		struct rows q;

		r = composition_prepare(&s->cases[i], s->geo, s->swarm);
		rows_open(&q, s->cases[i].db, SUBJECT_SWARMS,
		    s->swarm ? s->swarm : "");
		while (r == 0 && rows_next(&q))
			r = put_swarm(m, s, &s->cases[i], rows_text(&q, 0),
			    ++number);
		if (rows_close(&q))
			r = -1;
	}
	return r;
}

/* --- the whole ------------------------------------------------------------------ */

static int put_drafts(struct manifest *m, const struct subject *s)
{
	FILE *f;

	if (put_file(m, "certificate-902-13.html", "C1: draft certificate of "
	    "the process", certificate_process, s) ||
	    put_file(m, "checklist.html", "C3: checklist for whoever testifies",
	    certificate_checklist, s))
		return -1;
	f = manifest_file(m, "certificate-902-14.html", "C2: draft certificate "
	    "of copies");
	return f == NULL || certificate_copies(f, s, m) || manifest_put(m) ?
	    -1 : 0;
}

static int write_cases(struct manifest *m, const struct subject *s)
{
	int r = put_swarms(m, s);
	FILE *f;

	if (r == 0)
		r = put_file(m, "report.json", "D: all of it for machines",
		    summary_write, s);
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = put_tables(m, s, i);
	if (r == 0)
		r = reference_put(m, s);
	if (r == 0 && s->case_uco)
		r = put_file(m, "case-uco.jsonld", "F: CASE/UCO graph",
		    caseuco_write, s);
	if (r == 0 && !s->pseudonyms)	/* nobody can swear to these */
		r = put_drafts(m, s);
	if (r)
		return -1;
	f = manifest_file(m, "index.html", "A: case report");
	return f == NULL || page_write(f, s, m) || manifest_put(m) ? -1 : 0;
}

static int put_address(struct manifest *m, const struct subject *s,
    const struct address *a)
{
	FILE *f = manifest_file(m, "address.html", "A: address record");

	if (f == NULL || page_address(f, s, a) || manifest_put(m))
		return -1;
	f = manifest_file(m, "address.json", "D1: the same for machines");
	if (f == NULL || address_json(f, s, a) || manifest_put(m))
		return -1;
	f = manifest_file(m, "address.csv", "D2: its records in order");
	if (f == NULL || address_csv(f, s, a) || manifest_put(m))
		return -1;
	if (reference_put(m, s))
		return -1;
	return s->pseudonyms ? 0 : put_drafts(m, s);
}

static int write_address(struct manifest *m, const struct subject *s)
{
	struct address *a = calloc(s->n, sizeof(*a));
	int r = 0;

	if (a == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = address_read(&a[i], &s->cases[i], &s->of, s->swarm,
		    !s->pseudonyms);
	if (r == 0)
		r = put_address(m, s, a);
	for (size_t i = 0; i < s->n; i++)
		address_free(&a[i]);
	free(a);
	return r;
}

int bundle_write(const char *out, const struct subject *s)
{
	struct manifest m;
	int r = manifest_open(&m, out);

	if (r == 0)
		r = s->of.ip ? write_address(&m, s) : write_cases(&m, s);
	if (r == 0)
		r = manifest_write(&m);
	manifest_close(&m);
	return r;
}
