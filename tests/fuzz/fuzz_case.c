/*
 * Cases of a stranger's making. A sound one, in which many peers are named, has
 * its triggers, types and CHECKs taken away; each input is a list of changes to
 * values in its tables, and then a reader: verify, excerpt, the derived tables.
 *
 *	byte: which reader
 *	then at most 16 times: table, row, column, type and length, bytes
 *	and what is left: the key's log of runs, if the byte's 8 is set
 */
#include <ftw.h>
#include <getopt.h>
#include <string.h>

#include "report/check.h"
#include "report/excerpt.h"
#include "schema/derive.h"
#include "tests/fuzz/fuzz_file.h"

int peopled_main(int argc, char **argv);
#define main peopled_main
#include "tests/unit/peopled.c"
#undef main

static const struct {
	const char *name, *key;
} tables[] = {
	{ "record", "seq" }, { "record", "seq" }, { "record", "seq" },
	{ "record", "seq" }, { "raw", "seq" }, { "named", "seq" },
	{ "tile", "n" }, { "checkpoint", "size" }, { "meta", "length(name)" },
	{ "subject", "seq" }, { "gone", "seq" }, { "omitted", "seq" },
	{ "proof", "seq" }
};
/* Texts that readers look for. */
static const char *const words[] = { "index", "packets", "flow", "closed", "run",
	"key", "erased", "torrent", "dht", "listed", "announce", "end",
	"{\"file\":\"packets/../../x\"}", "{\"file\":\"packets/000001.pcap\"}",
	"{\"from\":0,\"to\":1,\"days\":[\"2026-01-31\"],\"subjects\":1,"
	    "\"root\":\"\"}", "{", "{}", "[]", "1.2.3.4:5", "::1", "record",
	"raw", "subject", "named", "excerpt", "{\"initiator\":\"1.2.3.4:5\","
	    "\"responder\":\"[::1]:5\"}" };

static char folder[64], path[80], db_file[96], out[80];
static uint8_t *base;
static size_t base_n;
static char peer_ip[ENDPOINT_IP_MAX];

static int drop(const char *name, const struct stat *st, int flag,
    struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(name);
}

static void tidy(void)
{
	nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void load(void)
{
	FILE *f = fopen(db_file, "rb");

	base = malloc(1 << 22);
	demand(f != NULL && base != NULL);
	base_n = fread(base, 1, 1 << 22, f);
	demand(base_n > 4096 && base_n < 1 << 22);
	fclose(f);
}

static void begin_all(void)
{
	static const char sql[] = "PRAGMA writable_schema = ON;"
	    "DELETE FROM sqlite_schema WHERE type = 'trigger';"
	    "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT, ', '');"
	    "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')')";
	char key[96];
	char *argv[] = { "peopled", path, key, "6", "1", NULL };
	FILE *null = freopen("/dev/null", "w", stdout);
	struct endpoint e;
	sqlite3 *db;

	demand(null != NULL);
	snprintf(folder, sizeof(folder), "%s/sw-fuzz-case.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	demand(mkdtemp(folder) != NULL);
	atexit(tidy);
	snprintf(path, sizeof(path), "%s/case", folder);
	snprintf(db_file, sizeof(db_file), "%s/evidence.db", path);
	snprintf(out, sizeof(out), "%s/out", folder);
	snprintf(key, sizeof(key), "%s/key", folder);
	demand(peopled_main(5, argv) == 0);
	demand(sqlite3_open(db_file, &db) == SQLITE_OK &&
	    sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	load();
	e = peer(2);
	endpoint_ip(&e, peer_ip);
}

/* --- changes ------------------------------------------------------------------ */

static void bind(sqlite3_stmt *s, uint8_t how, const uint8_t *p, size_t n)
{
	uint64_t u = 0;
	int64_t v;

	for (size_t i = 0; i < n && i < 8; i++)
		u = u << 8 | p[i];
	v = (int64_t)u;
	switch (how % 7) {
	case 0:
		sqlite3_bind_null(s, 1);
		break;
	case 1:
		sqlite3_bind_int64(s, 1, v);
		break;
	case 2:
		sqlite3_bind_int64(s, 1, n ? (int8_t)p[0] : INT64_MIN);
		break;
	case 3:
		sqlite3_bind_text(s, 1, (const char *)p, (int)n,
		    SQLITE_STATIC);
		break;
	case 4:
		sqlite3_bind_blob(s, 1, n ? p : (const uint8_t *)"", (int)n,
		    SQLITE_STATIC);
		break;
	case 5:
		sqlite3_bind_double(s, 1, (double)v * 1e300);
		break;
	case 6:
		sqlite3_bind_text(s, 1, words[(uint64_t)v % (sizeof(words) /
		    sizeof(words[0]))], -1, SQLITE_STATIC);
	}
}

/* Which column: the names are few, and those that a table has not are no
 * change. */
static const char *const columns[] = { "seq", "utc_ns", "kind", "swarm", "conn",
	"ip", "port", "detail", "raw_sha256", "salt", "bytes", "n", "hashes",
	"level", "size", "root", "note", "name", "value", "subject", "seqs",
	"path", "what", "hash", "erased", "sha256", "why", "mono_ns" };

static void change(sqlite3 *db, struct cur *c)
{
	uint8_t table = cur_u8(c), row = cur_u8(c), column = cur_u8(c),
	    how = cur_u8(c);
	struct span bytes = cur_take(c, cur_u8(c));
	sqlite3_stmt *s = NULL;
	char sql[200];

	if (c->bad)
		return;
	table %= sizeof(tables) / sizeof(tables[0]);
	snprintf(sql, sizeof(sql), "UPDATE OR IGNORE %s SET %s = ?1 WHERE "
	    "%s %% 61 = %d", tables[table].name, columns[column %
	    (sizeof(columns) / sizeof(columns[0]))], tables[table].key,
	    row % 61);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK) {
		bind(s, how, bytes.p, bytes.n);
		sqlite3_step(s);
	}
	sqlite3_finalize(s);
}

/* --- readers ------------------------------------------------------------------- */

static void verify(const char *key_log)
{
	struct check c = { .key_log = key_log };

	check_case(&c, path);
}

static void excerpt(bool narrow)
{
	char *argv[] = { "excerpt", path, "--ip", peer_ip, out, narrow ?
		"--port" : "--witnesses", narrow ? "1026" : NULL, NULL };

	optind = 0;
	excerpt_main(narrow ? 7 : 6, argv);
	nftw(out, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void derive(void)
{
	sqlite3_close(derive_build(db_file, ":memory:"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_of(span_of(data, n));
	uint8_t which = cur_u8(&c);
	sqlite3 *db = NULL;
	const char *log;
	FILE *f;

	if (base == NULL) {
		fuzz_file(data, 0);
		begin_all();
	}
	f = fopen(db_file, "wb");
	demand(f != NULL && fwrite(base, 1, base_n, f) == base_n &&
	    fclose(f) == 0);
	demand(sqlite3_open(db_file, &db) == SQLITE_OK);
	sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON;"
	    "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN",
	    NULL, NULL, NULL);
	for (int i = 0; i < 16 && cur_left(&c); i++)
		change(db, &c);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	log = which & 8 ? fuzz_file(c.p, cur_left(&c)) : NULL;
	switch (which & 3) {
	case 0:
		verify(log);
		break;
	case 1:
		excerpt(which & 4);
		break;
	case 2:
		derive();
		break;
	case 3:
		excerpt(false);
		verify(log);
	}
	return 0;
}
