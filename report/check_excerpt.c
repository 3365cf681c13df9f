#include "report/check_excerpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "report/check_stream.h"
#include "report/check_subject.h"
#include "schema/casedir.h"
#include "schema/index.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/note.h"
#include "schema/record.h"

struct excerpt_check {
	struct check *c;
	sqlite3 *db;
	sqlite3_stmt *proof, *gone, *omitted, *raw;
	char ip[ENDPOINT_IP_MAX];
	uint64_t size;
	struct hash root;
	int64_t proofs;		/* used */
	struct seqs mine, asked;	/* its records; announces asked about */
	size_t at_mine, at_asked;
};

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

bool check_is_excerpt(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	bool is = sqlite3_prepare_v2(db, "SELECT 1 FROM meta WHERE "
	    "name = 'excerpt'", -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	return is;
}

/* --- the checkpoint ------------------------------------------------------------ */

/* NULL, or why no key of the excerpt signed the note. */
static const char *signed_by(struct check *c, sqlite3 *db, struct span note)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT seq, json_extract(detail,"
	    "'$.vkey') FROM record WHERE kind = 'key' AND json_valid(detail) "
	    "ORDER BY seq");
	const char *why = "no key of the case signed it", *fault;
	char seen[65];

	while (check_step(c, s)) {
		struct note_key k = { 0 };
		struct checkpoint cp;

		c->keys++;
		if (!text(s, 1) || !note_vkey_read(text(s, 1), &k)) {
			check_wrong(c, sqlite3_column_int64(s, 0), "its vkey is "
			    "not a verifier key");
			continue;
		}
		note_fingerprint(&k, seen);
		fault = note_check(&k, note, &cp);
		if (fault == NULL) {
			why = NULL;
			memcpy(c->fingerprint, seen, sizeof(seen));
		}
		if (c->key && strcmp(c->key, seen) != 0) {
			c->other_keys++;
			check_tell(c, true, "record %lld: signed by key %s, not "
			    "by %s", (long long)sqlite3_column_int64(s, 0),
			    seen, c->key);
		}
	}
	sqlite3_finalize(s);
	return why;
}

static void check_txt(struct check *c, const char *path, struct span note)
{
	char *file, now[NOTE_MAX + 1];
	ssize_t n;

	if (asprintf(&file, "%s/checkpoint.txt", path) < 0)
		log_die("out of memory");
	n = casedir_slurp(file, now, sizeof(now));
	if (n < 0 || !span_eq(span_of(now, (size_t)n), note))
		check_tell(c, true, "checkpoint.txt is not the checkpoint");
	free(file);
}

/* Its size and root are what all else is held against. */
static bool check_checkpoint(struct excerpt_check *x, const char *path)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT size, root, note "
	    "FROM checkpoint");
	char origin[64], hex[65];
	const char *why;
	struct checkpoint cp;
	struct span note;
	bool ok = false;

	if (!check_step(x->c, s)) {
		check_tell(x->c, true, "no checkpoint: nothing signs it");
		goto out;
	}
	note = span_of(sqlite3_column_text(s, 2),
	    (size_t)sqlite3_column_bytes(s, 2));
	snprintf(origin, sizeof(origin), "swarmwitness/%s", x->c->case_id);
	why = note_read(note, &cp);
	if (!why) {
		ok = true;
		x->size = cp.size;
		x->root = cp.root;
		why = signed_by(x->c, x->db, note);
		hex_of(cp.root.b, sizeof(cp.root.b), hex);
		memcpy(x->c->root, hex, sizeof(hex));
		if (!why && (strcmp(cp.origin, origin) != 0 || cp.size !=
		    (uint64_t)sqlite3_column_int64(s, 0) || !text(s, 1) ||
		    strcmp(text(s, 1), hex) != 0))
			why = "it is of another case, size or root";
	}
	if (why)
		check_tell(x->c, true, "the checkpoint: %s", why);
	check_txt(x->c, path, note);
	x->c->checkpoints++;
	if (check_step(x->c, s))
		check_tell(x->c, true, "it has more checkpoints than one");
out:
	sqlite3_finalize(s);
	return ok;
}

/* --- proofs --------------------------------------------------------------------- */

/* Whether the leaf is the index-th of a tree of size, by the path kept for
 * (seq, n); n -1: the record itself. */
static bool proved(struct excerpt_check *x, int64_t seq, int64_t n,
    const struct hash *leaf, uint64_t index, uint64_t size,
    const struct hash *root)
{
	sqlite3_stmt *s = x->proof;
	struct hash path[64];
	int bytes;

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_int64(s, 2, n);
	if (!check_step(x->c, s))
		return false;
	x->proofs++;
	bytes = sqlite3_column_bytes(s, 0);
	if (bytes % 32 || bytes > (int)sizeof(path))
		return false;
	if (bytes)
		memcpy(path, sqlite3_column_blob(s, 0), (size_t)bytes);
	return merkle_check_inclusion(leaf, index, size, path,
	    (size_t)bytes / 32, root);
}

static void prove_record(struct excerpt_check *x, int64_t seq,
    const struct hash *leaf)
{
	if (seq < 0 || !proved(x, seq, -1, leaf, (uint64_t)seq, x->size,
	    &x->root))
		check_wrong(x->c, seq, "is not in the tree by the path it has");
}

static bool looked_up(struct excerpt_check *x, sqlite3_stmt *s, int64_t seq,
    const char *what)
{
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_text(s, 2, what, -1, SQLITE_STATIC);
	return check_step(x->c, s);
}

/* Leaves that stand for records that are not here. */
static void check_leaves(struct excerpt_check *x)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT seq, hash, 0 FROM "
	    "gone WHERE what = 'record' UNION ALL SELECT seq, sha256, 1 FROM "
	    "omitted WHERE what = 'record'");
	struct hash leaf;

	while (check_step(x->c, s)) {
		int64_t seq = sqlite3_column_int64(s, 0);
		bool hex = sqlite3_column_int(s, 2) != 0;

		x->c->erased += !hex;
		x->c->omitted += hex;
		if (hex ? !text(s, 1) || !hex_read(span_str(text(s, 1)),
		    leaf.b, 32) : sqlite3_column_bytes(s, 1) != 32) {
			check_wrong(x->c, seq, "is left out without its leaf");
			continue;
		}
		if (!hex)
			memcpy(leaf.b, sqlite3_column_blob(s, 1), 32);
		prove_record(x, seq, &leaf);
	}
	sqlite3_finalize(s);
}

/* --- records ---------------------------------------------------------------------- */

static bool in(const struct seqs *s, size_t *at, int64_t seq)
{
	while (*at < s->n && s->seq[*at] < seq)
		++*at;
	return *at < s->n && s->seq[*at] == seq;
}

static void check_raw(struct excerpt_check *x, int64_t seq, const char *kind,
    const char *digest)
{
	sqlite3_stmt *s = x->raw;
	uint8_t sum[32];
	char hex[65];

	if (check_ask(x->c, s, seq)) {
		size_t n = (size_t)sqlite3_column_bytes(s, 0);
		const void *p = sqlite3_column_blob(s, 0);

		SHA256(n ? p : (const void *)"", n, sum);
		x->c->raws++;
		x->c->raw_bytes += (int64_t)n;
		if (!digest || strcmp(hex_of(sum, 32, hex), digest) != 0)
			check_wrong(x->c, seq, "its raw bytes do not give its "
			    "raw_sha256");
		return;
	}
	if (!digest || strcmp(kind, "piece") == 0 ||
	    strcmp(kind, "packets") == 0)
		return;
	if (looked_up(x, x->omitted, seq, "raw")) {
		if (!text(x->omitted, 0) ||
		    strcmp(text(x->omitted, 0), digest) != 0)
			check_wrong(x->c, seq, "another digest stands for its "
			    "raw bytes");
	} else if (!looked_up(x, x->gone, seq, "raw")) {
		check_wrong(x->c, seq, "its raw bytes are missing");
	}
}

static void check_records(struct excerpt_check *x)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT seq, kind, "
	    "conn IS NOT NULL, ip, raw_sha256, " RECORD_LINE ", "
	    "length(CAST(kind AS BLOB)) = length(kind) AND "
	    "length(CAST(detail AS BLOB)) = length(detail) AND "
	    "length(CAST(salt AS BLOB)) = length(salt) AND "
	    "length(CAST(coalesce(swarm, '') AS BLOB)) = "
	    "length(coalesce(swarm, '')) AND "
	    "length(CAST(coalesce(ip, '') AS BLOB)) = "
	    "length(coalesce(ip, '')) AND "
	    "length(CAST(coalesce(raw_sha256, '') AS BLOB)) = "
	    "length(coalesce(raw_sha256, '')) FROM record ORDER BY seq");

	while (check_step(x->c, s)) {
		int64_t seq = sqlite3_column_int64(s, 0);
		const char *kind = text(s, 1);
		struct hash leaf;

		x->c->records++;
		/* quote() and length() stop at a NUL. */
		if (!kind || !sqlite3_column_int(s, 6) ||
		    sqlite3_column_bytes(s, 5) == 0) {
			check_wrong(x->c, seq, "is not printable ASCII");
			continue;
		}
		leaf = merkle_leaf(sqlite3_column_text(s, 5),
		    (size_t)sqlite3_column_bytes(s, 5));
		prove_record(x, seq, &leaf);
		x->c->erasures += strcmp(kind, "erased") == 0;
		x->c->runs += strcmp(kind, "run") == 0;
		x->c->ended += strcmp(kind, "end") == 0;
		check_raw(x, seq, kind, text(s, 4));
		if (!indexer_is_common(kind, sqlite3_column_int(s, 2) != 0,
		    text(s, 3) != NULL) && !in(&x->mine, &x->at_mine, seq) &&
		    !(strcmp(kind, "announce") == 0 &&
		    in(&x->asked, &x->at_asked, seq)))
			check_wrong(x->c, seq, "is not of this address, nor "
			    "about the run");
	}
	sqlite3_finalize(s);
}

static void check_named(struct excerpt_check *x)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT n.seq, n.n, n.ip, "
	    "quote(n.seq)||','||quote(n.n)||','||quote(n.ip)||','||"
	    "quote(n.port)||','||quote(n.salt), json_extract(r.detail, "
	    "'$.named'), json_extract(r.detail, '$.named_root'), "
	    "length(CAST(n.ip AS BLOB)) = length(n.ip) AND "
	    "length(CAST(n.salt AS BLOB)) = length(n.salt) FROM named AS n "
	    "LEFT JOIN record AS r ON r.seq = n.seq AND json_valid(r.detail)");

	while (check_step(x->c, s)) {
		int64_t seq = sqlite3_column_int64(s, 0);
		struct hash leaf = merkle_leaf(sqlite3_column_text(s, 3),
		    (size_t)sqlite3_column_bytes(s, 3)), root;

		x->c->names++;
		if (!text(s, 2) || strcmp(text(s, 2), x->ip) != 0)
			check_wrong(x->c, seq, "an endpoint of another address "
			    "is shown of it");
		if (!text(s, 5) || !sqlite3_column_int(s, 6) ||
		    !hex_read(span_str(text(s, 5)), root.b, 32) ||
		    sqlite3_column_int64(s, 1) < 0 ||
		    !proved(x, seq, sqlite3_column_int64(s, 1), &leaf,
		    (uint64_t)sqlite3_column_int64(s, 1),
		    (uint64_t)sqlite3_column_int64(s, 4), &root))
			check_wrong(x->c, seq, "an endpoint is not one that it "
			    "names");
	}
	sqlite3_finalize(s);
}

static void find_asked(struct excerpt_check *x)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT DISTINCT "
	    "json_extract(detail, '$.announce') AS a FROM record WHERE "
	    "kind = 'listed' AND json_valid(detail) AND "
	    "typeof(a) = 'integer'");

	while (check_step(x->c, s))
		seqs_add(&x->asked, sqlite3_column_int64(s, 0));
	sqlite3_finalize(s);
	seqs_sort(&x->asked);
}

/* --- all of it ------------------------------------------------------------------- */

/* Rows that nothing above asked for. */
static void check_strays(struct excerpt_check *x)
{
	static const char *const none[][2] = {
		{ "SELECT count(*) FROM raw WHERE seq NOT IN (SELECT seq FROM "
		    "record)", "raw rows belong to no record" },
		{ "SELECT count(*) FROM tile", "tiles, which no excerpt has" },
		{ "SELECT count(*) FROM gone AS g JOIN record AS r ON "
		    "r.seq = g.seq WHERE what = 'record'",
		    "records said to be erased, and here" },
		{ "SELECT count(*) FROM omitted AS o JOIN record AS r ON "
		    "r.seq = o.seq WHERE what = 'record'",
		    "records said to be left out, and here" },
		{ "SELECT count(*) FROM gone AS g LEFT JOIN record AS r ON "
		    "r.seq = g.erased AND r.kind = 'erased' WHERE "
		    "r.seq IS NULL", "erasures that no record names" } };
	sqlite3_stmt *s;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		s = check_query(x->c, x->db, none[i][0]);
		if (check_step(x->c, s) && sqlite3_column_int64(s, 0))
			check_tell(x->c, true, "%lld %s",
			    (long long)sqlite3_column_int64(s, 0), none[i][1]);
		sqlite3_finalize(s);
	}
	s = check_query(x->c, x->db, "SELECT count(*) FROM proof");
	if (check_step(x->c, s) && sqlite3_column_int64(s, 0) != x->proofs)
		check_tell(x->c, true, "paths of what is not here");
	sqlite3_finalize(s);
}

void check_excerpt(struct check *c, sqlite3 *db, const char *path)
{
	struct excerpt_check x = { .c = c, .db = db };

	if (c->from || c->seen || c->key_log)
		check_tell(c, true, "an excerpt shows nothing of --from, "
		    "--checkpoint or --key-log: they are for whole cases");
	x.proof = check_query(c, db, "SELECT path FROM proof WHERE seq = ?1 "
	    "AND coalesce(n, -1) = ?2");
	x.gone = check_query(c, db, "SELECT hash FROM gone WHERE seq = ?1 AND "
	    "what = ?2");
	x.omitted = check_query(c, db, "SELECT sha256 FROM omitted WHERE "
	    "seq = ?1 AND what = ?2");
	x.raw = check_query(c, db, "SELECT bytes FROM raw WHERE seq = ?1");
	if (x.proof && x.gone && x.omitted && x.raw &&
	    check_checkpoint(&x, path)) {
		check_subjects(c, db, (int64_t)x.size, x.ip, &x.mine);
		find_asked(&x);
		check_records(&x);
		check_leaves(&x);
		check_named(&x);
		check_strays(&x);
		check_streams(c, db, path, x.ip);
	}
	sqlite3_finalize(x.proof);
	sqlite3_finalize(x.gone);
	sqlite3_finalize(x.omitted);
	sqlite3_finalize(x.raw);
	seqs_free(&x.mine);
	seqs_free(&x.asked);
}
