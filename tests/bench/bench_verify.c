/*
 * Verifying a case, without replay, against SHA-256 of the same lines alone:
 * what any verifier must do at least. The case is made here, by bulk ingest:
 * conversations with handshakes, haves, requests and raw bytes, hearsay with
 * named endpoints. BENCH_RECORDS says how many (1000000), BENCH_CASE keeps the
 * case there (and uses it if it is there).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "report/check.h"
#include "schema/ledger.h"
#include "schema/log.h"
#include "schema/now.h"
#include "schema/runlog.h"

#define ROUNDS 3
#define PART (32u << 20)		/* of lines in memory */
#define CONVERSATION 40		/* records each */

static const char swarm[] = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

static void put(struct ledger *l, struct record *r, const char *kind,
    const char *detail)
{
	r->kind = kind;
	r->detail = detail;
	r->at.utc_ns += 1000;
	r->at.mono_ns += 1000;
	ledger_add(l, r);
	r->raw = (struct span){ 0 };
}

static void converse(struct ledger *l, struct record *r, unsigned nth,
    struct named *named)
{
	struct endpoint who = { .addr = { 198, 51, (uint8_t)(nth >> 8),
		(uint8_t)nth }, .port = (uint16_t)(1024 + nth % 60000),
		.family = 4 };
	static uint8_t raw[1024];
	char detail[700];

	raw[0] = (uint8_t)nth;
	r->swarm = swarm;
	r->conn = CONN_NONE;
	r->who = NULL;
	r->raw = span_of(raw, 300);
	r->named = named;
	r->names = 5;
	put(l, r, "listed", "{\"source\":\"tracker\",\"witness\":"
	    "\"http://tracker.example.org:6969/announce\",\"announce\":7,"
	    "\"failure\":null,\"interval\":1800,\"skipped\":0}");
	r->named = NULL;
	r->who = &who;
	r->conn = CONN_SELF;
	r->kind = "dial";
	r->detail = "{\"transport\":\"tcp\",\"encryption\":\"none\","
	    "\"source\":\"tracker\",\"attempt\":1,\"try\":1}";
	r->conn = ledger_add(l, r);
	r->raw = span_of(raw, 68);
	put(l, r, "handshake", "{\"by\":\"peer\",\"infohash\":"
	    "\"c12fe1c06bba254a9dc9f519b335aa7c1367a88a\",\"peer_id\":"
	    "\"2d4c54313230302d414141414141414141414141\",\"client\":"
	    "\"libtorrent 1.2.0.0\",\"reserved\":\"0000000000100005\","
	    "\"fast\":true,\"extended\":true,\"dht\":true,\"v2\":false,"
	    "\"expected\":true}");
	for (unsigned i = 3; i < CONVERSATION - 1; i++) {
		if (i % 3 == 0) {
			r->raw = span_of(raw, 9 * (i % 7 + 1));
			snprintf(detail, sizeof(detail), "{\"by\":\"peer\","
			    "\"count\":%u,\"last_utc_ns\":%lld,\"pieces\":"
			    "[%u,%u,%u],\"claimed\":%u}", i, (long long)
			    r->at.utc_ns, i, i + 7, nth % 5000, i);
			put(l, r, "have", detail);
		} else {
			r->raw = span_of(raw, 17 * (i % 5 + 1));
			snprintf(detail, sizeof(detail), "{\"by\":\"us\","
			    "\"count\":5,\"last_utc_ns\":%lld,\"blocks\":"
			    "[[%u,0,16384],[%u,16384,16384],[%u,32768,16384],"
			    "[%u,49152,16384],[%u,65536,16384]]}",
			    (long long)r->at.utc_ns, i, i, i, i, nth % 5000);
			put(l, r, "request", detail);
		}
	}
	put(l, r, "closed", "{\"by\":\"us\",\"why\":\"it is enough\","
	    "\"rx_bytes\":123456,\"tx_bytes\":789,\"rx_sha256\":"
	    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
	    "5\",\"tx_sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b9"
	    "34ca495991b7852b855\",\"keepalives_rx\":1,\"keepalives_tx\":0,"
	    "\"piece_bytes_tx\":0}");
}

static void no_config(void *ctx, struct json *j)
{
	(void)ctx;
	json_null(j, "bench");
}

static void make_case(const char *path, const char *keyfile, int64_t records)
{
	struct casedir dir;
	struct note_key key;
	struct ledger_past past;
	struct named named[5];
	struct record r = { .conn = CONN_NONE };
	struct runlog run = { .config = no_config };
	char *arg = "bench_verify";
	bool sound;

	if (casedir_open(&dir, path) < 0 ||
	    note_key_open(&key, keyfile, NULL) < 0)
		exit(1);
	run.ledger = ledger_open(&(struct ledger_conf){ .dir = &dir,
	    .key = &key }, &past);
	if (run.ledger == NULL)
		exit(1);
	run.key = &key;
	run.argc = 1;
	run.argv = &arg;
	if (runlog_begin(&run, &past, keyfile, &sound) < 0)
		exit(1);
	r.at = stamp_now();
	for (unsigned i = 0; i < 5; i++)
		named[i].at = (struct endpoint){ .addr = { 203, 0, 113,
			(uint8_t)i }, .port = 6881, .family = 4 };
	for (unsigned i = 0; i < records / CONVERSATION; i++)
		converse(run.ledger, &r, i, named);
	runlog_end(&run, "bench", 0, 0, &sound);
	if (ledger_close(run.ledger, NULL, NULL) < 0)
		exit(1);
	note_key_close(&key);
	casedir_close(&dir);
}

/* SHA-256 of a zero byte and each line, already in memory: seconds. The lines
 * are read beforehand, a part at a time. */
static volatile uint8_t volatile_sink;	/* so that it is computed */

static double hash_alone(const char *path, int64_t *lines, int64_t *bytes)
{
	sqlite3 *db = casedir_read(path);
	sqlite3_stmt *s;
	/* Given back, or it would count as the verifier's memory. */
	uint8_t *part = malloc(PART);
	static size_t at[1 << 16];
	size_t used = 0, n = 0;
	double took = 0;
	bool more = true;
	struct hash h, all = { { 0 } };

	*lines = *bytes = 0;
	if (db == NULL || part == NULL ||
	    sqlite3_prepare_v2(db, "SELECT " RECORD_LINE
	    " FROM record ORDER BY seq", -1, &s, NULL) != SQLITE_OK)
		exit(1);
	while (more) {
		more = sqlite3_step(s) == SQLITE_ROW;
		if (!more || n == (1 << 16) - 1 ||
		    used + (size_t)sqlite3_column_bytes(s, 0) > PART) {
			int64_t from = clock_ns(CLOCK_MONOTONIC);

			at[n] = used;
			for (size_t i = 0; i < n; i++) {
				h = merkle_leaf(part + at[i],
				    at[i + 1] - at[i]);
				all.b[0] ^= h.b[0];
			}
			took += (double)(clock_ns(CLOCK_MONOTONIC) - from) / 1e9;
			*lines += (int64_t)n;
			*bytes += (int64_t)used;
			used = n = 0;
		}
		if (more) {
			at[n++] = used;
			memcpy(part + used, sqlite3_column_text(s, 0),
			    (size_t)sqlite3_column_bytes(s, 0));
			used += (size_t)sqlite3_column_bytes(s, 0);
		}
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	free(part);
	volatile_sink = all.b[0];
	return took;
}

static void tell(void *ctx, bool wrong, const char *text)
{
	(void)ctx;
	if (wrong)
		fprintf(stderr, "WRONG: %s\n", text);
}

/* In a process of its own, so that its memory is its own: seconds, and KiB at
 * the peak. */
static double verify(const char *path, long *peak, double *cores)
{
	int64_t from = clock_ns(CLOCK_MONOTONIC);
	struct rusage use;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "bench_verify", path, (char *)NULL);
		_exit(1);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) != pid || status != 0) {
		fprintf(stderr, "the case does not hold\n");
		exit(1);
	}
	*peak = use.ru_maxrss;
	*cores = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	return (double)(clock_ns(CLOCK_MONOTONIC) - from) / 1e9;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	char root[] = "/tmp/bench_verify.XXXXXX", path[300], key[300];
	const char *keep = getenv("BENCH_CASE"), *text = getenv("BENCH_RECORDS");
	int64_t records = text ? strtoll(text, NULL, 10) : 1000000, lines, bytes;
	double ours[ROUNDS], plain[ROUNDS], ratio[ROUNDS], cores[ROUNDS];
	long peak = 0;

	/* As main.c has it. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, -4096);
	if (argc == 2) {
		struct check c = { .tell = tell, .no_replay = true };

		return check_case(&c, argv[1]) < 0 || c.wrongs ? 1 : 0;
	}
	if (!keep && mkdtemp(root) == NULL)
		log_die("no temporary folder");
	snprintf(path, sizeof(path), "%s/case", keep ? keep : root);
	snprintf(key, sizeof(key), "%s/key", keep ? keep : root);
	if (access(path, F_OK) != 0)
		make_case(path, key, records);
	for (int i = 0; i < ROUNDS; i++) {
		plain[i] = hash_alone(path, &lines, &bytes);
		ours[i] = verify(path, &peak, &cores[i]);
		ratio[i] = plain[i] / ours[i];
	}
	qsort(ours, ROUNDS, sizeof(double), by_value);
	qsort(plain, ROUNDS, sizeof(double), by_value);
	qsort(cores, ROUNDS, sizeof(double), by_value);
	qsort(ratio, ROUNDS, sizeof(double), by_value);
	printf("verify without replay: %lld records, lines of %lld bytes on "
	    "average; %.0f records/s (aim 500000); SHA-256 of the same lines "
	    "alone: %.0f records/s; ratio %.2f; %.2f core-seconds a million "
	    "records; peak memory %ld KiB\n",
	    (long long)lines, (long long)(bytes / lines),
	    (double)lines / ours[ROUNDS / 2],
	    (double)lines / plain[ROUNDS / 2], ratio[ROUNDS / 2],
	    cores[ROUNDS / 2] * 1e6 / (double)lines, peak);
	fflush(stdout);
	if (keep)
		return 0;
	return execlp("rm", "rm", "-rf", root, (char *)NULL);
}
