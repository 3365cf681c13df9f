/*
 * Ledger ingest against plain SQLite inserts of the same rows: same tables
 * with their CHECKs, same WAL, synchronous=FULL and commit grouping, but no
 * triggers, hashing, salting, tree or signatures; and the same without the
 * CHECKs, which the ledger's own connection leaves out too, having held each
 * record against them itself. Rounds alternate, so that a busy machine is busy
 * for all; the figures are the medians of the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "schema/json.h"
#include "schema/ledger.h"
#include "schema/log.h"

#include "evidence_sql.h"

#define ROWS 150000
#define ROUNDS 5
#define COMMIT_NS 500000000

static struct row {
	struct endpoint who;
	char ip[ENDPOINT_IP_MAX];
	const char *kind;
	char *detail;
	uint8_t raw[100];
	bool has_raw;
	char digest[65], salt[33];	/* what plain inserts as given */
} *rows;

static const char swarm[] = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

static int64_t mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Half requests in bursts, the rest bitfields, haves, handshakes. */
static void fill(struct row *r, unsigned i)
{
	static const char *const kinds[] = { "request", "have", "dial",
		"handshake", "piece", "closed" };
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "by", i & 1 ? "peer" : "us");
	json_int(&j, "count", i % 17);
	json_int(&j, "last_utc_ns", 1700000000000000000 + i);
	json_open(&j, "blocks", '[');
	for (unsigned k = 0; k < 10; k++) {
		json_open(&j, NULL, '[');
		json_uint(&j, NULL, i % 5000);
		json_uint(&j, NULL, k * 16384);
		json_uint(&j, NULL, 16384);
		json_close(&j, ']');
	}
	json_close(&j, ']');
	json_str(&j, "why", "choked at 3 of 16 blocks, as said by 'peer'");
	json_close(&j, '}');
	r->detail = strdup(json_done(&j));
	json_fini(&j);
	r->kind = kinds[i % 6];
	r->who = (struct endpoint){ .addr = { 198, 51, (uint8_t)(i >> 8),
		(uint8_t)i }, .port = (uint16_t)(i * 7), .family = 4 };
	endpoint_ip(&r->who, r->ip);
	r->has_raw = i % 3 == 0;
	for (unsigned k = 0; k < sizeof(r->raw); k++)
		r->raw[k] = (uint8_t)(rand() & 255);
	hex_of(r->raw, 32, r->digest);
	hex_of(r->raw + 32, 16, r->salt);
}

static double through_ledger(const char *path)
{
	struct casedir dir;
	struct note_key key;
	struct ledger_past past;
	struct ledger *l;
	char file[512];
	int64_t from, took;

	snprintf(file, sizeof(file), "%s.key", path);
	if (casedir_open(&dir, path) < 0 ||
	    note_key_open(&key, file, NULL) < 0)
		exit(1);
	l = ledger_open(&(struct ledger_conf){ .dir = &dir, .key = &key },
	    &past);
	if (l == NULL)
		exit(1);
	from = mono();
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		ledger_add(l, &(struct record){
			.at = { 1700000000000000000 + i, i },
			.kind = r->kind, .swarm = swarm, .conn = i / 2,
			.who = &r->who, .detail = r->detail,
			.raw = r->has_raw ? span_of(r->raw, sizeof(r->raw)) :
			(struct span){ 0 } });
	}
	ledger_flush(l);
	took = mono() - from;
	if (ledger_close(l, NULL, NULL) < 0)
		exit(1);
	note_key_close(&key);
	casedir_close(&dir);
	return ROWS * 1e9 / (double)took;
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(db));
		exit(1);
	}
}

/* The schema without its triggers, which all stand at its end. */
static void schema(sqlite3 *db)
{
	char *text = strdup((const char *)evidence_sql);

	*strstr(text, "CREATE TRIGGER") = '\0';
	sql(db, text);
	free(text);
}

static double through_sqlite(const char *path, bool checks)
{
	char file[512];
	sqlite3 *db;
	sqlite3_stmt *s, *raw;
	int64_t from, took, due;

	snprintf(file, sizeof(file), "%s.plain%d.db", path, checks);
	sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
	    SQLITE_OPEN_NOMUTEX, NULL);
	sql(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = full;"
	    "PRAGMA cell_size_check = on; PRAGMA cache_size = -16384;"
	    "PRAGMA wal_autocheckpoint = 4096");
	schema(db);
	if (!checks)
		sql(db, "PRAGMA ignore_check_constraints = on");
	sqlite3_prepare_v2(db, "INSERT INTO record VALUES "
	    "(?,?,?,?,?,?,?,?,?,?,?)", -1, &s, NULL);
	sqlite3_prepare_v2(db, "INSERT INTO raw VALUES (?,?)", -1, &raw, NULL);
	from = mono();
	due = from + COMMIT_NS;
	sql(db, "BEGIN IMMEDIATE");
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		sqlite3_bind_int64(s, 1, i);
		sqlite3_bind_int64(s, 2, 1700000000000000000 + i);
		sqlite3_bind_int64(s, 3, i);
		sqlite3_bind_text(s, 4, r->kind, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 5, swarm, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 6, i / 2);
		sqlite3_bind_text(s, 7, r->ip, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 8, r->who.port);
		sqlite3_bind_text(s, 9, r->detail, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 10, r->has_raw ? r->digest : NULL, -1,
		    SQLITE_STATIC);
		sqlite3_bind_text(s, 11, r->salt, -1, SQLITE_STATIC);
		if (sqlite3_step(s) != SQLITE_DONE)
			exit(1);
		sqlite3_reset(s);
		if (r->has_raw) {
			sqlite3_bind_int64(raw, 1, i);
			sqlite3_bind_blob(raw, 2, r->raw, sizeof(r->raw),
			    SQLITE_STATIC);
			if (sqlite3_step(raw) != SQLITE_DONE)
				exit(1);
			sqlite3_reset(raw);
		}
		if (i % 32768 == 32767 || mono() >= due) {
			sql(db, "COMMIT; BEGIN IMMEDIATE");
			due = mono() + COMMIT_NS;
		}
	}
	sql(db, "COMMIT");
	took = mono() - from;
	sqlite3_finalize(s);
	sqlite3_finalize(raw);
	sqlite3_close(db);
	return ROWS * 1e9 / (double)took;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(void)
{
	char root[] = "/tmp/bench_ledger.XXXXXX", path[64], rm[128];
	double ours[ROUNDS], plain[ROUNDS], bare[ROUNDS], ratio[2][ROUNDS];

	if (mkdtemp(root) == NULL)
		log_die("no temporary folder");
	rows = calloc(ROWS, sizeof(*rows));
	for (unsigned i = 0; i < ROWS; i++)
		fill(&rows[i], i);
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "%s/%d", root, i);
		plain[i] = through_sqlite(path, true);
		bare[i] = through_sqlite(path, false);
		ours[i] = through_ledger(path);
		ratio[0][i] = ours[i] / plain[i];
		ratio[1][i] = ours[i] / bare[i];
	}
	qsort(ours, ROUNDS, sizeof(double), by_value);
	qsort(plain, ROUNDS, sizeof(double), by_value);
	qsort(bare, ROUNDS, sizeof(double), by_value);
	for (int i = 0; i < 2; i++)
		qsort(ratio[i], ROUNDS, sizeof(double), by_value);
	printf("ledger ingest: %.0f records/s; plain SQLite inserts of the "
	    "same rows: %.0f records/s; ratio %.2f (aim 0.80); without "
	    "their CHECKs: %.0f records/s; ratio %.2f\n", ours[ROUNDS / 2],
	    plain[ROUNDS / 2], ratio[0][ROUNDS / 2], bare[ROUNDS / 2],
	    ratio[1][ROUNDS / 2]);
	for (unsigned i = 0; i < ROWS; i++)
		free(rows[i].detail);
	free(rows);
	snprintf(rm, sizeof(rm), "%s", root);
	fflush(stdout);
	return execlp("rm", "rm", "-rf", rm, (char *)NULL);
}
