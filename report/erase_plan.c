#include "report/erase_part.h"

#include <inttypes.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/log.h"

#define DEPTH_LEAST 12u		/* as far as a node that stays tells of the place */
#define DEPTH_MOST 62u

static int sql_fails(const struct erase *x)
{
	log_warn("%s: %s", x->e.path, sqlite3_errmsg(x->e.db));
	return -1;
}

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

static bool narrowed(const struct erase *x)
{
	return x->e.port >= 0 || x->e.swarm;
}

/* --- records, raw bytes, named endpoints -------------------------------------- */

static int find_named(struct erase *x, int64_t seq, bool *any)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(x->e.db, "SELECT n FROM named WHERE seq = ?1 AND "
	    "ip = ?2 AND (?3 < 0 OR port = ?3) ORDER BY n", -1, &s, NULL) !=
	    SQLITE_OK)
		return sql_fails(x);
	sqlite3_bind_int64(s, 1, seq);
	sqlite3_bind_text(s, 2, x->e.ip, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, x->e.port);
	while (sqlite3_step(s) == SQLITE_ROW) {
		if (x->names == x->names_room) {
			x->names_room = 2 * x->names_room + 64;
			x->named = realloc(x->named,
			    x->names_room * sizeof(*x->named));
			if (x->named == NULL)
				log_die("out of memory");
		}
		x->named[x->names++] = (struct erase_named){ seq,
			sqlite3_column_int64(s, 0) };
		*any = true;
	}
	sqlite3_finalize(s);
	return 0;
}

/* Its own, or of its conversation, or sent to it: all but those that merely
 * name it among others. */
static bool is_whole(struct erase *x, const struct excerpt_record *r)
{
	if (r->common)
		return false;
	if (r->ip && strcmp(r->ip, x->e.ip) == 0)
		return true;
	if (r->conn >= 0)
		return excerpt_is_conn(&x->e, r->conn);
	return excerpt_is_named(&x->e, r->detail);
}

static int find_one(struct erase *x, sqlite3_stmt *s, int64_t seq)
{
	struct excerpt_record r = { .seq = seq };
	bool any = false;

	sqlite3_bind_int64(s, 1, seq);
	if (sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_reset(s);
		return 0;	/* erased before */
	}
	r.kind = text(s, 0);
	r.swarm = text(s, 1);
	r.conn = sqlite3_column_type(s, 2) == SQLITE_NULL ? -1 :
	    sqlite3_column_int64(s, 2);
	r.ip = text(s, 3);
	r.port = sqlite3_column_type(s, 4) == SQLITE_NULL ? -1 :
	    sqlite3_column_int(s, 4);
	r.detail = text(s, 5);
	r.common = indexer_is_common(r.kind, r.conn >= 0, r.ip != NULL);
	if (excerpt_selects(&x->e, &r)) {
		if (is_whole(x, &r))
			seqs_add(&x->records, seq);
		else if (find_named(x, seq, &any) < 0)
			any = false;
		else if (any && sqlite3_column_int(s, 6))
			seqs_add(&x->raws, seq);
	}
	sqlite3_reset(s);
	return 0;
}

static int find_listed(struct erase *x)
{
	sqlite3_stmt *s = NULL;
	int got = 0;

	if (sqlite3_prepare_v2(x->e.db, "SELECT coalesce(kind, ''), swarm, "
	    "conn, ip, port, coalesce(detail, ''), EXISTS (SELECT 1 FROM raw WHERE raw.seq = record.seq) "
	    "FROM record WHERE seq = ?", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(x);
	for (size_t i = 0; got == 0 && i < x->e.mine.n; i++)
		got = find_one(x, s, x->e.mine.seq[i]);
	sqlite3_finalize(s);
	return got;
}

/* Details that hold the address as text though the record is not its: words of
 * a tracker or a peer. */
static int find_mentions(struct erase *x)
{
	sqlite3_stmt *s = NULL;

	/* Only the text of an IPv6 address has letters. */
	if (sqlite3_prepare_v2(x->e.db, strchr(x->e.ip, ':') ? "SELECT seq, "
	    "detail, coalesce(kind, ''), conn IS NOT NULL, ip IS NOT NULL FROM record WHERE "
	    "instr(lower(detail), ?1)" : "SELECT seq, detail, coalesce(kind, ''), "
	    "conn IS NOT NULL, ip IS NOT NULL FROM record WHERE "
	    "instr(detail, ?1)", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(x);
	sqlite3_bind_text(s, 1, x->e.ip, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW) {
		int64_t seq = sqlite3_column_int64(s, 0);

		if (!excerpt_is_named(&x->e, text(s, 1)))
			continue;
		if (!indexer_is_common(text(s, 2), sqlite3_column_int(s, 3),
		    sqlite3_column_int(s, 4)))
			seqs_add(&x->records, seq);
		else
			log_warn("%s: record %" PRId64 " (%s) is about the run, "
			    "names %s, and stays", x->e.path, seq, text(s, 2),
			    x->e.ip);
	}
	sqlite3_finalize(s);
	return 0;
}

/* Raw bytes that hold it, text or packed, in kinds whose bytes can. */
static int find_bytes(struct erase *x)
{
	sqlite3_stmt *s = NULL;
	struct endpoint at = { 0 };

	endpoint_parse_ip(span_str(x->e.ip), &at);
	if (sqlite3_prepare_v2(x->e.db, "SELECT seq FROM raw JOIN record USING "
	    "(seq) WHERE (instr(bytes, ?1) OR instr(bytes, ?2)) AND kind NOT IN "
	    "('bitfield', 'block', 'encrypted', 'hashes', 'metadata', 'stamp', "
	    "'torrent', 'clock')", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(x);
	sqlite3_bind_blob(s, 1, at.addr, at.family == 4 ? 4 : 16,
	    SQLITE_STATIC);
	sqlite3_bind_blob(s, 2, x->e.ip, (int)strlen(x->e.ip), SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW)
		seqs_add(&x->raws, sqlite3_column_int64(s, 0));
	sqlite3_finalize(s);
	return 0;
}

/* --- subjects that go ----------------------------------------------------------- */

/* As deep as sets the place apart from every other node of the index. */
static int node_depth(struct erase *x, int64_t index, const char *subject,
    unsigned *depth)
{
	uint64_t key = sparse_key(subject);
	struct sparse_node n;
	sqlite3_stmt *s = NULL;

	*depth = DEPTH_LEAST;
	if (sqlite3_prepare_v2(x->e.db, "SELECT subject, 0 FROM subject WHERE "
	    "seq = ?1 AND subject <> ?2 UNION ALL SELECT NULL, n FROM gone "
	    "WHERE seq = ?1 AND what = 'subject'", -1, &s, NULL) != SQLITE_OK)
		return sql_fails(x);
	sqlite3_bind_int64(s, 1, index);
	sqlite3_bind_text(s, 2, subject, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW) {
		unsigned d = 1;

		if (text(s, 0))
			n.key = sparse_key(text(s, 0));
		else
			sparse_place(sqlite3_column_int64(s, 1), &n);
		for (; d <= SPARSE_DEPTH && (n.key ^ key) >>
		    (SPARSE_DEPTH - d) == 0; d++)
			;
		if (d > *depth)
			*depth = d;
	}
	sqlite3_finalize(s);
	if (*depth <= DEPTH_MOST)
		return 0;
	log_warn("%s: %s cannot be set apart in index record %" PRId64,
	    x->e.path, subject, index);
	return -1;
}

static int plan_subject(struct erase *x, const struct excerpt_subject *from,
    struct erase_subject *to)
{
	struct sparse_node n = { .key = sparse_key(from->subject),
		.depth = SPARSE_DEPTH };
	struct sparse_empty *empty = malloc(sizeof(*empty));
	uint8_t salt[SPARSE_SALT];
	struct sparse tree;
	struct hash list;
	unsigned depth;

	if (empty == NULL)
		log_die("out of memory");
	if (node_depth(x, from->seq, from->subject, &depth) < 0 ||
	    !hex_read(span_str(from->salt), salt, sizeof(salt))) {
		free(empty);
		return -1;
	}
	SHA256((const uint8_t *)from->seqs, strlen(from->seqs), list.b);
	n.hash = sparse_leaf(salt, from->subject, &list);
	sparse_empty_init(empty);
	sparse_init(&tree, empty);
	sparse_put(&tree, &n);
	to->hash = sparse_root(&tree, depth);
	free(empty);
	n.depth = depth;
	n.key &= ~(uint64_t)0 << (SPARSE_DEPTH - depth);
	to->node = sparse_number(&n);
	to->seq = from->seq;
	memcpy(to->subject, from->subject, sizeof(to->subject));
	return 0;
}

static int plan_subjects(struct erase *x)
{
	x->subject = calloc(x->e.subjects + 1, sizeof(*x->subject));
	if (x->subject == NULL)
		log_die("out of memory");
	for (size_t i = 0; !narrowed(x) && i < x->e.subjects; i++)
		if (x->e.subject[i].seqs && plan_subject(x, &x->e.subject[i],
		    &x->subject[x->subjects++]) < 0)
			return -1;
	return 0;
}

/* --- subjects that stay ----------------------------------------------------------- */

static bool goes(const struct erase *x, int64_t seq, const char *subject)
{
	for (size_t i = 0; i < x->subjects; i++)
		if (x->subject[i].seq == seq &&
		    strcmp(x->subject[i].subject, subject) == 0)
			return true;
	return false;
}

/* Whether the row states its list already. */
static bool has_list(const struct erase *x, int64_t seq, const char *subject)
{
	sqlite3_stmt *s = NULL;
	bool has = false;

	if (sqlite3_prepare_v2(x->e.db, "SELECT seqs FROM subject WHERE "
	    "seq = ? AND subject = ?", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(s, 1, seq);
		sqlite3_bind_text(s, 2, subject, -1, SQLITE_STATIC);
		has = sqlite3_step(s) == SQLITE_ROW && text(s, 0);
	}
	sqlite3_finalize(s);
	return has;
}

static void add_list(struct erase *x, int64_t seq, const char *subject,
    char *seqs)
{
	struct erase_list *l;

	if (x->lists == x->lists_room) {
		x->lists_room = 2 * x->lists_room + 64;
		x->list = realloc(x->list, x->lists_room * sizeof(*x->list));
		if (x->list == NULL)
			log_die("out of memory");
	}
	l = &x->list[x->lists++];
	l->seq = seq;
	memcpy(l->subject, subject, sizeof(l->subject));
	l->seqs = seqs;
}

/* Of a narrowed erasure the address's own subjects stay. */
static void plan_own(struct erase *x, const struct index_said *said)
{
	for (size_t i = 0; i < x->e.subjects; i++) {
		const struct excerpt_subject *s = &x->e.subject[i];
		char *seqs;

		if (s->seq != said->seq || !s->seqs || goes(x, s->seq,
		    s->subject) || has_list(x, s->seq, s->subject))
			continue;
		seqs = strdup(s->seqs);
		if (seqs == NULL)
			log_die("out of memory");
		add_list(x, s->seq, s->subject, seqs);
	}
}

/* What goes of an index's records, and whose it is. */
static int gather(const struct erase *x, const struct index_said *said,
    struct indexer *pairs)
{
	const int64_t *seq = x->records.seq;
	size_t n = x->records.n;
	int got = 0;

	for (size_t i = 0, k; i < n && got == 0; i = k) {
		for (k = i + 1; k < n && seq[k] == seq[k - 1] + 1 &&
		    seq[k] != said->to && seq[k] != said->from; k++)
			;
		if (seq[i] >= said->from && seq[i] < said->to)
			got = indexer_read(pairs, seq[i], seq[k - 1] + 1);
	}
	return got == 0 ? indexer_rewind(pairs) : got;
}

/* Whose lists hold, besides, what goes, or lose a line of named. */
static int plan_lists(struct erase *x, const struct index_said *said)
{
	struct indexer *pairs = indexer_new(NULL, x->e.db);
	char subject[SUBJECT_MAX] = "", *seqs;
	size_t n = strlen(x->e.ip);
	struct index_pair p;
	bool bad = false;
	int got = gather(x, said, pairs);

	plan_own(x, said);
	while (got == 0 && indexer_next(pairs, &p, &bad)) {
		if (strcmp(p.subject, subject) == 0)
			continue;
		memcpy(subject, p.subject, sizeof(subject));
		if ((strncmp(subject, x->e.ip, n) == 0 && subject[n] == '|') ||
		    has_list(x, said->seq, subject))
			continue;
		got = excerpt_list(&x->e, said, subject, &seqs);
		if (got == 0 && seqs)
			add_list(x, said->seq, subject, seqs);
	}
	indexer_free(pairs);
	return bad ? -1 : got;
}

static bool touched(const struct erase *x, const struct index_said *said)
{
	for (size_t i = 0; i < x->records.n; i++)
		if (x->records.seq[i] >= said->from &&
		    x->records.seq[i] < said->to)
			return true;
	for (size_t i = 0; narrowed(x) && i < x->names; i++)
		if (x->named[i].seq >= said->from &&
		    x->named[i].seq < said->to)
			return true;
	return false;
}

/* --- the plan --------------------------------------------------------------------- */

/* Named rows and raw bytes of records that go, go with them. */
static void drop_covered(struct erase *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->raws.n; i++)
		if (!seqs_has(&x->records, x->raws.seq[i]))
			x->raws.seq[n++] = x->raws.seq[i];
	x->raws.n = n;
	n = 0;
	for (size_t i = 0; i < x->names; i++)
		if (!seqs_has(&x->records, x->named[i].seq))
			x->named[n++] = x->named[i];
	x->names = n;
}

int erase_plan(struct erase *x)
{
	bool all = !narrowed(x) && !x->e.from_day[0] && !x->e.to_day[0];

	if (find_listed(x) < 0 ||
	    (all && (find_mentions(x) < 0 || find_bytes(x) < 0)))
		return -1;
	seqs_sort(&x->records);
	seqs_sort(&x->raws);
	drop_covered(x);
	if (plan_subjects(x) < 0)
		return -1;
	for (size_t i = 0; i < x->e.indexes; i++)
		if (touched(x, &x->e.index[i]) &&
		    plan_lists(x, &x->e.index[i]) < 0)
			return -1;
	return 0;
}

void erase_free(struct erase *x)
{
	seqs_free(&x->records);
	seqs_free(&x->raws);
	free(x->named);
	free(x->subject);
	for (size_t i = 0; i < x->lists; i++)
		free(x->list[i].seqs);
	free(x->list);
	free(x->file);
}
