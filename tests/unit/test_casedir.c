#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/casedir.h"

static char root[] = "/tmp/test_casedir.XXXXXX";
static char path[64];	/* a case of its own for each test */

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char rm[64];

	(void)state;
	snprintf(rm, sizeof(rm), "rm -rf %s", root);
	return system(rm);
}

static int next_case(void **state)
{
	static int n;

	(void)state;
	/* Characters that a URI would read otherwise. */
	snprintf(path, sizeof(path), "%s/c?a%%41#%d", root, n++);
	return 0;
}

static const char *in_case(const char *name)
{
	static char file[128];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	return file;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_case(name), "w");

	fputs(text, f);
	fclose(f);
}

static void makes_a_case(void **state)
{
	struct casedir c;
	struct stat st;

	(void)state;
	assert_int_equal(casedir_open(&c, path), 0);
	assert_true(c.fresh);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(access(in_case("packets"), X_OK), 0);
	assert_int_equal(access(in_case("torrents"), X_OK), 0);
	casedir_close(&c);
	casedir_close(&c);
	/* Cut short before there was a database, it is still ours to make. */
	assert_int_equal(casedir_open(&c, path), 0);
	assert_true(c.fresh);
	casedir_close(&c);
	put("evidence.db", "");
	put("notes.txt", "the operator's");
	assert_int_equal(casedir_open(&c, path), 0);
	assert_true(c.fresh);		/* nothing was committed */
	casedir_close(&c);
	put("evidence.db", "what somebody overwrote");
	assert_int_equal(casedir_open(&c, path), 0);
	assert_false(c.fresh);
	casedir_close(&c);
}

static void refuses(void **state)
{
	struct casedir c;

	(void)state;
	/* A folder of other things; nothing is put into it. */
	mkdir(path, 0755);
	put("thesis.tex", "");
	assert_int_equal(casedir_open(&c, path), -1);
	assert_int_equal(access(in_case(".lock"), F_OK), -1);
	assert_int_equal(access(in_case("packets"), F_OK), -1);
	assert_int_equal(casedir_open(&c, in_case("thesis.tex")), -1);
	assert_int_equal(casedir_open(&c, in_case("no/such")), -1);
	unlink(in_case("thesis.tex"));
	put("packets", "a file");
	assert_int_equal(casedir_open(&c, path), -1);
	casedir_close(&c);
}

static void one_writer(void **state)
{
	struct casedir c, d;
	int status;

	(void)state;
	assert_int_equal(casedir_open(&c, path), 0);
	assert_int_equal(casedir_open(&d, path), -1);
	if (fork() == 0)
		_exit(casedir_open(&d, path) == -1 ? 0 : 1);
	wait(&status);
	assert_int_equal(status, 0);
	casedir_close(&c);
	assert_int_equal(casedir_open(&d, path), 0);
	casedir_close(&d);
}

static void puts_files_whole(void **state)
{
	static const char *const names[] = { "checkpoint.txt",
		"torrents/00.torrent" };
	struct casedir c;
	char hex[65], *file;
	int64_t bytes;

	(void)state;
	assert_int_equal(casedir_open(&c, path), 0);
	for (size_t i = 0; i < 2; i++) {
		file = casedir_file(&c, names[i]);
		assert_int_equal(casedir_put(&c, names[i],
		    span_of("longer", 6)), 0);
		assert_int_equal(casedir_put(&c, names[i], span_of("abc", 3)),
		    0);
		assert_int_equal(casedir_digest(file, hex, &bytes), 0);
		assert_int_equal(bytes, 3);
		assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
		    "b00361a396177a9cb410ff61f20015ad");
		free(file);
	}
	assert_int_equal(access(in_case(".checkpoint.txt.part"), F_OK), -1);
	assert_int_equal(access(in_case("torrents/.00.torrent.part"), F_OK),
	    -1);
	assert_int_equal(casedir_put(&c, "no/such", span_of("", 0)), -1);
	assert_int_equal(casedir_digest(in_case("no"), hex, NULL), -1);
	casedir_close(&c);
}

/* --- reading --------------------------------------------------------------- */

/* Every file of the case with its size, time and content, and the folder's. */
static void snapshot(char *out, size_t room)
{
	struct dirent **e;
	int n = scandir(path, &e, NULL, alphasort);
	size_t at = 0;
	struct stat st;
	char hex[65];

	stat(path, &st);
	at += (size_t)snprintf(out, room, "%ld.%ld\n", st.st_mtim.tv_sec,
	    st.st_mtim.tv_nsec);
	for (int i = 0; i < n; i++) {
		stat(in_case(e[i]->d_name), &st);
		if (!S_ISREG(st.st_mode)) {
			free(e[i]);
			continue;
		}
		casedir_digest(in_case(e[i]->d_name), hex, NULL);
		at += (size_t)snprintf(out + at, room - at, "%s %lld %ld.%ld "
		    "%s\n", e[i]->d_name, (long long)st.st_size,
		    st.st_mtim.tv_sec, st.st_mtim.tv_nsec, hex);
		free(e[i]);
	}
	free(e);
}

static sqlite3 *write_db(const char *mode)
{
	sqlite3 *db;
	char sql[256];

	assert_int_equal(sqlite3_open(in_case("evidence.db"), &db), SQLITE_OK);
	snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s;"
	    "PRAGMA application_id = %d; PRAGMA user_version = %d;"
	    "CREATE TABLE t (x); INSERT INTO t VALUES (7)", mode,
	    EVIDENCE_APPLICATION_ID, EVIDENCE_VERSION);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static int value(sqlite3 *db)
{
	sqlite3_stmt *s;
	int v = -1;

	if (sqlite3_prepare_v2(db, "SELECT sum(x) FROM t", -1, &s, NULL) ==
	    SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return v;
}

static void reads_unchanged(const char *what)
{
	char before[2048], during[2048], after[2048];
	sqlite3 *db;

	snapshot(before, sizeof(before));
	db = casedir_read(path);
	assert_non_null(db);
	assert_int_equal(value(db), 7);
	assert_int_equal(sqlite3_exec(db, "INSERT INTO t VALUES (1)", NULL,
	    NULL, NULL), SQLITE_READONLY);
	snapshot(during, sizeof(during));
	sqlite3_close(db);
	snapshot(after, sizeof(after));
	if (strcmp(before, after) != 0)
		fail_msg("reading %s changed the folder:\n%s%s", what, before,
		    after);
}

/* A sealed case; what a run left that was killed; the same without the -shm,
 * as a copy of its evidence would be; and with the WAL already gone. */
static void reading_changes_nothing(void **state)
{
	struct casedir c;
	int status;

	(void)state;
	assert_int_equal(casedir_open(&c, path), 0);
	casedir_close(&c);
	sqlite3_close(write_db("delete"));
	reads_unchanged("a sealed case");

	unlink(in_case("evidence.db"));
	if (fork() == 0) {
		write_db("wal");
		_exit(0);
	}
	wait(&status);
	assert_int_equal(access(in_case("evidence.db-wal"), F_OK), 0);
	reads_unchanged("a crashed case");
	unlink(in_case("evidence.db-shm"));
	reads_unchanged("a crashed case without its -shm");

	unlink(in_case("evidence.db-wal"));
	unlink(in_case("evidence.db"));
	sqlite3_close(write_db("wal"));
	assert_int_equal(access(in_case("evidence.db-wal"), F_OK), -1);
	reads_unchanged("a case in WAL mode without a WAL");
	close(open(in_case("evidence.db-wal"), O_CREAT | O_WRONLY, 0600));
	reads_unchanged("a case in WAL mode with an empty WAL");
}

static void reads_while_a_run_writes(void **state)
{
	struct casedir c;
	sqlite3 *w, *r;

	(void)state;
	assert_int_equal(casedir_open(&c, path), 0);
	w = write_db("wal");
	r = casedir_read(path);
	assert_non_null(r);
	assert_int_equal(value(r), 7);
	assert_int_equal(sqlite3_exec(w, "INSERT INTO t VALUES (1)", NULL,
	    NULL, NULL), SQLITE_OK);
	assert_int_equal(value(r), 8);
	sqlite3_close(r);
	sqlite3_close(w);
	casedir_close(&c);
}

static void no_case(void **state)
{
	sqlite3 *db;

	(void)state;
	assert_null(casedir_read(path));
	mkdir(path, 0700);
	assert_null(casedir_read(path));
	put("evidence.db", "");
	assert_null(casedir_read(path));
	put("evidence.db", "SQLite format 3");
	assert_null(casedir_read(path));
	put("evidence.db", "a text that is longer than a header is, but none");
	assert_null(casedir_read(path));
	unlink(in_case("evidence.db"));
	db = write_db("delete");
	sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL);
	assert_null(casedir_read(path));
	sqlite3_exec(db, "PRAGMA user_version = 1; PRAGMA application_id = 0",
	    NULL, NULL, NULL);
	assert_null(casedir_read(path));
	sqlite3_close(db);
	/* Its header is right, and nothing else. */
	assert_int_equal(truncate(in_case("evidence.db"), 100), 0);
	assert_null(casedir_read(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(makes_a_case, next_case),
		cmocka_unit_test_setup(refuses, next_case),
		cmocka_unit_test_setup(one_writer, next_case),
		cmocka_unit_test_setup(puts_files_whole, next_case),
		cmocka_unit_test_setup(reading_changes_nothing, next_case),
		cmocka_unit_test_setup(reads_while_a_run_writes, next_case),
		cmocka_unit_test_setup(no_case, next_case),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
