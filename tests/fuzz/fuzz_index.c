/* What stands behind `index` records in files that may be anybody's: lists as
 * text, and index.db's lists and nodes. The first byte says which. */
#include <string.h>

#include <sqlite3.h>

#include "schema/indexfile.h"
#include "schema/leaves.h"
#include "tests/fuzz/fuzz_file.h"

#define SUBJECT "10.0.0.1|2026-01-31"
#define PARTS 4096

/* One text has one list, and the other way round. */
static void text(const uint8_t *data, size_t n)
{
	char *in = fuzz_text(data, n), *out;
	struct seqs s = { 0 };

	if (seqs_read(in, &s)) {
		out = seqs_text(&s);
		demand(strcmp(in, out) == 0);
		for (size_t i = 1; i < s.n; i++)
			demand(s.seq[i] > s.seq[i - 1]);
		free(out);
	}
	seqs_free(&s);
	free(in);
}

static sqlite3 *made(void)
{
	sqlite3 *db = NULL;

	demand(sqlite3_open(":memory:", &db) == SQLITE_OK &&
	    sqlite3_exec(db, "CREATE TABLE list (seq, subject, seqs);"
	    "CREATE TABLE part (seq, part, nodes)", NULL, NULL, NULL) ==
	    SQLITE_OK);
	return db;
}

static void put(sqlite3 *db, const char *sql, int64_t n, const void *p,
    size_t size)
{
	sqlite3_stmt *s = NULL;

	demand(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK);
	sqlite3_bind_int64(s, 1, n);
	sqlite3_bind_blob(s, 2, p ? p : "", (int)size, SQLITE_STATIC);
	demand(sqlite3_step(s) == SQLITE_DONE);
	sqlite3_finalize(s);
}

static void list(const uint8_t *data, size_t n)
{
	sqlite3 *db = made();
	struct seqs s = { 0 };

	put(db, "INSERT INTO list VALUES (?, '" SUBJECT "', ?)", 7, data, n);
	indexfile_list(db, 7, SUBJECT, &s);
	for (size_t i = 1; i < s.n; i++)
		demand(s.seq[i] >= s.seq[i - 1]);
	seqs_free(&s);
	sqlite3_close(db);
}

/* Nodes of any places, into one part; a path out of it leads to the root that
 * leaves_root has of the same. */
static void part(const uint8_t *data, size_t n)
{
	static struct hash roots[PARTS];
	struct hash path[SPARSE_DEPTH], *leaves = NULL;
	sqlite3 *db = made();
	uint64_t key = 0;
	size_t count;

	for (size_t i = 0; i < 8 && i < n; i++)
		key = key << 8 | data[i];
	put(db, "INSERT INTO part VALUES (7, ?, ?)", -1, roots,
	    sizeof(roots));
	put(db, "INSERT INTO part VALUES (7, ?, ?)", (int64_t)(key >> 52),
	    n > 8 ? data + 8 : NULL, n > 8 ? n - 8 : 0);
	if (indexfile_path(db, 7, key, path, &leaves, &count) == 0 && count)
		sparse_share(leaves, count);
	free(leaves);
	sqlite3_close(db);
}

/* Nodes given in any order make the root of those given sorted, and a path out
 * of them climbs to it. */
static void tree(const uint8_t *data, size_t n)
{
	struct leaves *l = leaves_new(NULL);
	struct sparse_node node[64];
	struct sparse_empty e;
	struct hash path[SPARSE_DEPTH], root, again;
	size_t count = 0;

	for (; count < 64 && n >= 3; data += 3, n -= 3, count++) {
		node[count] = (struct sparse_node){ .depth = SPARSE_DEPTH,
			.key = (uint64_t)data[0] << 56 | (uint64_t)data[1] << 20
			    | (data[2] & 15) };
		if (data[2] & 128) {
			node[count].depth = 12u + (data[2] >> 4 & 7);
			node[count].key &= ~(uint64_t)0 <<
			    (SPARSE_DEPTH - node[count].depth);
		}
		memset(node[count].hash.b, data[2], 32);
		demand(leaves_add(l, &node[count]) == 0);
	}
	sparse_empty_init(&e);
	/* One alone: its path is known to climb. */
	if (leaves_root(l, NULL, NULL, &root) == 0 && count == 1 &&
	    node[0].depth == SPARSE_DEPTH) {
		demand(sparse_path(&e, node, 1, node[0].key, 0, path) == 0);
		again = sparse_climb(&node[0].hash, node[0].key, path);
		demand(memcmp(again.b, root.b, 32) == 0);
	}
	leaves_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	fuzz_file(data, 0);
	switch (data[0]) {
	case 't':
		text(data + 1, n - 1);
		break;
	case 'l':
		list(data + 1, n - 1);
		break;
	case 'p':
		part(data + 1, n - 1);
		break;
	case 'n':
		tree(data + 1, n - 1);
		break;
	}
	return 0;
}
