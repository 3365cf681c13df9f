#include "report/check.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/check_index.h"
#include "report/checkpart.h"
#include "schema/casedir.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/record.h"

#define LEVELS 8		/* 256^8 leaves: more than seq can count */
#define KEYS_MAX 4096
#define SAMELY_MAX 100		/* lines told of one kind of fault */
#define UTC_GONE INT64_MIN	/* of a record erased */

/* What one walk holds. */
struct walk {
	struct check *c;
	const char *path;
	sqlite3 *db;
	sqlite3_stmt *record, *raw, *named, *tile, *head, *previous;
	bool raw_row, named_row, head_row;
	struct check_index *index;
	struct merkle tree;
	struct hash filled[LEVELS][256];	/* the tile being filled, by level */
	uint64_t fills[LEVELS];			/* hashes seen, by level */
	struct known_key {
		struct note_key key;
		int64_t seq;	/* it counts from its own record on */
	} *keys;
	size_t nkeys;
	char *line;
	size_t room;
	struct hash *names;
	size_t names_room;
	int64_t run_open;	/* seq of the run not yet ended, -1 */
	int64_t last_utc_ns;	/* of the record before */
	int64_t run_last;	/* seq of the newest run, ended or not, -1 */
};

void check_tell(struct check *c, bool wrong, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (wrong)
		c->wrongs++;
	if (c->tell)
		c->tell(c->ctx, wrong, text);
}

#define tell(w, wrong, ...) check_tell((w)->c, wrong, __VA_ARGS__)

void check_wrong(struct check *c, int64_t seq, const char *what)
{
	if (c->bad_record < 0 || seq < c->bad_record)
		c->bad_record = seq;
	if (c->told++ < SAMELY_MAX) {
		check_tell(c, true, "record %" PRId64 ": %s", seq, what);
		return;
	}
	if (c->told == SAMELY_MAX + 1)
		check_tell(c, false, "more records are wrong; not all are "
		    "listed");
	c->wrongs++;
}

static void wrong_record(struct walk *w, int64_t seq, const char *what)
{
	check_wrong(w->c, seq, what);
}

sqlite3_stmt *check_query(struct check *c, sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK)
		return s;
	check_tell(c, true, "evidence.db: %s", sqlite3_errmsg(db));
	return NULL;
}

bool check_step(struct check *c, sqlite3_stmt *s)
{
	int r = s ? sqlite3_step(s) : SQLITE_DONE;

	if (r == SQLITE_ROW)
		return true;
	if (r != SQLITE_DONE)
		check_tell(c, true, "evidence.db cannot be read: %s",
		    sqlite3_errmsg(sqlite3_db_handle(s)));
	return false;
}

static sqlite3_stmt *query(struct walk *w, const char *sql)
{
	return check_query(w->c, w->db, sql);
}

static bool step(struct walk *w, sqlite3_stmt *s)
{
	return check_step(w->c, s);
}

static struct span blob(sqlite3_stmt *s, int col)
{
	const void *p = sqlite3_column_blob(s, col);

	return span_of(p, (size_t)sqlite3_column_bytes(s, col));
}

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

static void put_utc(char out[40], int64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03dZ", (int)(ns % 1000000000 / 1000000));
}

/* --- keys ------------------------------------------------------------------- */

static void load_keys(struct walk *w, const char *fingerprint)
{
	sqlite3_stmt *s = query(w, "SELECT seq, json_extract(detail,'$.vkey'), "
	    "json_extract(detail,'$.fingerprint') FROM record "
	    "WHERE kind='key' AND json_valid(detail) ORDER BY seq");

	w->c->all_keys_match = true;
	while (step(w, s) && w->nkeys < KEYS_MAX) {
		struct known_key *more = realloc(w->keys,
		    (w->nkeys + 1) * sizeof(*more));
		int64_t seq = sqlite3_column_int64(s, 0);
		struct note_key k = { 0 };
		const char *vkey = text(s, 1), *stated = text(s, 2);

		if (!more)
			log_die("out of memory");
		w->keys = more;
		if (!vkey || !note_vkey_read(vkey, &k)) {
			wrong_record(w, seq, "its vkey is not a verifier key");
			continue;
		}
		w->keys[w->nkeys++] = (struct known_key){ k, seq };
		note_fingerprint(&k, w->c->fingerprint);
		if (!stated || strcmp(stated, w->c->fingerprint) != 0)
			wrong_record(w, seq, "its fingerprint is not that of "
			    "its key");
		if (fingerprint && strcmp(fingerprint, w->c->fingerprint) != 0) {
			w->c->all_keys_match = false;
			tell(w, true, "record %" PRId64 ": signed by key %s, "
			    "not by %s", seq, w->c->fingerprint, fingerprint);
		}
	}
	sqlite3_finalize(s);
	w->c->keys = (int64_t)w->nkeys;
	if (w->nkeys == 0)
		tell(w, true, "no key is recorded, so no checkpoint can be "
		    "checked");
}

/* --- one record ------------------------------------------------------------ */

static const char *const columns[] = { "kind", "swarm", "ip", "detail",
	"raw_sha256", "salt" };
static const int text_column[] = { 3, 4, 6, 8, 9, 10 };

/* NULL, or what is wrong with the text of a column. */
static const char *bad_text(sqlite3_stmt *s)
{
	static _Thread_local char what[64];

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const char *t = text(s, text_column[i]);
		size_t n = (size_t)sqlite3_column_bytes(s, text_column[i]);

		for (size_t k = 0; t && k < n; k++)
			if (t[k] < ' ' || t[k] > '~') {
				snprintf(what, sizeof(what),
				    "%s is not printable ASCII", columns[i]);
				return what;
			}
	}
	return NULL;
}

static void hex_digest(struct span bytes, char out[65])
{
	uint8_t d[32];

	SHA256(bytes.p, bytes.n, d);
	hex_of(d, 32, out);
}

static void check_raw(struct walk *w, int64_t seq, const char *kind,
    const char *digest)
{
	bool kept_elsewhere = strcmp(kind, "piece") == 0 ||
	    strcmp(kind, "packets") == 0;
	char hex[65];

	while (w->raw_row && sqlite3_column_int64(w->raw, 0) < seq) {
		tell(w, true, "raw %lld: belongs to no record",
		    (long long)sqlite3_column_int64(w->raw, 0));
		w->raw_row = step(w, w->raw);
	}
	if (!w->raw_row || sqlite3_column_int64(w->raw, 0) != seq) {
		if (digest && !kept_elsewhere &&
		    !check_erased_raw(w->index, seq))
			wrong_record(w, seq, "its raw bytes are missing");
		return;
	}
	if (!digest || kept_elsewhere) {
		wrong_record(w, seq, "has raw bytes that it does not state");
	} else {
		hex_digest(blob(w->raw, 1), hex);
		if (strcmp(hex, digest) != 0)
			wrong_record(w, seq, "its raw bytes do not give its "
			    "raw_sha256");
	}
	w->c->raws++;
	w->c->raw_bytes += sqlite3_column_bytes(w->raw, 1);
	w->raw_row = step(w, w->raw);
}

static struct hash named_leaf(sqlite3_stmt *s, bool *ascii)
{
	char line[256];
	const char *ip = text(s, 2), *salt = text(s, 4);
	int n = snprintf(line, sizeof(line), "%lld,%lld,'%s',%lld,'%s'",
	    (long long)sqlite3_column_int64(s, 0),
	    (long long)sqlite3_column_int64(s, 1), ip ? ip : "",
	    (long long)sqlite3_column_int64(s, 3), salt ? salt : "");

	/* quote() would double a quote; neither column may hold one. */
	*ascii = n > 0 && (size_t)n < sizeof(line) && ip && salt &&
	    !strchr(ip, '\'') && !strchr(salt, '\'');
	return merkle_leaf(line, *ascii ? (size_t)n : 0);
}

static struct hash *next_name(struct walk *w, size_t *count)
{
	if (*count == w->names_room) {
		w->names_room = w->names_room ? w->names_room * 2 : 256;
		w->names = realloc(w->names, w->names_room * sizeof(*w->names));
		if (!w->names)
			log_die("out of memory");
	}
	return &w->names[(*count)++];
}

/* The endpoints a record names, against the count and root at the end of its
 * detail. */
static void check_named(struct walk *w, int64_t seq, const char *detail)
{
	size_t count = 0, n = detail ? strlen(detail) : 0;
	char want[128], root[65];
	struct hash h;
	bool ok = true, fine;

	while (w->named_row && sqlite3_column_int64(w->named, 0) < seq) {
		tell(w, true, "named %lld: belongs to no record",
		    (long long)sqlite3_column_int64(w->named, 0));
		w->named_row = step(w, w->named);
	}
	while (w->named_row && sqlite3_column_int64(w->named, 0) == seq) {
		if (check_erased_named(w->index, seq, (int64_t)count, &h)) {
			*next_name(w, &count) = h;
			continue;
		}
		ok = ok && sqlite3_column_int64(w->named, 1) == (int64_t)count;
		*next_name(w, &count) = named_leaf(w->named, &fine);
		ok = ok && fine;
		if (text(w->named, 2))
			check_index_name(w->index, text(w->named, 2));
		w->c->names++;
		w->named_row = step(w, w->named);
	}
	while (check_erased_named(w->index, seq, (int64_t)count, &h))
		*next_name(w, &count) = h;
	h = merkle_of(w->names, count);
	hex_of(h.b, 32, root);
	snprintf(want, sizeof(want), ",\"named\":%zu,\"named_root\":\"%s\"}",
	    count, root);
	if (count == 0 && (!detail || !strstr(detail, "\"named_root\":")))
		return;
	if (!ok || n < strlen(want) ||
	    strcmp(detail + n - strlen(want), want) != 0)
		wrong_record(w, seq, "the endpoints it names are not those of "
		    "its named_root");
}

/* --- the tree -------------------------------------------------------------- */

/* A hash at a level of the tiles: held against the stored tile when it is
 * full, then carried up. */
static void fill(struct walk *w, unsigned level, const struct hash *h)
{
	uint64_t n = w->fills[level]++;
	struct hash up;

	w->filled[level][n % 256] = *h;
	if (n % 256 != 255)
		return;
	sqlite3_reset(w->tile);
	sqlite3_bind_int(w->tile, 1, (int)level);
	sqlite3_bind_int64(w->tile, 2, (int64_t)(n / 256));
	if (!step(w, w->tile)) {
		tell(w, true, "tile %u/%" PRIu64 ": missing", level, n / 256);
	} else {
		struct span s = blob(w->tile, 0);

		w->c->tiles++;
		for (size_t i = 0; i < 256; i++) {
			if (s.n == 8192 && memcmp(s.p + 32 * i,
			    w->filled[level][i].b, 32) == 0)
				continue;
			if (level == 0)
				wrong_record(w, (int64_t)(n - 255 + i),
				    "is not the one its tile committed to");
			else
				tell(w, true, "tile %u/%" PRIu64 ": entry %zu "
				    "is not the root of its records", level,
				    n / 256, i);
		}
	}
	if (level + 1 < LEVELS) {
		up = merkle_of(w->filled[level], 256);
		fill(w, level + 1, &up);
	}
}

static const char *check_note(struct walk *w, int64_t size, struct span note,
    struct checkpoint *cp)
{
	const char *why = "no key of the case signed it";

	for (size_t i = w->nkeys; i-- > 0;) {
		const char *r;

		if (w->keys[i].seq >= size)
			continue;
		r = note_check(&w->keys[i].key, note, cp);

		if (!r)
			return NULL;
		if (i + 1 == w->nkeys)
			why = r;
	}
	return why;
}

/* Heads that cover exactly what has been walked so far. */
static void check_heads(struct walk *w)
{
	int64_t size = (int64_t)w->tree.size;

	while (w->head_row && sqlite3_column_int64(w->head, 0) <= size) {
		int64_t at = sqlite3_column_int64(w->head, 0);
		struct hash root = merkle_root(&w->tree);
		const char *stated = text(w->head, 1), *why;
		struct checkpoint cp = { 0 };
		char hex[65], origin[64];

		hex_of(root.b, 32, hex);
		snprintf(origin, sizeof(origin), "swarmwitness/%s",
		    w->c->case_id);
		w->c->checkpoints++;
		if (at == size && strcmp(stated ? stated : "", hex) != 0)
			tell(w, true, "checkpoint %" PRId64 ": its root is not "
			    "that of records 0 to %" PRId64, at, at - 1);
		why = check_note(w, at, blob(w->head, 2), &cp);
		if (!why && (cp.size != (uint64_t)at ||
		    strcmp(hex_of(cp.root.b, 32, hex), stated) != 0))
			why = "its note is about another size or root";
		if (!why && strcmp(cp.origin, origin) != 0)
			why = "its note is of another case";
		if (why)
			tell(w, true, "checkpoint %" PRId64 ": %s", at, why);
		w->head_row = step(w, w->head);
	}
}

/* --- the run's story -------------------------------------------------------- */

/* What a run says of the one before, against the ledger. */
static void check_previous(struct walk *w, int64_t seq)
{
	sqlite3_stmt *s = w->previous;

	if (!s)
		return;
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, seq);
	if (!step(w, s))
		return;
	if (w->run_last < 0 ? text(s, 0) != NULL :
	    sqlite3_column_type(s, 1) != SQLITE_INTEGER ||
	    sqlite3_column_int64(s, 1) != w->run_last ||
	    sqlite3_column_type(s, 2) != SQLITE_INTEGER ||
	    (sqlite3_column_int(s, 2) != 0) != (w->run_open < 0) ||
	    sqlite3_column_int64(s, 3) != seq ||
	    (w->last_utc_ns != UTC_GONE &&
	    sqlite3_column_int64(s, 4) != w->last_utc_ns))
		wrong_record(w, seq, "the run before is not as it says");
}

/* Kinds of later versions that may follow an `end`. */
static bool needs_run(const char *kind)
{
	return strcmp(kind, "stamp") != 0 && strcmp(kind, "index") != 0 &&
	    strcmp(kind, "erased") != 0;
}

static void follow_run(struct walk *w, int64_t seq, const char *kind)
{
	if (strcmp(kind, "run") == 0) {
		if (w->run_open >= 0)
			tell(w, false, "the run of record %" PRId64 " did not "
			    "end; the next begins at record %" PRId64,
			    w->run_open, seq);
		check_previous(w, seq);
		w->run_open = w->run_last = seq;
		w->c->runs++;
	} else if (w->run_open < 0) {
		if (needs_run(kind))
			wrong_record(w, seq, "belongs to no run");
	} else if (strcmp(kind, "end") == 0) {
		w->run_open = -1;
		w->c->ended++;
	}
}

static void walk_records(struct walk *w)
{
	int64_t next = 0;

	w->raw_row = step(w, w->raw);
	w->named_row = step(w, w->named);
	w->head_row = step(w, w->head);
	while (step(w, w->record)) {
		sqlite3_stmt *s = w->record;
		int64_t seq = sqlite3_column_int64(s, 0);
		const char *kind = text(s, 3), *detail = text(s, 8), *fault;
		size_t need = (size_t)sqlite3_column_bytes(s, 8) * 2 + 1024, n;
		struct hash leaf;

		for (; next < seq &&
		    check_erased_record(w->index, next, &leaf); next++) {
			check_heads(w);
			merkle_add(&w->tree, &leaf);
			fill(w, 0, &leaf);
			w->last_utc_ns = UTC_GONE;
		}
		if (seq != next)
			wrong_record(w, next, "is missing");
		next = seq + 1;
		if (need > w->room) {
			free(w->line);
			w->room = need;
			w->line = malloc(need);
			if (!w->line)
				log_die("out of memory");
		}
		fault = bad_text(s);
		if (fault)
			wrong_record(w, seq, fault);
		/* record_line writes these as NULL: no -1 may hide there; nor
		 * 2^32 in a port. integrity_check passes over CHECKs of a file
		 * that is opened for reading. */
		if ((sqlite3_column_type(s, 2) != SQLITE_NULL &&
		    sqlite3_column_int64(s, 2) < 0) ||
		    (sqlite3_column_type(s, 5) != SQLITE_NULL &&
		    sqlite3_column_int64(s, 5) < 0))
			wrong_record(w, seq, "mono_ns or conn is negative");
		if (sqlite3_column_type(s, 7) != SQLITE_NULL &&
		    (sqlite3_column_int64(s, 7) < 0 ||
		    sqlite3_column_int64(s, 7) > 65535))
			wrong_record(w, seq, "port is none");
		n = record_line(w->line, w->room, seq,
		    sqlite3_column_int64(s, 1),
		    sqlite3_column_type(s, 2) == SQLITE_NULL ? -1 :
		    sqlite3_column_int64(s, 2), kind ? kind : "", text(s, 4),
		    sqlite3_column_type(s, 5) == SQLITE_NULL ? CONN_NONE :
		    sqlite3_column_int64(s, 5), text(s, 6),
		    sqlite3_column_type(s, 7) == SQLITE_NULL ? -1 :
		    sqlite3_column_int(s, 7), detail ? detail : "",
		    text(s, 9), text(s, 10) ? text(s, 10) : "");
		leaf = merkle_leaf(w->line, n);
		check_heads(w);
		merkle_add(&w->tree, &leaf);
		fill(w, 0, &leaf);
		check_raw(w, seq, kind ? kind : "", text(s, 9));
		check_index_record(w->index, seq, sqlite3_column_int64(s, 1),
		    sqlite3_column_type(s, 5) == SQLITE_NULL ? -1 :
		    sqlite3_column_int64(s, 5), kind ? kind : "", text(s, 6),
		    detail ? detail : "");
		check_named(w, seq, detail);
		follow_run(w, seq, kind ? kind : "");
		if (w->c->records++ == 0)
			put_utc(w->c->first_utc, sqlite3_column_int64(s, 1));
		put_utc(w->c->last_utc, sqlite3_column_int64(s, 1));
		w->last_utc_ns = sqlite3_column_int64(s, 1);
	}
	check_heads(w);
	for (; w->head_row; w->head_row = step(w, w->head))
		tell(w, true, "checkpoint %lld: covers more records than there "
		    "are (%" PRId64 ")",
		    (long long)sqlite3_column_int64(w->head, 0), next);
	for (; w->raw_row; w->raw_row = step(w, w->raw))
		tell(w, true, "raw %lld: belongs to no record",
		    (long long)sqlite3_column_int64(w->raw, 0));
	for (; w->named_row; w->named_row = step(w, w->named))
		tell(w, true, "named %lld: belongs to no record",
		    (long long)sqlite3_column_int64(w->named, 0));
}

/* The newest head covers everything, and is the one in checkpoint.txt. */
static void check_newest(struct walk *w)
{
	sqlite3_stmt *s = query(w, "SELECT size, note, (SELECT count(*) FROM "
	    "tile) FROM checkpoint ORDER BY size DESC LIMIT 1");
	char *file = malloc(strlen(w->path) + 32), now[NOTE_MAX + 1];
	struct hash root = merkle_root(&w->tree);
	size_t n = 0;
	FILE *f;

	if (!file)
		log_die("out of memory");
	hex_of(root.b, 32, w->c->root);
	if (!step(w, s)) {
		tell(w, true, "no checkpoint: nothing signs this case");
		goto out;
	}
	if (sqlite3_column_int64(s, 0) != w->c->records + w->c->erased)
		tell(w, true, "the newest checkpoint covers %lld of %" PRId64
		    " records", (long long)sqlite3_column_int64(s, 0),
		    w->c->records + w->c->erased);
	if (sqlite3_column_int64(s, 2) != w->c->tiles)
		tell(w, true, "%lld tiles are stored, %" PRId64 " follow from "
		    "the records", (long long)sqlite3_column_int64(s, 2),
		    w->c->tiles);
	snprintf(file, strlen(w->path) + 32, "%s/checkpoint.txt", w->path);
	f = fopen(file, "rb");
	if (f) {
		n = fread(now, 1, sizeof(now), f);
		fclose(f);
	}
	if (!f && w->run_open >= 0)
		tell(w, false, "checkpoint.txt: not there; the last run did not "
		    "end");
	else if (!f)
		tell(w, true, "checkpoint.txt: %s", strerror(errno));
	else if (!span_eq(span_of(now, n), blob(s, 1)) && w->run_open >= 0)
		tell(w, false, "checkpoint.txt is of an earlier moment; the "
		    "last run did not end");
	else if (!span_eq(span_of(now, n), blob(s, 1)))
		tell(w, true, "checkpoint.txt is not the newest checkpoint");
out:
	sqlite3_finalize(s);
	free(file);
}

int check_case(struct check *c, const char *path, const char *fingerprint)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		log_die("out of memory");
	w->c = c;
	w->path = path;
	w->run_open = w->run_last = -1;
	c->bad_record = -1;
	w->db = casedir_read(path);
	if (!w->db) {
		free(w);
		return -1;
	}
	merkle_init(&w->tree);
	/* One moment of a case that may still be written to. */
	sqlite3_exec(w->db, "BEGIN", NULL, NULL, NULL);
	check_database(c, w->db);
	load_keys(w, fingerprint);
	w->record = query(w, "SELECT seq, utc_ns, mono_ns, kind, swarm, conn, "
	    "ip, port, detail, raw_sha256, salt FROM record ORDER BY seq");
	w->raw = query(w, "SELECT seq, bytes FROM raw ORDER BY seq");
	w->named = query(w, "SELECT seq, n, ip, port, salt FROM named "
	    "ORDER BY seq, n");
	w->tile = query(w, "SELECT hashes FROM tile WHERE level=?1 AND n=?2");
	w->head = query(w, "SELECT size, root, note FROM checkpoint "
	    "ORDER BY size");
	w->previous = query(w, "SELECT json_extract(detail,'$.previous'), "
	    "json_extract(detail,'$.previous.seq'), "
	    "json_extract(detail,'$.previous.ended'), "
	    "json_extract(detail,'$.previous.records'), "
	    "json_extract(detail,'$.previous.last_utc_ns') FROM record "
	    "WHERE seq=?1 AND json_valid(detail)");
	if (w->record && w->raw && w->named && w->tile && w->head) {
		w->index = check_index_new(c, w->db);
		walk_records(w);
		check_index_end(w->index);
		check_index_free(w->index);
		check_newest(w);
		check_files(c, w->db, path);
		if (w->run_open >= 0)
			tell(w, false, "the run of record %" PRId64
			    " has not ended", w->run_open);
		if (c->records == 0)
			tell(w, true, "there are no records");
	}
	sqlite3_finalize(w->record);
	sqlite3_finalize(w->raw);
	sqlite3_finalize(w->named);
	sqlite3_finalize(w->tile);
	sqlite3_finalize(w->head);
	sqlite3_finalize(w->previous);
	sqlite3_close(w->db);
	free(w->keys);
	free(w->line);
	free(w->names);
	free(w);
	return 0;
}
