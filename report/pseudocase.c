#include "report/pseudonym.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "evidence_sql.h"
#include "schema/casedir.h"
#include "schema/log.h"

/* What a report reads of a case. Records keep their numbers. */
static const char copying[] =
    "INSERT INTO meta SELECT * FROM theirs.meta;"
    "INSERT INTO record SELECT seq, utc_ns, mono_ns, kind, swarm, conn, "
    "pseud_ip(ip), port, pseud_detail(detail), NULL, "
    "'00000000000000000000000000000000' FROM theirs.record ORDER BY seq;"
    "INSERT INTO raw SELECT w.* FROM theirs.raw AS w JOIN theirs.record AS r "
    "ON r.seq = w.seq WHERE r.kind = 'torrent' ORDER BY w.seq;"
    "INSERT INTO named SELECT seq, n, pseud_ip(ip), port, "
    "'00000000000000000000000000000000' FROM theirs.named ORDER BY seq, n;"
    "INSERT INTO checkpoint SELECT * FROM theirs.checkpoint WHERE size = "
    "(SELECT max(seq) + 1 FROM theirs.record);";

struct copying {
	struct pseudonym_text text;
	sqlite3_stmt *known;
};

static bool known(void *ctx, const char *ip)
{
	struct copying *k = ctx;
	bool found;

	sqlite3_bind_text(k->known, 1, ip, -1, SQLITE_STATIC);
	found = sqlite3_step(k->known) == SQLITE_ROW;
	sqlite3_reset(k->known);
	return found;
}

static struct span value(sqlite3_value *v)
{
	const void *p = sqlite3_value_text(v);

	return span_of(p, (size_t)sqlite3_value_bytes(v));
}

static void answer(sqlite3_context *x, sqlite3_value *v,
    void (*make)(const struct pseudonym_text *t, struct span s, FILE *f))
{
	struct copying *k = sqlite3_user_data(x);
	char *made = NULL;
	size_t n = 0;
	FILE *f;

	if (sqlite3_value_type(v) == SQLITE_NULL)
		return;
	f = open_memstream(&made, &n);
	if (f == NULL)
		log_die("out of memory");
	make(&k->text, value(v), f);
	if (fclose(f) != 0)
		log_die("out of memory");
	sqlite3_result_text64(x, made, n, free, SQLITE_UTF8);
}

static void whole(const struct pseudonym_text *t, struct span s, FILE *f)
{
	pseudonym_text(t, s, false, f);
}

static void pseud_ip(sqlite3_context *x, int n, sqlite3_value **v)
{
	(void)n;
	answer(x, v[0], whole);
}

static void pseud_detail(sqlite3_context *x, int n, sqlite3_value **v)
{
	(void)n;
	answer(x, v[0], pseudonym_detail);
}

static int run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK)
		return 0;
	log_warn("report: --pseudonymise: %s", why ? why : "SQLite failed");
	sqlite3_free(why);
	return -1;
}

/* Every address that a column of the case has. */
static const char addresses[] =
    "CREATE TEMP TABLE known (ip TEXT PRIMARY KEY) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO temp.known SELECT ip FROM theirs.record WHERE ip "
    "IS NOT NULL;"
    "INSERT OR IGNORE INTO temp.known SELECT ip FROM theirs.named;"
    "INSERT OR IGNORE INTO temp.known SELECT v.value FROM theirs.record AS r, "
    "json_each(r.detail, '$.vantage') AS v WHERE r.kind = 'run';";

static char *beside(const char *folder, const char *name)
{
	char *s;

	if (asprintf(&s, "%s/%s", folder, name) < 0)
		log_die("out of memory");
	return s;
}

/* The case at path, whose evidence is theirs, into a new database at evidence. */
static int copy(const struct pseudonym *p, const char *path,
    const char *theirs, const char *evidence)
{
	struct copying k = { .text = { p, known, &k } };
	sqlite3 *db = NULL;
	char *uri = casedir_uri(theirs, casedir_attached(path, theirs));
	char *attach = sqlite3_mprintf("ATTACH %Q AS theirs", uri);
	int r = -1;

	free(uri);
	if (attach == NULL)
		log_die("out of memory");
	if (sqlite3_open_v2(evidence, &db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL) != SQLITE_OK) {
		log_warn("report: --pseudonymise: %s: %s", evidence,
		    sqlite3_errmsg(db));
		goto done;
	}
	sqlite3_create_function(db, "pseud_ip", 1, SQLITE_UTF8, &k, pseud_ip,
	    NULL, NULL);
	sqlite3_create_function(db, "pseud_detail", 1, SQLITE_UTF8, &k,
	    pseud_detail, NULL, NULL);
	if (run(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF") ||
	    run(db, (const char *)evidence_sql) || run(db, attach) ||
	    run(db, "BEGIN") || run(db, addresses))
		goto done;
	if (sqlite3_prepare_v2(db, "SELECT 1 FROM temp.known WHERE ip = ?1", -1,
	    &k.known, NULL) != SQLITE_OK) {
		log_warn("report: --pseudonymise: %s", sqlite3_errmsg(db));
		goto done;
	}
	r = run(db, copying) || run(db, "COMMIT") ? -1 : 0;
done:
	sqlite3_finalize(k.known);
	sqlite3_free(attach);
	if (db && sqlite3_close(db) != SQLITE_OK)
		r = -1;
	return r;
}

int pseudonym_case(const struct pseudonym *p, const char *path, char **into,
    char digest[65])
{
	const char *tmp = getenv("TMPDIR");
	char *theirs, *ours = NULL;
	sqlite3 *db = casedir_read(path);	/* is it a case at all? */
	int r = -1;

	digest[0] = '\0';
	*into = NULL;
	if (db == NULL)
		return -1;
	theirs = beside(path, "evidence.db");
	*into = beside(tmp && *tmp ? tmp : "/tmp", "swarmwitness.XXXXXX");
	if (mkdtemp(*into) == NULL) {
		log_warn("report: --pseudonymise: %s: no folder can be made",
		    *into);
		free(*into);
		*into = NULL;
	} else {
		ours = beside(*into, "evidence.db");
		r = copy(p, path, theirs, ours);
	}
	if (r == 0 && casedir_sealed(theirs))
		r = casedir_digest(theirs, digest, NULL);
	sqlite3_close(db);
	free(theirs);
	free(ours);
	return r;
}

void pseudonym_remove(char *into)
{
	static const char *const names[] = { "evidence.db",
	    "evidence.db-journal", "evidence.db-wal", "evidence.db-shm",
	    "derived.db", "derived.db-journal", "derived.db-wal",
	    "derived.db-shm", ".lock" };

	if (into == NULL)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *file = beside(into, names[i]);

		unlink(file);
		free(file);
	}
	if (rmdir(into) < 0)
		log_warn("report: %s: not removed", into);
	free(into);
}
