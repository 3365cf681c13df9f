/*
 * One address's excerpt out of a large case, made through the ledger: how long
 * the index at its end takes, and the excerpt. Its peer is reading all records
 * once, which is what there would be to do without the lists of index.db. Then
 * erasures from it, whose peer is the copy that SQLite makes of the case: no
 * free page of it may hold what went. The second finds no lists left.
 *
 * BENCH_RECORDS says how many records (10000000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report/erase.h"
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
static void fill(struct ledger *l, const struct note_key *key, int64_t n)
{
	char vkey[NOTE_VKEY_MAX], detail[NOTE_VKEY_MAX + 16];
	struct endpoint who = { .port = 6881, .family = 4 };
	struct record r = plain("run", "{}", 0);
	int64_t conn = 0;

	ledger_add(l, &r);
	note_vkey(key, vkey);
	snprintf(detail, sizeof(detail), "{\"vkey\":\"%s\"}", vkey);
	r = plain("key", detail, 1);
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
static double run(int (*command)(int argc, char **argv), int argc, char **argv)
{
	double from = now();
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(freopen("/dev/null", "w", stdout) ?
		    command(argc, argv) : 1);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		exit(1);
	return now() - from;
}

static double excerpt(const char *path, const char *ip, const char *out)
{
	char *argv[] = { "excerpt", (char *)path, "--ip", (char *)ip,
		(char *)out, NULL };

	return run(excerpt_main, 5, argv);
}

static double erase(const char *path, const char *ip, const char *key)
{
	char *argv[] = { "erase", (char *)path, "--ip", (char *)ip, "--ground",
		"a measurement", "--key", (char *)key, NULL };

	return run(erase_main, 8, argv);
}

static double copy(const char *path, const char *to)
{
	double from = now();
	sqlite3 *db = casedir_read(path);
	char *sql = sqlite3_mprintf("VACUUM INTO %Q", to);

	if (db == NULL || sqlite3_exec(db, "PRAGMA query_only = off", NULL,
	    NULL, NULL) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL,
	    NULL) != SQLITE_OK)
		exit(1);
	sqlite3_free(sql);
	sqlite3_close(db);
	from = now() - from;
	unlink(to);
	return from;
}

/* The i-th conversation's. */
static const char *address(int64_t i, char ip[64])
{
	uint32_t a = (uint32_t)(i * 2654435761);

	snprintf(ip, 64, "%u.%u.%u.%u", a & 255, a >> 8 & 255, a >> 16 & 255,
	    a >> 24);
	return ip;
}

int main(void)
{
	char root[] = "/tmp/bench_excerpt.XXXXXX", path[64], out[80], ip[64];
	char keyfile[80];
	const char *text = getenv("BENCH_RECORDS");
	int64_t n = text ? strtoll(text, NULL, 10) : 10000000;
	double filled, closed, from, took;
	struct ledger_past past;
	struct casedir dir;
	struct note_key key;
	struct ledger *l;

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
	fill(l, &key, n);
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
	address(n / CONVERSATION / 2, ip);
	snprintf(out, sizeof(out), "%s/out", root);
	took = excerpt(path, ip, out);
	snprintf(out, sizeof(out), "%s/none", root);
	printf("excerpt of one address: %.2f s (aim 5); that another is "
	    "absent: %.2f s; all records read once: %.2f s\n", took,
	    excerpt(path, "9.9.9.9", out), scan(path));
	fflush(stdout);
	snprintf(keyfile, sizeof(keyfile), "%s/key", root);
	snprintf(out, sizeof(out), "%s/copy", root);
	took = copy(path, out);
	printf("erasure of one address: %.2f s; ", erase(path, ip, keyfile));
	printf("of another: %.2f s; SQLite's copy of the case: %.2f s\n",
	    erase(path, address(n / CONVERSATION / 3, ip), keyfile), took);
	fflush(stdout);
	return execlp("rm", "rm", "-rf", root, (char *)NULL);
}
