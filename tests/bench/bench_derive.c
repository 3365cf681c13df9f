/*
 * The derived tables of ten million records, made anew and brought up to date
 * by ten and by a hundred thousand more, in a process of its own so that its
 * peak memory is its own; the same of the first tenth of them, which shows
 * whether an update takes time for what was there before. The peer measured in
 * the same run: plain SQLite reading the same rows once, and grouping them
 * once, which is the floor of whatever reads a ledger. Then three reports by the
 * program itself: an address record, that of the largest swarm, and that of the
 * whole case, all swarms in it.
 *
 *	bench_derive [RECORDS [FOLDER]]	FOLDER is kept if it is named
 */
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "schema/derive.h"
#include "schema/log.h"
#include "tests/bench/census.h"

#define RECORDS 10000000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds that this takes (derive_update or its small one), and its peak memory
 * in MiB. */
static double update(int (*derive)(const char *), const char *folder,
    double *mib)
{
	double from = now();
	struct rusage use;
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(derive(folder) ? 1 : 0);
	if (child < 0 || wait4(child, &status, 0, &use) < 0 || status != 0)
		log_die("derived tables could not be made");
	*mib = (double)use.ru_maxrss / 1024;
	return now() - from;
}

static double scan(const char *file, const char *sql)
{
	sqlite3 *db;
	double from = now();

	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL) ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL))
		log_die("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
	return now() - from;
}

static double gib(const char *file)
{
	struct stat st;

	return stat(file, &st) < 0 ? 0 : (double)st.st_size / (1 << 30);
}

/* The one text that sql selects of the derived tables. */
static void ask(const char *file, const char *sql, char *out, size_t room)
{
	sqlite3 *db;
	sqlite3_stmt *st = NULL;

	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL) ||
	    sqlite3_prepare_v2(db, sql, -1, &st, NULL) ||
	    sqlite3_step(st) != SQLITE_ROW)
		log_die("%s: %s", sql, sqlite3_errmsg(db));
	snprintf(out, room, "%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* Seconds that the program takes for a report of what the option chooses, of
 * all if it is NULL. */
static double report(const char *folder, const char *option,
    const char *value, double *mib)
{
	char out[600], rm[700];
	double from = now();
	struct rusage use;
	int status;
	pid_t child;

	snprintf(out, sizeof(out), "%s.report", folder);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (freopen("/dev/null", "w", stderr))
			execl("build/release/swarmwitness", "swarmwitness",
			    "report", "-o", out, folder, option, value,
			    (char *)NULL);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &use) < 0 || status != 0)
		log_die("build/release/swarmwitness report %s failed",
		    option ? option : "of all");
	*mib = (double)use.ru_maxrss / 1024;
	from = now() - from;
	snprintf(rm, sizeof(rm), "rm -rf '%s'", out);
	if (system(rm))
		log_die("%s: cannot be removed", out);
	return from;
}

static void reports(const char *folder, const char *derived)
{
	char ip[64], swarm[80], n[24];
	double s, mib;

	ask(derived, "SELECT ip FROM contact WHERE level = 5 ORDER BY conn "
	    "LIMIT 1 OFFSET (SELECT count(*) / 2 FROM contact WHERE level = 5)",
	    ip, sizeof(ip));
	s = report(folder, "--ip", ip, &mib);
	printf("address record: %.2f s (aim 1), peak memory %.0f MiB\n", s,
	    mib);
	ask(derived, "SELECT swarm FROM endpoint GROUP BY swarm ORDER BY "
	    "count(*) DESC LIMIT 1", swarm, sizeof(swarm));
	ask(derived, "SELECT max(n) FROM (SELECT count(*) AS n FROM endpoint "
	    "GROUP BY swarm)", n, sizeof(n));
	s = report(folder, "--swarm", swarm, &mib);
	printf("swarm report, of %s endpoint rows: %.1f s (aim 30), peak memory "
	    "%.0f MiB (aim 512)\n", n, s, mib);
	ask(derived, "SELECT count(DISTINCT swarm) FROM endpoint", n, sizeof(n));
	ask(derived, "SELECT count(*) FROM endpoint", ip, sizeof(ip));
	s = report(folder, NULL, NULL, &mib);
	printf("report of the case, %s swarms, %s endpoint rows: %.1f s, %.1f s "
	    "a swarm (aim 30), peak memory %.0f MiB (aim 512)\n", n, ip, s,
	    s / strtod(n, NULL), mib);
}

static void updates(struct census *c, const char *folder)
{
	static const int64_t more[] = { 10000, 100000 };

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		int64_t before = c->seq;
		double s, mib;

		census_fill(c, before + more[i]);
		s = update(derive_update, folder, &mib);
		printf("%" PRId64 " records brought up to date by %" PRId64
		    " more: %.2f s, %.0f records/s, peak memory %.0f MiB\n",
		    before, more[i], s, (double)more[i] / s, mib);
	}
}

int main(int argc, char **argv)
{
	int64_t records = argc > 1 ? strtoll(argv[1], NULL, 10) : RECORDS;
	char temporary[] = "/tmp/bench_derive.XXXXXX", evidence[512],
	    derived[512];
	const char *folder = argc > 2 ? argv[2] : mkdtemp(temporary);
	struct census c;
	double from, s, mib, plain, grouped;

	if (folder == NULL || records < 100)
		log_die("usage: bench_derive [RECORDS [FOLDER]]");
	/* As main.c does: counting memory takes a lock each time. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, -4096);
	mkdir(folder, 0700);
	snprintf(evidence, sizeof(evidence), "%s/evidence.db", folder);
	snprintf(derived, sizeof(derived), "%s/derived.db", folder);
	unlink(evidence);
	unlink(derived);
	census_open(&c, evidence, records);
	census_fill(&c, records / 10);
	s = update(derive_update, folder, &mib);
	printf("derived tables of %" PRId64 " records: %.1f s, peak memory "
	    "%.0f MiB\n", c.seq, s, mib);
	updates(&c, folder);
	unlink(derived);
	from = now();
	census_fill(&c, records);
	printf("case: %" PRId64 " records, %" PRId64 " named endpoints, %.2f "
	    "GiB, the rest made in %.1f s\n", c.seq, c.named, gib(evidence),
	    now() - from);
	plain = scan(evidence, "SELECT count(*), sum(length(detail)) "
	    "FROM record");
	grouped = scan(evidence, "SELECT kind, count(*), count(DISTINCT conn) "
	    "FROM record GROUP BY kind");
	s = update(derive_update, folder, &mib);
	printf("derived tables: %.1f s (aim 60), %.0f records/s, peak memory "
	    "%.0f MiB (aim 512), %.2f GiB\n", s, (double)c.seq / s, mib,
	    gib(derived));
	printf("plain SQLite over the same file: reading every row %.1f s, "
	    "grouping by kind %.1f s; ratio to both %.2f\n", plain, grouped,
	    s / (plain + grouped));
	updates(&c, folder);
	s = update(derive_update, folder, &mib);
	printf("nothing new: %.3f s\n", s);
	reports(folder, derived);
	unlink(derived);
	s = update(derive_update_small, folder, &mib);
	printf("derived tables in little memory: %.1f s, peak memory %.0f "
	    "MiB\n", s, mib);
	census_close(&c);
	if (argc <= 2) {
		unlink(evidence);
		unlink(derived);
		rmdir(folder);
	}
	return 0;
}
