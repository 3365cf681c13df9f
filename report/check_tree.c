#include "report/check_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/casedir.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/note.h"
#include "schema/record.h"
#include "schema/tile.h"

#define KEYS_MAX 4096

struct check_tree {
	struct check *c;
	sqlite3 *db;
	sqlite3_stmt *tile, *head;
	bool head_row;
	int64_t head_size;		/* of that row */
	struct tiles tiles;
	struct known_key {
		struct note_key key;
		int64_t seq;	/* it counts from its own record on */
	} *keys;
	size_t nkeys;
	char origin[64];
	/* The checkpoint seen earlier. */
	char seen[NOTE_MAX + 1];
	size_t seen_n;
	struct checkpoint seen_is;
	bool seen_met, seen_other;	/* passed; and it was of other records */
	struct lasthead last;		/* checkpoint.txt */
	bool head_met, head_other;
};

static struct span blob(sqlite3_stmt *s, int col)
{
	const void *p = sqlite3_column_blob(s, col);

	return span_of(p, (size_t)sqlite3_column_bytes(s, col));
}

/* --- keys ------------------------------------------------------------------ */

void check_tree_key(struct check_tree *t, int64_t seq, const char *vkey,
    const char *fingerprint)
{
	struct check *c = t->c;
	struct note_key k = { 0 };
	struct known_key *more;

	if (!vkey || !note_vkey_read(vkey, &k)) {
		check_wrong(c, seq, "its vkey is not a verifier key");
		return;
	}
	if (t->nkeys == KEYS_MAX) {
		check_wrong(c, seq, "is one key more than this program holds");
		return;
	}
	more = realloc(t->keys, (t->nkeys + 1) * sizeof(*more));
	if (!more)
		log_die("out of memory");
	t->keys = more;
	t->keys[t->nkeys++] = (struct known_key){ k, seq };
	c->keys = (int64_t)t->nkeys;
	note_fingerprint(&k, c->fingerprint);
	if (!fingerprint || strcmp(fingerprint, c->fingerprint) != 0)
		check_wrong(c, seq, "its fingerprint is not that of its key");
	if (c->key && strcmp(c->key, c->fingerprint) != 0) {
		c->other_keys++;
		check_tell(c, true, "record %" PRId64 ": signed by key %s, not "
		    "by %s", seq, c->fingerprint, c->key);
	}
}

/* NULL, or why no key that is recorded before size signed it. */
static const char *check_note(struct check_tree *t, int64_t size,
    struct span note, struct checkpoint *cp)
{
	const char *why = "no key of the case signed it";

	for (size_t i = t->nkeys; i-- > 0;) {
		const char *r;

		if (t->keys[i].seq >= size)
			continue;
		r = note_check(&t->keys[i].key, note, cp);
		if (!r)
			return NULL;
		if (i + 1 == t->nkeys)
			why = r;
	}
	return why;
}

/* --- heads ----------------------------------------------------------------- */

static void next_head(struct check_tree *t)
{
	t->head_row = check_step(t->c, t->head);
	t->head_size = t->head_row ? sqlite3_column_int64(t->head, 0) :
	    INT64_MAX;
}

/* Heads that cover exactly what is in the tree so far. */
static void check_heads(struct check_tree *t)
{
	int64_t size = (int64_t)t->tiles.size;

	while (t->head_size <= size) {
		int64_t at = t->head_size;
		struct hash root = tile_root(&t->tiles);
		const char *stated = (const char *)
		    sqlite3_column_text(t->head, 1), *why;
		struct checkpoint cp = { 0 };
		char hex[65], noted[65];

		hex_of(root.b, 32, hex);
		t->c->checkpoints++;
		if (at != size || !stated || strcmp(stated, hex) != 0)
			check_tell(t->c, true, "checkpoint %" PRId64 ": its "
			    "root is not that of records 0 to %" PRId64, at,
			    at - 1);
		why = check_note(t, at, blob(t->head, 2), &cp);
		if (!why && (cp.size != (uint64_t)at || strcmp(
		    hex_of(cp.root.b, 32, noted), stated ? stated : "") != 0))
			why = "its note is about another size or root";
		if (!why && strcmp(cp.origin, t->origin) != 0)
			why = "its note is of another case";
		if (why)
			check_tell(t->c, true, "checkpoint %" PRId64 ": %s", at,
			    why);
		next_head(t);
	}
}

/* --- a checkpoint seen earlier ---------------------------------------------- */

static int read_seen(struct check_tree *t)
{
	FILE *f = fopen(t->c->seen, "rb");
	char safe[200];
	const char *why;

	log_safe(span_str(t->c->seen), safe, sizeof(safe));
	if (!f) {
		log_warn("%s: %s", safe, strerror(errno));
		return -1;
	}
	t->seen_n = fread(t->seen, 1, sizeof(t->seen), f);
	fclose(f);
	why = t->seen_n > NOTE_MAX ? "it is too long" :
	    note_read(span_of(t->seen, t->seen_n), &t->seen_is);
	if (!why)
		return 0;
	log_warn("%s: no signed checkpoint: %s", safe, why);
	return -1;
}

static void meet_seen(struct check_tree *t)
{
	struct hash root = tile_root(&t->tiles);

	t->seen_met = true;
	t->seen_other = memcmp(root.b, t->seen_is.root.b, 32) != 0;
	if (t->seen_other)
		check_tell(t->c, true, "the checkpoint seen earlier is of "
		    "other records than the first %" PRIu64 " of this case: "
		    "the case was rewritten since", t->seen_is.size);
}

static void meet_head(struct check_tree *t)
{
	struct hash root = tile_root(&t->tiles);

	t->head_met = true;
	t->head_other = memcmp(root.b, t->last.is.root.b, 32) != 0;
}

static void end_seen(struct check_tree *t)
{
	struct check *c = t->c;
	struct checkpoint cp;
	char safe[NOTE_NAME_MAX * 4];
	const char *why;

	if (strcmp(t->seen_is.origin, t->origin) != 0) {
		check_tell(c, true, "the checkpoint seen earlier is of another "
		    "case (%s)", log_safe(span_str(t->seen_is.origin), safe,
		    sizeof(safe)));
		return;
	}
	why = check_note(t, INT64_MAX, span_of(t->seen, t->seen_n), &cp);
	if (why)
		check_tell(c, true, "the checkpoint seen earlier: %s", why);
	if (!t->seen_met)
		check_tell(c, true, "the checkpoint seen earlier covers %"
		    PRIu64 " records, this case holds %" PRIu64 ": it was cut "
		    "back since", t->seen_is.size, t->tiles.size);
	c->extends = t->seen_met && !t->seen_other && !why;
	c->seen_size = (int64_t)t->seen_is.size;
}

/* --- leaves ---------------------------------------------------------------- */

static sqlite3_stmt *tile_at(struct check_tree *t, unsigned level, uint64_t n)
{
	sqlite3_reset(t->tile);
	sqlite3_bind_int(t->tile, 1, (int)level);
	sqlite3_bind_int64(t->tile, 2, (int64_t)n);
	return check_step(t->c, t->tile) ? t->tile : NULL;
}

/* A full tile of the tree, against the stored one. */
static int hold_tile(void *ctx, unsigned level, uint64_t n,
    const struct hash hashes[TILE])
{
	struct check_tree *t = ctx;
	struct span s;

	if (!tile_at(t, level, n)) {
		check_tell(t->c, true, "tile %u/%" PRIu64 ": missing", level,
		    n);
		return 0;
	}
	s = blob(t->tile, 0);
	t->c->tiles++;
	if (s.n == TILE * 32 && memcmp(s.p, hashes, TILE * 32) == 0)
		return 0;
	for (size_t i = 0; i < TILE; i++) {
		if (s.n == TILE * 32 && memcmp(s.p + 32 * i, hashes[i].b, 32) ==
		    0)
			continue;
		if (level == 0)
			check_wrong(t->c, (int64_t)(n * TILE + i),
			    "is not the one its tile committed to");
		else
			check_tell(t->c, true, "tile %u/%" PRIu64 ": entry %zu "
			    "is not the root of its records", level, n, i);
	}
	return 0;
}

void check_tree_leaf(struct check_tree *t, const struct hash *leaf)
{
	if (t->head_size <= (int64_t)t->tiles.size)
		check_heads(t);
	if (t->seen_n && t->seen_is.size == t->tiles.size && !t->seen_met)
		meet_seen(t);
	if (t->last.reads && t->last.is.size == t->tiles.size && !t->head_met)
		meet_head(t);
	tile_add(&t->tiles, leaf, hold_tile, t);
}

/* Leaves of a last tile that is not full come from their records. */
static bool leaf_of_record(struct check_tree *t, int64_t seq,
    sqlite3_stmt *line, struct hash *out)
{
	if (!check_ask(t->c, line, seq))
		return false;
	*out = merkle_leaf(sqlite3_column_text(line, 0),
	    (size_t)sqlite3_column_bytes(line, 0));
	return true;
}

bool check_tree_prefix(struct check_tree *t)
{
	sqlite3_stmt *line = check_query(t->c, t->db, "SELECT " RECORD_LINE
	    " FROM record WHERE seq=?1");
	struct hash leaf[TILE], own;
	size_t key = 0;
	bool ok = true;

	for (int64_t at = 0; ok && at < t->c->from; at += TILE) {
		int64_t n = t->c->from - at < (int64_t)TILE ? t->c->from - at :
		    (int64_t)TILE;

		if (tile_at(t, 0, (uint64_t)at / TILE) &&
		    sqlite3_column_bytes(t->tile, 0) == TILE * 32)
			memcpy(leaf, sqlite3_column_blob(t->tile, 0),
			    TILE * 32);
		else
			for (int64_t i = 0; ok && i < n; i++)
				ok = leaf_of_record(t, at + i, line, &leaf[i]);
		for (; key < t->nkeys && ok && t->keys[key].seq < at + n; key++)
			if (!leaf_of_record(t, t->keys[key].seq, line, &own) ||
			    memcmp(&own, &leaf[t->keys[key].seq - at],
			    sizeof(own)) != 0)
				check_wrong(t->c, t->keys[key].seq, "is not "
				    "the one its tile committed to");
		for (int64_t i = 0; ok && i < n; i++)
			check_tree_leaf(t, &leaf[i]);
	}
	sqlite3_finalize(line);
	if (!ok)
		check_tell(t->c, true, "the leaves of the first %" PRId64
		    " records are not all there", t->c->from);
	return ok;
}

/* --- the end --------------------------------------------------------------- */

/* A checkpoint of the case, which goes on behind an end: a stamp or an erasure
 * was cut short before it could write the newest one out. */
static bool is_earlier(struct check_tree *t, struct span note)
{
	sqlite3_stmt *s = check_query(t->c, t->db, "SELECT 1 FROM checkpoint "
	    "WHERE CAST(note AS BLOB) = ?1 AND (SELECT kind FROM record "
	    "ORDER BY seq DESC LIMIT 1) <> 'end'");
	bool is;

	if (s)
		sqlite3_bind_blob(s, 1, note.p, (int)note.n, SQLITE_STATIC);
	is = check_step(t->c, s);
	sqlite3_finalize(s);
	return is;
}

/* What wrote last was cut short before it sealed the case, if only by the moment
 * between its last commit and checkpoint.txt; or it still writes. */
static bool is_open(struct check_tree *t)
{
	sqlite3_stmt *s = check_query(t->c, t->db, "PRAGMA journal_mode");
	bool is = check_step(t->c, s) && strcmp((const char *)
	    sqlite3_column_text(s, 0), "wal") == 0;

	sqlite3_finalize(s);
	return is || !casedir_sealed(sqlite3_db_filename(t->db, NULL));
}

/* checkpoint.txt against the newest note of the ledger. */
static void check_last(struct check_tree *t, struct span newest, bool unended)
{
	const char *cut = unended ? "the last run did not end" : is_open(t) ?
	    "the case was not sealed" : NULL;
	const struct lasthead *h = &t->last;
	struct span now = span_of(h->note, h->n);
	struct check *c = t->c;

	if (!h->there)
		check_tell(c, !cut, "checkpoint.txt: not there%s%s", cut ?
		    "; " : ", or no regular file", cut ? cut : "");
	else if (lasthead_lost(h, c->case_id, (int64_t)t->tiles.size))
		check_tell(c, true, "checkpoint.txt is signed for %" PRIu64
		    " records%s, evidence.db holds %" PRIu64 ": records were "
		    "lost or cut", h->is.size, strcmp(h->is.origin,
		    t->origin) == 0 ? "" : " of another case",
		    t->tiles.size);
	else if (h->reads && t->head_other)
		check_tell(c, true, "checkpoint.txt is of other records than "
		    "the first %" PRIu64, h->is.size);
	else if (span_eq(now, newest))
		return;
	else if (cut)
		check_tell(c, false, "checkpoint.txt is of an earlier moment; "
		    "%s", cut);
	else if (is_earlier(t, now))
		check_tell(c, false, "checkpoint.txt is of an earlier moment; "
		    "what was added behind the end was cut short");
	else
		check_tell(c, true, "checkpoint.txt is not the newest "
		    "checkpoint");
}

/* The newest head covers everything, and is the one in checkpoint.txt. */
static void check_newest(struct check_tree *t, bool unended)
{
	struct check *c = t->c;
	sqlite3_stmt *s = check_query(c, t->db, "SELECT size, note, (SELECT "
	    "count(*) FROM tile) FROM checkpoint ORDER BY size DESC LIMIT 1");
	bool any = check_step(c, s);

	if (!any)
		check_tell(c, true, "no checkpoint: nothing signs this case");
	if (any && sqlite3_column_int64(s, 0) != (int64_t)t->tiles.size)
		check_tell(c, true, "the newest checkpoint covers %lld of %"
		    PRIu64 " records", (long long)sqlite3_column_int64(s, 0),
		    t->tiles.size);
	if (any && sqlite3_column_int64(s, 2) != c->tiles)
		check_tell(c, true, "%lld tiles are stored, %" PRId64 " follow "
		    "from the records", (long long)sqlite3_column_int64(s, 2),
		    c->tiles);
	check_last(t, any ? blob(s, 1) : (struct span){ 0 }, unended);
	sqlite3_finalize(s);
}

void check_tree_end(struct check_tree *t, bool unended)
{
	struct check *c = t->c;
	struct hash root = tile_root(&t->tiles);

	check_heads(t);
	if (t->seen_n && t->seen_is.size == t->tiles.size && !t->seen_met)
		meet_seen(t);
	if (t->last.reads && t->last.is.size == t->tiles.size && !t->head_met)
		meet_head(t);
	for (; t->head_row; next_head(t))
		check_tell(c, true, "checkpoint %" PRId64 ": covers more "
		    "records than there are (%" PRIu64 ")", t->head_size,
		    t->tiles.size);
	hex_of(root.b, 32, c->root);
	if (t->nkeys == 0)
		check_tell(c, true, "no key is recorded, so no checkpoint can "
		    "be checked");
	check_newest(t, unended);
	if (t->seen_n)
		end_seen(t);
}

struct check_tree *check_tree_new(struct check *c, sqlite3 *db,
    const struct lasthead *head)
{
	struct check_tree *t = calloc(1, sizeof(*t));

	if (!t)
		log_die("out of memory");
	t->c = c;
	t->db = db;
	t->last = *head;
	snprintf(t->origin, sizeof(t->origin), "swarmwitness/%s", c->case_id);
	tile_init(&t->tiles);
	if (c->seen && read_seen(t) < 0) {
		check_tree_free(t);
		return NULL;
	}
	t->tile = check_query(c, db, "SELECT hashes FROM tile WHERE level=?1 "
	    "AND n=?2");
	t->head = check_query(c, db, "SELECT size, root, note FROM checkpoint "
	    "ORDER BY size");
	next_head(t);
	return t;
}

void check_tree_free(struct check_tree *t)
{
	if (!t)
		return;
	sqlite3_finalize(t->tile);
	sqlite3_finalize(t->head);
	free(t->keys);
	free(t);
}
