#include "schema/indexfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/log.h"

#define VERSION 1
#define FLOOR 12u		/* the tree is kept in 2^12 parts */
#define PARTS (1u << FLOOR)
#define NODE 41			/* key, depth, hash */

static const char schema[] =
"CREATE TABLE IF NOT EXISTS list (seq INTEGER NOT NULL, subject TEXT NOT NULL,"
" seqs BLOB NOT NULL, PRIMARY KEY (seq, subject)) STRICT, WITHOUT ROWID;"
/* part -1: the roots of all parts */
"CREATE TABLE IF NOT EXISTS part (seq INTEGER NOT NULL, part INTEGER NOT NULL,"
" nodes BLOB NOT NULL, PRIMARY KEY (seq, part)) STRICT, WITHOUT ROWID;"
"PRAGMA user_version = 1";

struct bytes {
	uint8_t *p;
	size_t n, room;
};

struct indexfile {
	sqlite3 *db;
	sqlite3_stmt *list, *part;
	int64_t seq;
	bool failed;
	char subject[64];
	int64_t last;		/* of the list under way */
	struct bytes bytes;	/* of the list, or of the part, under way */
	bool listing;
	int64_t at;		/* the part under way, -1 */
	struct sparse_empty empty;
	struct sparse tree;	/* of the part */
	struct hash roots[PARTS];
};

static uint8_t *grow(struct bytes *b, size_t n)
{
	if (b->room - b->n < n) {
		b->room = 2 * b->room + n + 64;
		b->p = realloc(b->p, b->room);
		if (b->p == NULL)
			log_die("out of memory");
	}
	b->n += n;
	return b->p + b->n - n;
}

static void put_node(struct bytes *b, const struct sparse_node *n)
{
	uint8_t *p = grow(b, NODE);

	for (int k = 0; k < 8; k++)
		p[k] = (uint8_t)(n->key >> (56 - 8 * k));
	p[8] = (uint8_t)n->depth;
	memcpy(p + 9, n->hash.b, 32);
}

static char *path_of(const char *case_path)
{
	char *file;

	if (asprintf(&file, "%s/index.db", case_path) < 0)
		log_die("out of memory");
	return file;
}

/* --- writing --------------------------------------------------------------- */

static int64_t version(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) ==
	    SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

static bool ready(struct indexfile *f, const char *file)
{
	char drop[160];

	if (!casedir_plain(file) || sqlite3_open_v2(file, &f->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return false;
	sqlite3_busy_timeout(f->db, 60000);
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	snprintf(drop, sizeof(drop), "BEGIN IMMEDIATE;"
	    "DELETE FROM list WHERE seq = %lld;"
	    "DELETE FROM part WHERE seq = %lld", (long long)f->seq,
	    (long long)f->seq);
	return (version(f->db) == 0 || version(f->db) == VERSION) &&
	    sqlite3_exec(f->db, "PRAGMA synchronous = off;"
	    "PRAGMA secure_delete = on", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(f->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(f->db, drop, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(f->db, "INSERT INTO list VALUES (?,?,?)", -1,
	    &f->list, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(f->db, "INSERT INTO part VALUES (?,?,?)", -1,
	    &f->part, NULL) == SQLITE_OK;
}

static void close_file(struct indexfile *f)
{
	sqlite3_finalize(f->list);
	sqlite3_finalize(f->part);
	sqlite3_close(f->db);
	f->list = f->part = NULL;
	f->db = NULL;
}

struct indexfile *indexfile_begin(const char *case_path, int64_t seq)
{
	struct indexfile *f = calloc(1, sizeof(*f));
	char *file = path_of(case_path);

	if (f == NULL)
		log_die("out of memory");
	f->seq = seq;
	f->at = -1;
	sparse_empty_init(&f->empty);
	if (!ready(f, file)) {
		/* Damaged, or another's: it is made anew. */
		close_file(f);
		unlink(file);
		if (!ready(f, file)) {
			log_warn("%s: %s; excerpts will take longer", file,
			    f->db ? sqlite3_errmsg(f->db) : "out of memory");
			close_file(f);
			free(f);
			f = NULL;
		}
	}
	free(file);
	return f;
}

static void put(struct indexfile *f, sqlite3_stmt *s, struct span blob)
{
	sqlite3_bind_int64(s, 1, f->seq);
	sqlite3_bind_blob64(s, 3, blob.n ? (const void *)blob.p : "", blob.n,
	    SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE && !f->failed) {
		log_warn("index.db: %s", sqlite3_errmsg(f->db));
		f->failed = true;
	}
	sqlite3_reset(s);
	f->bytes.n = 0;
}

static void put_list(struct indexfile *f)
{
	if (!f->listing)
		return;
	sqlite3_bind_text(f->list, 2, f->subject, -1, SQLITE_STATIC);
	put(f, f->list, span_of(f->bytes.p, f->bytes.n));
	f->listing = false;
}

/* Each as its distance from the one before, seven bits a byte, low first. */
void indexfile_pair(struct indexfile *f, const char *subject, int64_t seq)
{
	uint64_t v;

	if (f == NULL)
		return;
	if (f->listing && strcmp(subject, f->subject) != 0)
		put_list(f);
	if (!f->listing) {
		snprintf(f->subject, sizeof(f->subject), "%s", subject);
		f->last = 0;
		f->listing = true;
	}
	for (v = (uint64_t)(seq - f->last); v > 127; v >>= 7)
		*grow(&f->bytes, 1) = (uint8_t)(v | 128);
	*grow(&f->bytes, 1) = (uint8_t)v;
	f->last = seq;
}

static void put_part(struct indexfile *f)
{
	if (f->at < 0)
		return;
	f->roots[f->at] = sparse_root(&f->tree, FLOOR);
	sqlite3_bind_int64(f->part, 2, f->at);
	put(f, f->part, span_of(f->bytes.p, f->bytes.n));
	f->at = -1;
}

void indexfile_node(void *ctx, const struct sparse_node *n)
{
	struct indexfile *f = ctx;
	int64_t part = (int64_t)(n->key >> (SPARSE_DEPTH - FLOOR));

	put_list(f);
	if (n->depth < FLOOR) {
		/* A node above the parts: few subjects, some erased. */
		f->failed = true;
		return;
	}
	if (part != f->at) {
		put_part(f);
		f->at = part;
		sparse_init(&f->tree, &f->empty);
	}
	sparse_put(&f->tree, n);
	put_node(&f->bytes, n);
}

void indexfile_end(struct indexfile *f, bool keep)
{
	if (f == NULL)
		return;
	put_list(f);
	put_part(f);
	for (unsigned i = 0; i < PARTS; i++)
		if (memcmp(f->roots[i].b, f->empty.at[0].b, 32) == 0)
			f->roots[i] = f->empty.at[SPARSE_DEPTH - FLOOR];
	sqlite3_bind_int64(f->part, 2, -1);
	put(f, f->part, span_of(f->roots, sizeof(f->roots)));
	if (sqlite3_exec(f->db, keep && !f->failed ? "COMMIT" : "ROLLBACK",
	    NULL, NULL, NULL) != SQLITE_OK)
		log_warn("index.db: %s", sqlite3_errmsg(f->db));
	close_file(f);
	free(f->bytes.p);
	free(f);
}

/* --- reading --------------------------------------------------------------- */

sqlite3 *indexfile_read(const char *case_path)
{
	char *file = path_of(case_path);
	sqlite3 *db = NULL;

	if (!casedir_plain(file) ||
	    sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK || version(db) != VERSION) {
		sqlite3_close(db);
		db = NULL;
	} else {
		sqlite3_busy_timeout(db, 60000);
		sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	}
	free(file);
	return db;
}

int indexfile_list(sqlite3 *file, int64_t seq, const char *subject,
    struct seqs *out)
{
	sqlite3_stmt *s = NULL;
	const uint8_t *p;
	uint64_t v = 0;
	int64_t last = 0;
	unsigned shift = 0;
	int got = -1, n;

	if (sqlite3_prepare_v2(file, "SELECT seqs FROM list WHERE seq = ? AND "
	    "subject = ?", -1, &s, NULL) != SQLITE_OK)
		return -1;
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_text(s, 2, subject, -1, SQLITE_STATIC);
	got = sqlite3_step(s);
	if (got != SQLITE_ROW) {
		sqlite3_finalize(s);
		return got == SQLITE_DONE ? 0 : -1;
	}
	p = sqlite3_column_blob(s, 0);
	n = sqlite3_column_bytes(s, 0);
	for (int i = 0; i < n; i++) {
		if (shift > 56) {
			sqlite3_finalize(s);
			return -1;
		}
		v |= (uint64_t)(p[i] & 127) << shift;
		shift += 7;
		if (p[i] & 128)
			continue;
		if (v > (uint64_t)(INT64_MAX - last)) {
			sqlite3_finalize(s);
			return -1;
		}
		last += (int64_t)v;
		seqs_add(out, last);
		v = 0;
		shift = 0;
	}
	sqlite3_finalize(s);
	return 1;
}

/* The nodes of a part, to be freed. -1: of no use. */
static int part_nodes(sqlite3_stmt *s, struct sparse_node **out, size_t *count)
{
	const uint8_t *p = sqlite3_column_blob(s, 0);
	size_t n = (size_t)sqlite3_column_bytes(s, 0);
	struct sparse_node *node = calloc(n / NODE + 1, sizeof(*node));

	if (node == NULL)
		log_die("out of memory");
	*out = node;
	*count = n / NODE;
	if (n % NODE)
		return -1;
	for (size_t i = 0; i < *count; i++, p += NODE) {
		for (int k = 0; k < 8; k++)
			node[i].key = node[i].key << 8 | p[k];
		node[i].depth = p[8];
		memcpy(node[i].hash.b, p + 9, 32);
		if (node[i].depth > SPARSE_DEPTH || node[i].depth < FLOOR ||
		    (i && node[i].key < node[i - 1].key))
			return -1;
	}
	return 0;
}

/* The upper siblings, of the roots of all parts. */
static int upper(sqlite3_stmt *s, uint64_t key, struct hash *path)
{
	const uint8_t *p = sqlite3_column_blob(s, 0);
	struct hash *h;
	size_t at = key >> (SPARSE_DEPTH - FLOOR), n = PARTS;

	if ((size_t)sqlite3_column_bytes(s, 0) != PARTS * sizeof(*h))
		return -1;
	h = malloc(PARTS * sizeof(*h));
	if (h == NULL)
		log_die("out of memory");
	memcpy(h, p, PARTS * sizeof(*h));
	for (unsigned d = FLOOR; d > 0; d--, n /= 2, at /= 2) {
		path[FLOOR - d] = h[at ^ 1];
		for (size_t i = 0; i < n / 2; i++)
			h[i] = sparse_join(&h[2 * i], &h[2 * i + 1]);
	}
	free(h);
	return 0;
}

int indexfile_path(sqlite3 *file, int64_t seq, uint64_t key,
    struct hash path[SPARSE_DEPTH], struct hash **leaves, size_t *n)
{
	struct sparse_node *nodes = NULL;
	struct sparse_empty *e = malloc(sizeof(*e));
	sqlite3_stmt *s = NULL;
	size_t count = 0;
	int got = -1;

	if (e == NULL)
		log_die("out of memory");
	*leaves = NULL;
	*n = 0;
	sparse_empty_init(e);
	if (sqlite3_prepare_v2(file, "SELECT nodes FROM part WHERE seq = ? AND "
	    "part = ?", -1, &s, NULL) != SQLITE_OK)
		goto out;
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_int64(s, 2, -1);
	if (sqlite3_step(s) != SQLITE_ROW ||
	    upper(s, key, path + SPARSE_DEPTH - FLOOR) < 0)
		goto out;
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 2, (int64_t)(key >> (SPARSE_DEPTH - FLOOR)));
	if (sqlite3_step(s) == SQLITE_ROW &&
	    part_nodes(s, &nodes, &count) < 0)
		goto out;
	if (sparse_path(e, nodes, count, key, FLOOR, path) < 0)
		goto out;
	*leaves = malloc((count + 1) * sizeof(**leaves));
	if (*leaves == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < count; i++)
		if (nodes[i].key == key && nodes[i].depth == SPARSE_DEPTH)
			(*leaves)[(*n)++] = nodes[i].hash;
	got = 0;
out:
	sqlite3_finalize(s);
	free(nodes);
	free(e);
	return got;
}

/* --- forgetting ------------------------------------------------------------ */

static bool below(const struct sparse_node *n, const struct sparse_node *top)
{
	return n->depth >= top->depth &&
	    (n->key ^ top->key) >> (SPARSE_DEPTH - top->depth) == 0;
}

/* One node stands for all that its part has below it. */
static int replace(sqlite3_stmt *get, sqlite3_stmt *set, int64_t seq,
    const struct sparse_node *top)
{
	struct sparse_node *nodes = NULL;
	struct bytes b = { 0 };
	size_t n = 0, i = 0;
	int got = -1;

	if (top->depth < FLOOR)
		return -1;
	sqlite3_bind_int64(get, 1, seq);
	sqlite3_bind_int64(get, 2, (int64_t)(top->key >>
	    (SPARSE_DEPTH - FLOOR)));
	if (sqlite3_step(get) == SQLITE_ROW &&
	    part_nodes(get, &nodes, &n) == 0) {
		for (; i < n && nodes[i].key < top->key &&
		    !below(&nodes[i], top); i++)
			put_node(&b, &nodes[i]);
		put_node(&b, top);
		for (; i < n; i++)
			if (!below(&nodes[i], top))
				put_node(&b, &nodes[i]);
		sqlite3_bind_int64(set, 1, seq);
		sqlite3_bind_int64(set, 2, (int64_t)(top->key >>
		    (SPARSE_DEPTH - FLOOR)));
		sqlite3_bind_blob64(set, 3, b.p, b.n, SQLITE_STATIC);
		got = sqlite3_step(set) == SQLITE_DONE ? 0 : -1;
		sqlite3_reset(set);
	}
	sqlite3_reset(get);
	free(nodes);
	free(b.p);
	return got;
}

static int replace_all(sqlite3 *db)
{
	sqlite3_stmt *gone = NULL, *get = NULL, *set = NULL;
	struct sparse_node n;
	int got = -1;

	if (sqlite3_prepare_v2(db, "SELECT g.seq, g.n, g.hash FROM e.gone AS g "
	    "WHERE g.what = 'subject' AND g.seq IN (SELECT seq FROM part)", -1,
	    &gone, NULL) == SQLITE_OK && sqlite3_prepare_v2(db, "SELECT nodes "
	    "FROM part WHERE seq = ? AND part = ?", -1, &get, NULL) ==
	    SQLITE_OK && sqlite3_prepare_v2(db, "UPDATE part SET nodes = ?3 "
	    "WHERE seq = ?1 AND part = ?2", -1, &set, NULL) == SQLITE_OK)
		got = 0;
	while (got == 0 && sqlite3_step(gone) == SQLITE_ROW) {
		if (!sparse_place(sqlite3_column_int64(gone, 1), &n) ||
		    sqlite3_column_bytes(gone, 2) != (int)sizeof(n.hash)) {
			got = -1;
			break;
		}
		memcpy(n.hash.b, sqlite3_column_blob(gone, 2),
		    sizeof(n.hash));
		got = replace(get, set, sqlite3_column_int64(gone, 0), &n);
	}
	sqlite3_finalize(set);
	sqlite3_finalize(get);
	return sqlite3_finalize(gone) == SQLITE_OK ? got : -1;
}

static int attach(sqlite3 *db, const char *case_path)
{
	sqlite3_stmt *s = NULL;
	char *file;
	int got = -1;

	if (asprintf(&file, "%s/evidence.db", case_path) < 0)
		log_die("out of memory");
	if (sqlite3_prepare_v2(db, "ATTACH ? AS e", -1, &s, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
		got = sqlite3_step(s) == SQLITE_DONE ? 0 : -1;
	}
	sqlite3_finalize(s);
	free(file);
	return got;
}

int indexfile_forget(const char *case_path)
{
	static const char sql[] = "PRAGMA secure_delete = on;"
	    "BEGIN IMMEDIATE;"
	    "DELETE FROM list WHERE subject <> '' AND NOT EXISTS (SELECT 1 "
	    "FROM e.subject AS s WHERE s.seq = list.seq AND "
	    "s.subject = list.subject)";
	char *file = path_of(case_path);
	sqlite3 *db = NULL;
	int got = -1;

	if (access(file, F_OK) < 0) {
		free(file);
		return 0;
	}
	if (casedir_plain(file) && sqlite3_open_v2(file, &db,
	    SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(db, 60000) == SQLITE_OK &&
	    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) ==
	    SQLITE_OK && version(db) == VERSION &&
	    casedir_tables(db, "main") && attach(db, case_path) == 0 &&
	    sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK &&
	    replace_all(db) == 0 &&
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		got = 0;
	sqlite3_close(db);
	free(file);
	return got;
}
