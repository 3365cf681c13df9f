#include "report/check_subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "schema/index.h"
#include "schema/json.h"

struct subjects {
	struct check *c;
	sqlite3 *db;
	char ip[ENDPOINT_IP_MAX], from[11], to[11];	/* days; "": any */
	struct seqs *mine;
	int64_t used;		/* rows of subject */
};

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

static void take(char *out, size_t room, const char *value)
{
	snprintf(out, room, "%s", value ? value : "");
}

/* What was asked of the excerpt, as it says. */
static bool read_meta(struct subjects *x)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT "
	    "json_extract(value, '$.ip'), json_extract(value, '$.from'), "
	    "json_extract(value, '$.to'), json_extract(value, '$.port'), "
	    "json_extract(value, '$.swarm') FROM meta WHERE name = 'excerpt' "
	    "AND json_valid(value)");
	struct endpoint at;
	bool ok = check_step(x->c, s) && text(s, 0) &&
	    endpoint_parse_ip(span_str(text(s, 0)), &at);

	if (ok) {
		endpoint_ip(&at, x->ip);
		take(x->from, sizeof(x->from), text(s, 1));
		take(x->to, sizeof(x->to), text(s, 2));
		check_tell(x->c, false, "an excerpt: the records of %s%s%s%s%s"
		    "%s%s%s%s", x->ip, x->from[0] ? ", from " : "", x->from,
		    x->to[0] ? ", to " : "", x->to,
		    text(s, 3) ? ", of port " : "", text(s, 3) ? text(s, 3) :
		    "", text(s, 4) ? ", of swarm " : "",
		    text(s, 4) ? text(s, 4) : "");
	} else {
		check_tell(x->c, true, "meta does not say of which address the "
		    "excerpt is");
	}
	sqlite3_finalize(s);
	return ok;
}

/* --- one subject ----------------------------------------------------------------- */

static struct hash leaf_of(struct subjects *x, int64_t seq,
    const char *subject, const char *salt, const char *seqs,
    const struct hash *others, size_t n)
{
	struct hash list, leaf = { { 0 } }, all[64];
	uint8_t bytes[SPARSE_SALT];
	size_t at = 0;

	if (!hex_read(span_str(salt), bytes, sizeof(bytes)) || n > 63) {
		check_wrong(x->c, seq, "its subject has no salt");
		return leaf;
	}
	SHA256((const uint8_t *)seqs, strlen(seqs), list.b);
	leaf = sparse_leaf(bytes, subject, &list);
	if (n == 0)
		return leaf;
	/* Those that share its place, in their order. */
	for (size_t i = 0; i < n && memcmp(&others[i], &leaf, 32) < 0; i++)
		all[at++] = others[i];
	all[at] = leaf;
	memcpy(&all[at + 1], &others[at], (n - at) * sizeof(leaf));
	return sparse_share(all, n + 1);
}

static void take_list(struct subjects *x, const struct index_said *said,
    const char *seqs)
{
	struct seqs list = { 0 };
	sqlite3_stmt *s;

	if (!seqs_read(seqs, &list))
		check_wrong(x->c, said->seq, "the list of its subject is none");
	s = check_query(x->c, x->db, "SELECT EXISTS (SELECT 1 FROM record WHERE "
	    "seq = ?1) OR EXISTS (SELECT 1 FROM gone WHERE seq = ?1 AND "
	    "what = 'record') OR EXISTS (SELECT 1 FROM omitted WHERE "
	    "seq = ?1 AND what = 'record')");
	for (size_t i = 0; s && i < list.n; i++) {
		if (list.seq[i] < said->from || list.seq[i] >= said->to)
			check_wrong(x->c, said->seq, "a record in the list of "
			    "its subject is not its");
		if (check_ask(x->c, s, list.seq[i]) && !sqlite3_column_int(s, 0))
			check_wrong(x->c, list.seq[i], "is of the address, and "
			    "is missing");
		seqs_add(x->mine, list.seq[i]);
	}
	sqlite3_finalize(s);
	seqs_free(&list);
}

/* The address's share of one day in one index: its list, or that it has
 * none. */
static void check_day(struct subjects *x, const struct index_said *said,
    const char *day)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT salt, seqs, path "
	    "FROM subject WHERE seq = ?1 AND subject = ?2");
	struct hash path[SPARSE_DEPTH + 63], leaf = { { 0 } };
	char subject[SUBJECT_MAX];
	size_t n, others;

	snprintf(subject, sizeof(subject), "%s|%.10s", x->ip, day);
	if (s == NULL)
		return;
	sqlite3_bind_int64(s, 1, said->seq);
	sqlite3_bind_text(s, 2, subject, -1, SQLITE_STATIC);
	if (!check_step(x->c, s)) {
		check_tell(x->c, true, "record %" PRId64 " (index): whether it "
		    "has %s is not shown", said->seq, subject);
		goto out;
	}
	x->used++;
	n = (size_t)sqlite3_column_bytes(s, 2) / 32;
	if (n < SPARSE_DEPTH || n > sizeof(path) / sizeof(path[0])) {
		check_wrong(x->c, said->seq, "the path of its subject is none");
		goto out;
	}
	memcpy(path, sqlite3_column_blob(s, 2), n * 32);
	others = n - SPARSE_DEPTH;
	if (text(s, 0) && text(s, 1)) {
		leaf = leaf_of(x, said->seq, subject, text(s, 0), text(s, 1),
		    path, others);
		take_list(x, said, text(s, 1));
		x->c->subjects++;
	} else if (text(s, 0) || text(s, 1) || others) {
		check_wrong(x->c, said->seq, "its subject is half a one");
	}
	leaf = sparse_climb(&leaf, sparse_key(subject), path + others);
	if (memcmp(&leaf, &said->root, sizeof(leaf)) != 0)
		check_tell(x->c, true, "record %" PRId64 " (index): that it %s "
		    "%s does not follow from its root", said->seq,
		    text(s, 0) ? "has this list for" : "has nothing for",
		    subject);
out:
	sqlite3_finalize(s);
}

static void check_one(struct subjects *x, const struct index_said *said)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT d.value FROM record, "
	    "json_each(detail, '$.days') AS d WHERE seq = ?1");

	x->c->indexes++;
	if (s)
		sqlite3_bind_int64(s, 1, said->seq);
	while (check_step(x->c, s)) {
		const char *day = text(s, 0);

		if (!day || strlen(day) != 10)
			check_wrong(x->c, said->seq, "a day of it is none");
		else if ((!x->from[0] || strcmp(day, x->from) >= 0) &&
		    (!x->to[0] || strcmp(day, x->to) <= 0))
			check_day(x, said, day);
	}
	sqlite3_finalize(s);
}

/* --- the indexes ------------------------------------------------------------------ */

/* Behind the newest index all must be here, or another could be hidden. */
static void check_tail(struct subjects *x, int64_t to, int64_t size)
{
	sqlite3_stmt *s = check_query(x->c, x->db, "SELECT count(*) FROM "
	    "(SELECT seq FROM record WHERE seq >= ?1 UNION SELECT seq FROM gone "
	    "WHERE seq >= ?1 AND what = 'record' UNION SELECT seq FROM omitted "
	    "WHERE seq >= ?1 AND what = 'record')");
	int64_t here;

	if (s)
		sqlite3_bind_int64(s, 1, to);
	here = check_step(x->c, s) ? sqlite3_column_int64(s, 0) : 0;
	if (here < size - to)
		check_tell(x->c, false, "the case goes on behind its newest "
		    "index here (record %" PRId64 "): whether any of %" PRId64
		    " further records is of the address is not shown", to,
		    size - to - here);
	sqlite3_finalize(s);
}

void check_subjects(struct check *c, sqlite3 *db, int64_t size,
    char ip[ENDPOINT_IP_MAX], struct seqs *mine)
{
	struct subjects x = { .c = c, .db = db, .mine = mine };
	sqlite3_stmt *s = check_query(c, db, "SELECT seq FROM record WHERE "
	    "kind = 'index' ORDER BY seq");
	struct index_said said;
	int64_t to = 0;

	if (!read_meta(&x)) {
		sqlite3_finalize(s);
		return;
	}
	snprintf(ip, ENDPOINT_IP_MAX, "%s", x.ip);
	while (check_step(c, s)) {
		int64_t seq = sqlite3_column_int64(s, 0);

		if (!index_read(db, seq, &said) || said.from != to ||
		    said.to != seq) {
			check_wrong(c, seq, "does not follow the index before: "
			    "one is missing");
			to = seq;
			continue;
		}
		to = seq;
		check_one(&x, &said);
	}
	sqlite3_finalize(s);
	check_tail(&x, to, size);
	s = check_query(c, db, "SELECT count(*) FROM subject");
	if (check_step(c, s) && sqlite3_column_int64(s, 0) != x.used)
		check_tell(c, true, "subjects that were not asked for");
	sqlite3_finalize(s);
	seqs_sort(mine);
}
