#include "schema/treeread.h"

#include <inttypes.h>
#include <stdlib.h>

#include "schema/log.h"
#include "schema/record.h"
#include "schema/tile.h"

#define SLOTS 8u		/* tiles remembered, of each level */

struct slot {
	bool used, full;
	uint64_t n;
	unsigned have;		/* entries known; all of a full one */
	struct hash hash[TILE];
};

struct treeread {
	sqlite3 *db;
	uint64_t size;
	sqlite3_stmt *tile, *leaf;
	struct slot slot[TILE_LEVELS][SLOTS];
};

struct treeread *treeread_new(sqlite3 *db, uint64_t size)
{
	struct treeread *t = calloc(1, sizeof(*t));

	if (t == NULL)
		log_die("out of memory");
	t->db = db;
	t->size = size;
	if (sqlite3_prepare_v2(db, "SELECT hashes FROM tile WHERE level = ? "
	    "AND n = ?", -1, &t->tile, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT " RECORD_LINE ", NULL FROM record "
	    "WHERE seq = ?1 UNION ALL SELECT NULL, hash FROM gone WHERE "
	    "seq = ?1 AND what = 'record'", -1, &t->leaf, NULL) == SQLITE_OK)
		return t;
	log_warn("evidence.db: %s", sqlite3_errmsg(db));
	treeread_free(t);
	return NULL;
}

void treeread_free(struct treeread *t)
{
	if (t == NULL)
		return;
	sqlite3_finalize(t->tile);
	sqlite3_finalize(t->leaf);
	free(t);
}

int treeread_leaf(struct treeread *t, uint64_t seq, struct hash *leaf)
{
	sqlite3_stmt *s = t->leaf;
	int got = -1;

	sqlite3_bind_int64(s, 1, (int64_t)seq);
	if (seq < t->size && sqlite3_step(s) == SQLITE_ROW) {
		const void *line = sqlite3_column_text(s, 0);

		got = 0;
		if (line)
			*leaf = merkle_leaf(line,
			    (size_t)sqlite3_column_bytes(s, 0));
		else if (sqlite3_column_bytes(s, 1) == (int)sizeof(*leaf))
			memcpy(leaf->b, sqlite3_column_blob(s, 1),
			    sizeof(leaf->b));
		else
			got = -1;
	}
	sqlite3_reset(s);
	if (got < 0)
		log_warn("record %" PRIu64 " is not there; run verify", seq);
	return got;
}

/* The tile, as far as it is stored: full or not at all. */
static struct slot *slot_of(struct treeread *t, unsigned level, uint64_t n)
{
	struct slot *s = &t->slot[level][n % SLOTS];

	if (s->used && s->n == n)
		return s;
	s->used = true;
	s->n = n;
	s->have = 0;
	s->full = n < tile_full(t->size, level);
	if (s->full) {
		sqlite3_bind_int64(t->tile, 1, level);
		sqlite3_bind_int64(t->tile, 2, (int64_t)n);
		if (sqlite3_step(t->tile) == SQLITE_ROW &&
		    sqlite3_column_bytes(t->tile, 0) ==
		    (int)sizeof(s->hash)) {
			memcpy(s->hash, sqlite3_column_blob(t->tile, 0),
			    sizeof(s->hash));
			s->have = TILE;
		}
		sqlite3_reset(t->tile);
	}
	return s;
}

/* The root over 256^level leaves from i 256^level, all there. */
static int entry(struct treeread *t, unsigned level, uint64_t i,
    struct hash *out)
{
	struct slot *s = slot_of(t, level, i / TILE);

	if (s->full && s->have == TILE) {
		*out = s->hash[i % TILE];
		return 0;
	}
	if (s->full) {
		log_warn("tile %" PRIu64 " of level %u is missing; run verify",
		    i / TILE, level);
		return -1;
	}
	/* A tile that is not full: its entries one after the other. */
	while (s->have <= i % TILE) {
		uint64_t at = i - i % TILE + s->have;
		const struct slot *below;

		if (level == 0) {
			if (treeread_leaf(t, at, &s->hash[s->have]) < 0)
				return -1;
		} else {
			below = slot_of(t, level - 1, at);
			if (below->have != TILE) {
				log_warn("tile %" PRIu64 " of level %u is "
				    "missing; run verify", at, level - 1);
				return -1;
			}
			s->hash[s->have] = merkle_of(below->hash, TILE);
		}
		s->have++;
	}
	*out = s->hash[i % TILE];
	return 0;
}

static int node(void *ctx, unsigned level, uint64_t n, struct hash *out)
{
	struct treeread *t = ctx;
	unsigned up = level / 8, count = 1u << level % 8;
	struct hash part[TILE / 2];

	for (unsigned i = 0; i < count; i++)
		if (entry(t, up, n * count + i, &part[i]) < 0)
			return -1;
	*out = merkle_of(part, count);
	return 0;
}

int treeread_path(struct treeread *t, uint64_t seq,
    struct hash path[TREEREAD_PATH])
{
	return merkle_inclusion(node, t, seq, t->size, path, TREEREAD_PATH);
}

/* --- of a record's named endpoints ----------------------------------------- */

struct leaves {
	struct hash *at;
	size_t n, room;
};

static int leaf_of(void *ctx, unsigned level, uint64_t n, struct hash *out)
{
	const struct leaves *l = ctx;
	size_t count = (size_t)1 << level;

	*out = merkle_of(l->at + n * count, count);
	return 0;
}

int treeread_named(sqlite3 *db, int64_t seq, int64_t n,
    struct hash path[TREEREAD_PATH])
{
	struct leaves l = { 0 };
	sqlite3_stmt *s = NULL;
	int got = -1;

	if (sqlite3_prepare_v2(db, "SELECT n, " NAMED_LINE ", NULL FROM named "
	    "WHERE seq = ?1 UNION ALL SELECT n, NULL, hash FROM gone WHERE "
	    "seq = ?1 AND what = 'named' ORDER BY 1", -1, &s, NULL) !=
	    SQLITE_OK) {
		log_warn("evidence.db: %s", sqlite3_errmsg(db));
		return -1;
	}
	sqlite3_bind_int64(s, 1, seq);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const void *line = sqlite3_column_text(s, 1);

		if (l.n == l.room) {
			l.room = 2 * l.room + 64;
			l.at = realloc(l.at, l.room * sizeof(*l.at));
			if (l.at == NULL)
				log_die("out of memory");
		}
		if (line)
			l.at[l.n++] = merkle_leaf(line,
			    (size_t)sqlite3_column_bytes(s, 1));
		else if (sqlite3_column_bytes(s, 2) == 32)
			memcpy(l.at[l.n++].b, sqlite3_column_blob(s, 2), 32);
	}
	sqlite3_finalize(s);
	if (n >= 0 && (size_t)n < l.n)
		got = merkle_inclusion(leaf_of, &l, (uint64_t)n, l.n, path,
		    TREEREAD_PATH);
	free(l.at);
	if (got < 0)
		log_warn("record %" PRId64 ": it does not name an endpoint "
		    "%" PRId64, seq, n);
	return got;
}
