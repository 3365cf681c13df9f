/* What evidence.db and the next run refuse. */
#include "ledger_case.h"

static void refuses_change(void **state)
{
	static const char *const t[] = {
		"UPDATE record SET detail = '{}'",
		"UPDATE OR REPLACE record SET seq = 0 WHERE seq = 1",
		"UPDATE OR IGNORE record SET salt = salt",
		"DELETE FROM record",
		"DELETE FROM record WHERE seq = 299",
		"REPLACE INTO record SELECT * FROM record WHERE seq = 5",
		"REPLACE INTO record SELECT * FROM record WHERE seq = 299",
		"INSERT OR IGNORE INTO record SELECT * FROM record "
		    "WHERE seq = 5",
		"INSERT INTO record SELECT * FROM record WHERE seq = 5 "
		    "ON CONFLICT DO UPDATE SET detail = '{}'",
		/* Gaps, before the first, and none. */
		"INSERT INTO record SELECT 301, utc_ns, mono_ns, kind, swarm, "
		    "conn, ip, port, detail, raw_sha256, salt FROM record "
		    "WHERE seq = 1",
		"INSERT INTO record SELECT -1, utc_ns, mono_ns, kind, swarm, "
		    "conn, ip, port, detail, raw_sha256, salt FROM record "
		    "WHERE seq = 1",
		"UPDATE raw SET bytes = x''",
		"DELETE FROM raw",
		"REPLACE INTO raw SELECT seq, x'00' FROM raw",
		"UPDATE named SET port = 1",
		"DELETE FROM named",
		"REPLACE INTO named SELECT seq, n, ip, 7, salt FROM named",
		"UPDATE tile SET hashes = zeroblob(8192)",
		"DELETE FROM tile",
		"REPLACE INTO tile SELECT level, n, zeroblob(8192) FROM tile",
		"UPDATE checkpoint SET note = ''",
		"DELETE FROM checkpoint",
		"DELETE FROM checkpoint WHERE size < 300",
		"REPLACE INTO checkpoint SELECT size, 0, root, '' "
		    "FROM checkpoint",
		"INSERT INTO checkpoint SELECT 7, utc_ns, root, note "
		    "FROM checkpoint LIMIT 1",
		"INSERT INTO checkpoint SELECT 301, utc_ns, root, note "
		    "FROM checkpoint LIMIT 1",
		"UPDATE meta SET value = ''",
		"DELETE FROM meta",
		"REPLACE INTO meta VALUES ('case_id', '')",
	};
	/* Values that no record may have, appended where the next would be. */
	static const char *const values[] = {
		"300, 0, -1, 'x', NULL, NULL, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, '', NULL, NULL, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, 'X', NULL, NULL, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, 'x'||char(0)||'y', NULL, NULL, NULL, NULL, '{}',"
		    " NULL, S",
		"300, 0, 0, 'x', 'ab', NULL, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, 'x', S||'01234567'||char(0)||'a', NULL, NULL, "
		    "NULL, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, 301, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, -1, NULL, NULL, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, NULL, 'host', NULL, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, NULL, '::'||char(0)||'1', NULL, '{}', "
		    "NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, 65536, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, -1, '{}', NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, NULL, NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, char(228), NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, char(10), NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, '{}'||char(0)||'x', "
		    "NULL, S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, '{}', 'ab', S",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, '{}', NULL, 'ab'",
		"300, 0, 0, 'x', NULL, NULL, NULL, NULL, '{}', NULL, "
		    "S||char(0)",
		"300, 'now', 0, 'x', NULL, NULL, NULL, NULL, '{}', NULL, S",
	};
	struct named name = { { .addr = { 1, 2, 3, 4 }, .family = 4 } };
	struct open_case c;
	struct record r = plain(0);
	char sql[500], before[65], after[65], file[128];
	sqlite3 *db;

	(void)state;
	open_it(&c);
	add_plain(c.l, 298);
	r.raw = span_of("raw", 3);
	r.named = &name;
	r.names = 1;
	ledger_add(c.l, &r);
	ledger_flush(c.l);
	ledger_add(c.l, &r);
	close_it(&c);
	snprintf(file, sizeof(file), "%s/evidence.db", path);
	casedir_digest(file, before, NULL);
	db = db_rw();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		sqlite3_exec(db, t[i], NULL, NULL, NULL);
		if (sqlite3_total_changes(db) != 0)
			fail_msg("not refused: %s", t[i]);
	}
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(sql, sizeof(sql), "WITH v(S) AS (SELECT "
		    "'00112233445566778899aabbccddeeff') INSERT INTO record "
		    "SELECT %s FROM v", values[i]);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
			fail_msg("not refused: %s", values[i]);
	}
	/* And this one is right, so the others failed for what they are. */
	assert_int_equal(sqlite3_exec(db, "BEGIN; INSERT INTO record VALUES ("
	    "300, 0, 0, 'x', NULL, 300, '::1', 0, '{}', NULL, "
	    "'00112233445566778899aabbccddeeff'); ROLLBACK", NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	casedir_digest(file, after, NULL);
	assert_string_equal(before, after);
}

/* Changed by hand, the triggers out of the way: the next run refuses. */
static const struct {
	const char *sql;
	const char *trigger;	/* dropped before, put back afterwards */
	const char *why;
} changes[] = {
	{ "UPDATE record SET detail = '{}' WHERE seq = 599", "record_update",
	    "not of this tree" },
	{ "UPDATE record SET utc_ns = utc_ns + 1 WHERE seq = 512",
	    "record_update", "not of this tree" },
	{ "DELETE FROM record WHERE seq = 599", "record_delete",
	    "newest checkpoint covers 600" },
	{ "DELETE FROM record WHERE seq = 300", "record_delete",
	    "records are missing" },
	{ "DELETE FROM record WHERE seq = 0", "record_delete",
	    "records are missing" },
	{ "DELETE FROM record", "record_delete", "tiles" },
	{ "UPDATE tile SET hashes = zeroblob(8192) WHERE n = 1", "tile_update",
	    "not of this tree" },
	{ "DELETE FROM tile WHERE n = 1", "tile_delete", "tiles" },
	{ "INSERT INTO tile VALUES (0, 2, zeroblob(8192))", NULL, "tiles" },
	{ "INSERT INTO tile VALUES (1, 0, zeroblob(8192))", NULL, "tiles" },
	{ "DELETE FROM checkpoint", "checkpoint_delete", "covers 0" },
	{ "UPDATE checkpoint SET size = 599 WHERE size = 600",
	    "checkpoint_update", "covers 599" },
	{ "UPDATE checkpoint SET note = ''", "checkpoint_update",
	    "not of this tree" },
	{ "UPDATE checkpoint SET note = replace(note, '600', '601')",
	    "checkpoint_update", "not of this tree" },
	{ "UPDATE checkpoint SET root = substr(root, 2)||'0'||''",
	    "checkpoint_update", "not of this tree" },
	{ "UPDATE meta SET value = '0123456789abcdef0123456789abcdef'",
	    "meta_update", "not of this tree" },
	{ "DELETE FROM meta", "meta_delete", "case_id" },
	{ "INSERT INTO record SELECT 600, utc_ns, mono_ns, kind, swarm, conn, "
	    "ip, port, detail, raw_sha256, salt FROM record WHERE seq = 1",
	    NULL, "holds 601 records" },
	{ "PRAGMA user_version = 2", NULL, "user_version" },
	{ "PRAGMA application_id = 1", NULL, "application_id" },
	{ "CREATE TABLE more (x)", NULL, "schema" },
	{ "CREATE INDEX more ON record (ip)", NULL, "schema" },
	{ "DROP TRIGGER raw_delete", NULL, "schema" },
	/* The way of doing it is not what is refused. */
	{ "SELECT 1", "tile_update", NULL },
};

static void change(const char *sql, const char *trigger)
{
	sqlite3 *db = db_rw();
	char all[8192];

	if (trigger) {
		snprintf(all, sizeof(all), "SELECT sql FROM sqlite_schema "
		    "WHERE name = '%s'", trigger);
		snprintf(all, sizeof(all), "DROP TRIGGER %s; %s; %s", trigger,
		    sql, text(db, all));
		sql = all;
	}
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void open_changed(void)
{
	struct open_case c;

	if (open_it(&c) == NULL)
		_exit(1);
	close_it(&c);
}

static void refuses_what_was_changed(void **state)
{
	struct open_case c;
	char said[600];

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		int status;

		next_case(NULL);
		assert_non_null(open_it(&c));
		add_plain(c.l, 600);
		close_it(&c);
		change(changes[i].sql, changes[i].trigger);
		status = child(open_changed, said, sizeof(said));
		if (status != (changes[i].why != NULL) || (changes[i].why &&
		    strstr(said, changes[i].why) == NULL))
			fail_msg("%s: %d %s", changes[i].sql, status, said);
	}
}

/* Files that are no case of ours are neither changed nor added to. */
static void refuses_other_files(void **state)
{
	struct open_case c;
	char file[128], before[65], after[65];
	sqlite3 *db;

	(void)state;
	assert_int_equal(casedir_open(&c.dir, path), 0);
	casedir_close(&c.dir);
	snprintf(file, sizeof(file), "%s/evidence.db", path);
	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	sqlite3_exec(db, "CREATE TABLE addresses (x)", NULL, NULL, NULL);
	sqlite3_close(db);
	casedir_digest(file, before, NULL);
	assert_null(open_it(&c));
	casedir_digest(file, after, NULL);
	assert_string_equal(before, after);
	assert_int_equal(truncate(file, 5000), 0);
	assert_null(open_it(&c));
	/* Empty, as a first open that was cut short leaves it: ours to make. */
	assert_int_equal(truncate(file, 0), 0);
	assert_non_null(open_it(&c));
	close_it(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, next_case)
	const struct CMUnitTest tests[] = {
		T(refuses_change),
		T(refuses_what_was_changed),
		T(refuses_other_files),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
