/*
 * Cases for the ledger's tests: a folder for the program, a case for each
 * test, and whether a case holds, told from its tables alone.
 */
#ifndef TESTS_UNIT_LEDGER_CASE_H
#define TESTS_UNIT_LEDGER_CASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/ledger.h"

static char cases[] = "/tmp/test_ledger.XXXXXX";
static char path[64];		/* a case of its own for each test */
static struct note_key key;
static struct ledger_past past;

/* What was told of checkpoints. */
static int told;
static char told_note[NOTE_MAX];

static inline int make_root(void **state)
{
	char file[80];

	(void)state;
	if (mkdtemp(cases) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/key", cases);
	return note_key_open(&key, file, NULL);
}

static inline int remove_root(void **state)
{
	char rm[64];

	(void)state;
	note_key_close(&key);
	snprintf(rm, sizeof(rm), "rm -rf %s", cases);
	return system(rm);
}

static inline int next_case(void **state)
{
	static int n;

	(void)state;
	snprintf(path, sizeof(path), "%s/%d", cases, n++);
	told = 0;
	return 0;
}

static inline void tell(void *ctx, const char *note)
{
	(void)ctx;
	told++;
	snprintf(told_note, sizeof(told_note), "%s", note);
}

/* --- helpers --------------------------------------------------------------- */

struct open_case {
	struct casedir dir;
	struct ledger *l;
};

static inline struct ledger *open_with(struct open_case *c,
    struct ledger_conf conf)
{
	assert_int_equal(casedir_open(&c->dir, path), 0);
	conf.dir = &c->dir;
	conf.key = &key;
	conf.on_checkpoint = tell;
	c->l = ledger_open(&conf, &past);
	if (c->l == NULL)
		casedir_close(&c->dir);
	return c->l;
}

static inline struct ledger *open_it(struct open_case *c)
{
	return open_with(c, (struct ledger_conf){ 0 });
}

static inline void close_it(struct open_case *c)
{
	assert_int_equal(ledger_close(c->l, NULL, NULL), 0);
	casedir_close(&c->dir);
}

static inline struct record plain(int64_t i)
{
	return (struct record){ .at = { 1700000000000000000 + i, i },
		.kind = "stall", .conn = CONN_NONE,
		.detail = "{\"cause\":\"it's a test\"}" };
}

static inline void add_plain(struct ledger *l, int n)
{
	for (int i = 0; i < n; i++) {
		struct record r = plain(i);

		ledger_add(l, &r);
	}
}

static inline sqlite3 *db_rw(void)
{
	char file[128];
	sqlite3 *db;

	snprintf(file, sizeof(file), "%s/evidence.db", path);
	assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE,
	    NULL), SQLITE_OK);
	return db;
}

static inline int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

static inline const char *text(sqlite3 *db, const char *sql)
{
	static char out[4096];
	sqlite3_stmt *s;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	snprintf(out, sizeof(out), "%s", sqlite3_column_text(s, 0) ?
	    (const char *)sqlite3_column_text(s, 0) : "NULL");
	sqlite3_finalize(s);
	return out;
}

/* Leaves of a query's lines. */
static inline struct merkle tree_of(sqlite3 *db, const char *sql)
{
	struct merkle m;
	sqlite3_stmt *s;

	merkle_init(&m);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		struct hash h = merkle_leaf(sqlite3_column_text(s, 0),
		    (size_t)sqlite3_column_bytes(s, 0));

		merkle_add(&m, &h);
	}
	sqlite3_finalize(s);
	return m;
}

/*
 * A case holds, told from its tables alone: seq dense, the newest checkpoint
 * signed by us and of the tree over all lines, every raw digest right, every
 * tile right. Returns the number of records.
 */
static inline int64_t holds(sqlite3 *db)
{
	struct merkle m = tree_of(db, "SELECT " RECORD_LINE
	    " FROM record ORDER BY seq");
	struct hash root_hash = merkle_root(&m);
	struct checkpoint c;
	sqlite3_stmt *s;
	uint8_t sum[32];
	char hex[65], want[4200];

	assert_int_equal(number(db, "SELECT coalesce(max(seq) + 1, 0) "
	    "FROM record"), m.size);
	assert_int_equal(number(db, "SELECT count(*) FROM record WHERE seq < 0"),
	    0);
	if (m.size) {
		const char *note = text(db, "SELECT note FROM checkpoint "
		    "ORDER BY size DESC LIMIT 1");

		assert_null(note_check(&key, span_str(note), &c));
		assert_int_equal(c.size, m.size);
		assert_memory_equal(&c.root, &root_hash, 32);
		snprintf(want, sizeof(want), "swarmwitness/%s",
		    text(db, "SELECT value FROM meta WHERE name = 'case_id'"));
		assert_string_equal(c.origin, want);
		assert_string_equal(text(db, "SELECT root FROM checkpoint "
		    "ORDER BY size DESC LIMIT 1"),
		    hex_of(root_hash.b, 32, hex));
	}
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT bytes, raw_sha256 "
	    "FROM raw JOIN record USING (seq)", -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		SHA256(sqlite3_column_bytes(s, 0) ? sqlite3_column_blob(s, 0) :
		    "", (size_t)sqlite3_column_bytes(s, 0), sum);
		assert_string_equal(sqlite3_column_text(s, 1),
		    hex_of(sum, 32, hex));
	}
	sqlite3_finalize(s);
	assert_int_equal(number(db, "SELECT count(*) FROM tile "
	    "WHERE level = 0"), m.size / 256);
	return (int64_t)m.size;
}

static inline int64_t case_holds(void)
{
	sqlite3 *db = casedir_read(path);
	int64_t n;

	assert_non_null(db);
	n = holds(db);
	sqlite3_close(db);
	return n;
}

/* What a child says before it dies, and its exit status. */
static inline int child(void (*run)(void), char *said, size_t room)
{
	int pipes[2], status;
	size_t n = 0;
	ssize_t got;

	assert_int_equal(pipe(pipes), 0);
	if (fork() == 0) {
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		run();
		_exit(0);
	}
	close(pipes[1]);
	while (n < room - 1 &&
	    (got = read(pipes[0], said + n, room - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(pipes[0]);
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
