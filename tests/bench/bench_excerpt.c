/*
 * One address's excerpt out of a large case, made through the ledger: how long
 * the index at its end takes, and the excerpt. Its peer is reading all records
 * once, which is what there would be to do without the lists of index.db.
 *
 * BENCH_RECORDS says how many records (10000000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report/excerpt.h"
#include "schema/ledger.h"
#include "schema/log.h"

#define CONVERSATION 50		/* records of one */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct record plain(const char *kind, const char *detail, int64_t i)
{
	return (struct record){ .at = { 1767225600000000000 + i * 1000,
		i * 1000 }, .kind = kind, .conn = CONN_NONE,
		.detail = detail };
}

/* One conversation after the other, each with another address. */
static void fill(struct ledger *l, int64_t n)
{
	struct endpoint who = { .port = 6881, .family = 4 };
	struct record r = plain("run", "{}", 0);
	int64_t conn = 0;

	ledger_add(l, &r);
	r = plain("key", "{}", 1);
	ledger_add(l, &r);
	for (int64_t i = 2; i < n; i++) {
		int64_t c = i / CONVERSATION;

		r = plain(i % CONVERSATION == 0 ? "dial" : "have",
		    "{\"by\":\"peer\",\"count\":3,\"pieces\":[17,18,19]}", i);
		for (int k = 0; k < 4; k++)
			who.addr[k] = (uint8_t)(c * 2654435761 >> 8 * k);
		if (i >= CONVERSATION) {
			r.who = &who;
			r.conn = i % CONVERSATION == 0 ? CONN_SELF : conn;
		}
		conn = i % CONVERSATION == 0 ? ledger_add(l, &r) :
		    (ledger_add(l, &r), conn);
	}
	ledger_flush(l);
}

static double scan(const char *path)
{
	double from = now();
	sqlite3 *db = casedir_read(path);

	if (db == NULL || sqlite3_exec(db, "SELECT count(*) FROM record WHERE "
	    "ip = '1.2.3.4'", NULL, NULL, NULL) != SQLITE_OK)
		exit(1);
	sqlite3_close(db);
	return now() - from;
}

/* A process of its own, as it is used. */
static double excerpt(const char *path, const char *ip, const char *out)
{
	char *argv[] = { "excerpt", (char *)path, "--ip", (char *)ip,
		(char *)out, NULL };
	double from = now();
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(freopen("/dev/null", "w", stdout) ?
		    excerpt_main(5, argv) : 1);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		exit(1);
	return now() - from;
}

int main(void)
{
	char root[] = "/tmp/bench_excerpt.XXXXXX", path[64], out[80], ip[64];
	const char *text = getenv("BENCH_RECORDS");
	int64_t n = text ? strtoll(text, NULL, 10) : 10000000;
	double filled, closed, from, took;
	struct ledger_past past;
	struct casedir dir;
	struct note_key key;
	struct ledger *l;
	uint32_t a;

	if (mkdtemp(root) == NULL)
		log_die("no temporary folder");
	snprintf(path, sizeof(path), "%s/key", root);
	if (note_key_open(&key, path, NULL) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/case", root);
	if (casedir_open(&dir, path) < 0 || (l = ledger_open(
	    &(struct ledger_conf){ .dir = &dir, .key = &key }, &past)) == NULL)
		return 1;
	from = now();
	fill(l, n);
	filled = now() - from;
	from = now();
	ledger_add(l, &(struct record){ .at = { 1767225600000000000 + n * 1000,
		n * 1000 }, .kind = "end", .conn = CONN_NONE, .detail = "{}" });
	ledger_flush(l);
	closed = now() - from;
	if (ledger_close(l, NULL, NULL) < 0)
		return 1;
	casedir_close(&dir);
	note_key_close(&key);
	printf("case of %lld records, %lld addresses: ingested in %.1f s, its "
	    "index in %.1f s\n", (long long)n, (long long)(n / CONVERSATION),
	    filled, closed);
	fflush(stdout);
	a = (uint32_t)(n / CONVERSATION / 2 * 2654435761);
	snprintf(ip, sizeof(ip), "%u.%u.%u.%u", a & 255, a >> 8 & 255,
	    a >> 16 & 255, a >> 24);
	snprintf(out, sizeof(out), "%s/out", root);
	took = excerpt(path, ip, out);
	snprintf(out, sizeof(out), "%s/none", root);
	printf("excerpt of one address: %.2f s (aim 5); that another is "
	    "absent: %.2f s; all records read once: %.2f s\n", took,
	    excerpt(path, "9.9.9.9", out), scan(path));
	fflush(stdout);
	return execlp("rm", "rm", "-rf", root, (char *)NULL);
}
