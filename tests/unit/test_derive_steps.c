/* However the ledger is cut, and whatever derived.db was before. */
#include <dirent.h>

#include "schema/derivation.h"
#include "tests/derive_kit.h"

static unsigned seed;
static unsigned roll(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* One record of an imported flow, of either end; or its first. */
static void random_flow(int64_t at)
{
	static const char *const step[] = { "handshake", "handshake",
	    "extended", "have_all", "piece", "choke", "encrypted", "closed" };
	static const char *const ip[] = { "10.1.0.1", "10.1.0.9" };
	static int64_t flow[4];
	static bool known[4];
	unsigned k = roll(4), end = roll(2), what = roll(8);
	char detail[400];

	imported = true;
	if (flow[k] == 0 || flow[k] >= next_seq) {
		known[k] = roll(2);
		snprintf(detail, sizeof(detail), "{\"transport\":\"tcp\","
		    "\"initiator\":\"10.1.0.1:1000\",\"responder\":"
		    "\"10.1.0.9:9\",\"began\":\"%s\"}",
		    roll(2) ? "handshake" : "middle");
		flow[k] = add(at, "flow", known[k] ? HASH : "", -2, ip[0],
		    1000, detail);
		return;
	}
	snprintf(detail, sizeof(detail), "{\"by\":\"%s\",\"infohash\":\""
	    HASH "\",\"peer_id\":\"%040u\",\"client\":\"c%u\","
	    "\"expected\":%s,\"port\":%u,\"claimed\":%u,\"pieces\":10,"
	    "\"piece\":%u,\"came\":8,\"complete\":%s,\"match\":%s,"
	    "\"why\":\"w%u\",\"initiator_bytes\":%u,\"responder_bytes\":1,"
	    "\"select\":%u}", what < 7 ? "peer" : end ? "responder" :
	    "initiator", roll(99), roll(9), roll(3) ? "true" : "false",
	    roll(3) * 1000, roll(11), roll(10), roll(2) ? "true" : "false",
	    roll(2) ? "true" : "false", roll(9), roll(999), roll(2) + 1);
	if (what >= 6)
		end = 0;
	add(at, step[what], HASH, flow[k], ip[end], end ? 9 : 1000, detail);
	if (what == 7)
		flow[k] = 0;
}

/* Conversations interleaved at random over two midnights. */
static void random_ledger(int records)
{
	static const char *const step[] = { "handshake", "extended",
	    "bitfield", "have", "donthave", "piece", "choke", "malformed",
	    "encrypted", "closed" };
	struct {
		int64_t conn;
		int port;
		bool in, greeted;
	} live[12] = { { 0 } };

	torrent();
	for (int i = 0; i < records; i++) {
		int64_t at = NIGHT + ((int64_t)i - records / 3) * 300 * S -
		    (int64_t)roll(9) * S;
		unsigned k = roll(12);
		char detail[400], ip[16];
		const char *kind;
		unsigned what;

		imported = false;
		if (roll(7) == 0)
			random_flow(at);
		if (roll(20) == 0)
			add(at, "run", "", -1, "", -1, "{}");
		if (roll(6) == 0)
			listed(at, roll(2) ? "10.1.0.1" : "10.1.0.2",
			    (int)(1000 + roll(4)));
		snprintf(ip, sizeof(ip), "10.1.0.%u", k % 3 + 1);
		if (live[k].conn == 0) {
			live[k].in = roll(2);
			live[k].greeted = false;
			live[k].port = (int)(1000 + roll(5));
			live[k].conn = add(at, live[k].in ? "accept" : "dial",
			    live[k].in ? "" : HASH, -2, ip, live[k].port,
			    roll(4) ? "{\"transport\":\"tcp\",\"encryption\":"
			    "\"none\"}" : "{\"transport\":\"utp\","
			    "\"encryption\":null}");
			if (!live[k].in) {
				bool up = roll(3);

				add(at + S, up ? "reached" : "unreached", HASH,
				    live[k].conn, ip, live[k].port,
				    "{\"why\":\"refused\"}");
				if (!up)
					live[k].conn = 0;
			}
			continue;
		}
		what = roll(10);
		kind = step[what];
		snprintf(detail, sizeof(detail), "{\"by\":\"%s\",\"infohash\":"
		    "\"" HASH "\",\"peer_id\":\"%040u\",\"client\":\"c%u\","
		    "\"expected\":%s,\"port\":%u,\"claimed\":%u,\"pieces\":10,"
		    "\"piece\":%u,\"came\":%u,\"complete\":%s,\"match\":%s,"
		    "\"why\":\"w%u\",\"rx_bytes\":%u,\"tx_bytes\":1,"
		    "\"select\":%u}",
		    roll(5) ? "peer" : "us", roll(99), roll(9),
		    roll(3) ? "true" : "false", roll(3) * 1000, roll(11),
		    roll(10), roll(3) * 8, roll(2) ? "true" : "false",
		    roll(2) ? "true" : "false", roll(9), roll(999),
		    roll(2) + 1);
		if (what == 0 && strstr(detail, "d\":true") &&
		    strstr(detail, "\"peer\""))
			live[k].greeted = true;
		add(at, kind, live[k].in && !live[k].greeted ? "" : HASH,
		    live[k].conn, ip, live[k].port, detail);
		if (what == 9)
			live[k].conn = 0;
	}
	run(ev, "COMMIT");
}

/* Says the first line that differs. */
static void assert_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		const char *la = strchr(a, '\n'), *lb = strchr(b, '\n');

		if (la == NULL || lb == NULL || la - a != lb - b ||
		    memcmp(a, b, (size_t)(la - a)) != 0)
			break;
		a = la + 1;
		b = lb + 1;
	}
	if (strcmp(a, b) != 0)
		fail_msg("\n%.*s\n%.*s", (int)strcspn(a, "\n"), a,
		    (int)strcspn(b, "\n"), b);
}

static void any_steps_give_the_same(void **state)
{
	for (unsigned s = 1; s <= 8; s++) {
		sqlite3 *whole, *parts;
		char *a, *b;
		int r, steps = 0;

		if (s > 1)
			setup(state);
		seed = s * 7919;
		random_ledger(250);
		whole = derive_build(evidence, ":memory:");
		assert_non_null(whole);
		assert_int_equal(sqlite3_open_v2(":memory:", &parts,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL), SQLITE_OK);
		runf(parts, "ATTACH 'file:%s?mode=ro' AS evidence", evidence);
		while ((r = derivation_step(parts, 1 + roll(s < 3 ? 1 : 40))) > 0)
			steps++;
		assert_int_equal(r, 0);
		assert_true(steps > 5);
		run(parts, "UPDATE built SET script = 'x'");
		run(whole, "UPDATE built SET script = 'x'");
		a = dump_all(whole);
		b = dump_all(parts);
		assert_same(a, b);
		assert_true(strstr(a, "|5|") != NULL);
		free(a);
		free(b);
		sqlite3_close(whole);
		sqlite3_close(parts);
		if (s < 8)
			teardown(state);
	}
}

static void assert_same_as_scratch(void)
{
	sqlite3 *fresh = derive_build(evidence, ":memory:"), *file;
	char *a, *b;

	assert_non_null(fresh);
	assert_int_equal(sqlite3_open(derived, &file), SQLITE_OK);
	a = dump_all(fresh);
	b = dump_all(file);
	assert_same(a, b);
	free(a);
	free(b);
	sqlite3_close(fresh);
	sqlite3_close(file);
}

static int files_there(void)
{
	DIR *d = opendir(folder);
	int n = -2;	/* . and .. */

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void updates_and_rebuilds(void **state)
{
	char *before;
	sqlite3 *db;
	FILE *f;

	(void)state;
	seed = 1;
	random_ledger(60);
	assert_int_equal(derive_update(folder), 0);
	assert_int_equal(files_there(), 2);	/* no work of it is left */
	assert_same_as_scratch();
	run(ev, "BEGIN");
	random_ledger(60);	/* more of it */
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* Nothing new: the file does not change. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	before = dump(db, "SELECT * FROM built");
	assert_int_equal(derive_update(folder), 0);
	expect(db, "SELECT * FROM built", before);
	free(before);
	sqlite3_close(db);
	/* Made from another ledger: rebuilt. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET salt = 'other'; DELETE FROM contact");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* By another version: rebuilt. */
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET script = 'old'; DROP TABLE contact");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* A head of another tree: rebuilt. */
	runf(ev, "INSERT INTO checkpoint VALUES (%lld, 1, '" ROOT "', 'n')",
	    (long long)next_seq);
	assert_int_equal(sqlite3_open(derived, &db), SQLITE_OK);
	run(db, "UPDATE built SET root = 'cd'; DELETE FROM endpoint");
	sqlite3_close(db);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* No database at all: rebuilt. */
	f = fopen(derived, "w");
	assert_non_null(f);
	for (int i = 0; i < 999; i++)
		fputs("no database ", f);
	fclose(f);
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
	/* Records erased: what they gave goes too. */
	run(ev, "DROP TRIGGER record_delete; DELETE FROM record WHERE kind = "
	    "'listed' AND seq % 2");
	add(NIGHT, "erased", "", -1, "", -1, "{}");
	assert_int_equal(derive_update(folder), 0);
	assert_same_as_scratch();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(any_steps_give_the_same), T(updates_and_rebuilds)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
