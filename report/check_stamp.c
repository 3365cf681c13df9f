#include "report/check_stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "report/when.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/tsa.h"

#define S 1000000000ll
#define LATEST (9000000000ll * S)	/* ns since 1970; leaves room to add */

/* A token that holds: of records 0 .. size-1, in record seq. */
struct token {
	int64_t seq, size, gen_utc_ns;
};

struct check_stamp {
	struct check *c;
	sqlite3_stmt *stamp, *checkpoint;
	struct tsa_roots *roots;
	struct token *token;
	size_t n;
};

/* Columns of the query below. */
enum { OUTCOME, SIZE, ROOT, IMPRINT, REQUEST, GEN, ACCURACY, SERIAL, POLICY,
	SIGNER, SIGNER_SHA256, SENT };

static const char query[] = "SELECT json_extract(detail,'$.outcome'), "
    "json_extract(detail,'$.size'), json_extract(detail,'$.root'), "
    "json_extract(detail,'$.imprint'), json_extract(detail,'$.request'), "
    "json_extract(detail,'$.gen_utc_ns'), "
    "json_extract(detail,'$.accuracy_ns'), "
    "json_extract(detail,'$.serial'), json_extract(detail,'$.policy'), "
    "json_extract(detail,'$.signer'), "
    "json_extract(detail,'$.signer_sha256'), "
    "json_extract(detail,'$.sent_utc_ns') "
    "FROM record WHERE seq=?1 AND json_valid(detail)";

static const char *text(sqlite3_stmt *s, int col)
{
	const char *t = (const char *)sqlite3_column_text(s, col);

	return t ? t : "";
}

static int64_t number(sqlite3_stmt *s, int col)
{
	return sqlite3_column_type(s, col) == SQLITE_INTEGER ?
	    sqlite3_column_int64(s, col) : -1;
}

/* --- one stamp --------------------------------------------------------------- */

/* NULL, or how record and checkpoint differ. */
static const char *about(struct check_stamp *k, sqlite3_stmt *s, int64_t seq,
    struct span request)
{
	uint8_t imprint[32], note[32];
	char hex[65];
	sqlite3_stmt *p = k->checkpoint;

	if (!tsa_request_read(request, imprint))
		return "its request is none";
	if (strcmp(hex_of(imprint, 32, hex), text(s, IMPRINT)) != 0)
		return "its imprint is not that of its request";
	if (number(s, SIZE) < 1 || number(s, SIZE) > seq)
		return "it is about records that were not there yet";
	if (!check_ask(k->c, p, number(s, SIZE)))
		return "the checkpoint that it is about is not there";
	SHA256(sqlite3_column_blob(p, 1), (size_t)sqlite3_column_bytes(p, 1),
	    note);
	if (memcmp(note, imprint, 32) != 0)
		return "its imprint is not that of its checkpoint's note";
	if (strcmp(text(p, 0), text(s, ROOT)) != 0)
		return "its root is not that of its checkpoint";
	return NULL;
}

static bool says_same(sqlite3_stmt *s, const struct tsa_token *t)
{
	return number(s, GEN) == t->gen_utc_ns &&
	    number(s, ACCURACY) == t->accuracy_ns &&
	    strcmp(text(s, SERIAL), t->serial) == 0 &&
	    strcmp(text(s, POLICY), t->policy) == 0 &&
	    strcmp(text(s, SIGNER), t->signer) == 0 &&
	    strcmp(text(s, SIGNER_SHA256), t->signer_sha256) == 0;
}

/* The authority's clock against ours, as far as its token can tell: it was
 * made between the question and the answer. */
static void compare_clocks(struct check_stamp *k, int64_t seq,
    const struct tsa_token *t, int64_t sent, int64_t at)
{
	int64_t slack = t->accuracy_ns < 0 ? S : t->accuracy_ns + S, off;
	char span[WHEN_MAX];
	bool sane = sent >= 0 && at >= 0 && at < LATEST;

	if (!sane) {
		check_wrong(k->c, seq, "its times are none");
		return;
	}
	off = t->gen_utc_ns < sent - slack ? t->gen_utc_ns - sent :
	    t->gen_utc_ns > at + slack ? t->gen_utc_ns - at : 0;
	if (off == 0)
		return;
	k->c->stamps_apart++;
	check_tell(k->c, false, "record %" PRId64 ": its token's time is %s "
	    "%s this record's: one of the two clocks is wrong", seq,
	    when_span(off < 0 ? -off : off, span), off < 0 ? "before" :
	    "after");
}

static void keep(struct check_stamp *k, int64_t seq, int64_t size,
    int64_t gen_utc_ns)
{
	struct token *more = realloc(k->token, (k->n + 1) * sizeof(*more));

	if (!more)
		log_die("out of memory");
	k->token = more;
	k->token[k->n++] = (struct token){ seq, size, gen_utc_ns };
	k->c->tokens++;
}

void check_stamp_record(struct check_stamp *k, int64_t seq, int64_t utc_ns,
    struct span raw)
{
	sqlite3_stmt *s = k->stamp;
	uint8_t der[TSA_REQUEST_MAX];
	struct span request = { 0 };
	struct tsa_token t;
	char why[TSA_WHY_MAX], line[TSA_WHY_MAX + 64];
	const char *fault, *said;
	enum tsa_outcome o;

	k->c->stamps++;
	if (!check_ask(k->c, s, seq))
		return;
	said = text(s, OUTCOME);
	if (strlen(text(s, REQUEST)) <= 2 * sizeof(der) &&
	    hex_read(span_str(text(s, REQUEST)), der,
	    strlen(text(s, REQUEST)) / 2))
		request = span_of(der, strlen(text(s, REQUEST)) / 2);
	fault = about(k, s, seq, request);
	if (fault) {
		check_wrong(k->c, seq, fault);
		return;
	}
	/* What did not answer, or with no time-stamp, proves nothing: it is
	 * on record as it came. */
	if (strcmp(said, "timeout") == 0 || strcmp(said, "error") == 0 ||
	    strcmp(said, "malformed") == 0)
		return;
	o = tsa_check(request, raw, &t, why);
	if (strcmp(said, tsa_outcome_text(o)) != 0) {
		snprintf(line, sizeof(line), "its answer is not \"%.20s\"%s%s",
		    said, why[0] ? ": " : "", why);
		check_wrong(k->c, seq, line);
	} else if (!says_same(s, &t)) {
		check_wrong(k->c, seq, "it does not say what its token says");
	} else if (o == TSA_OK) {
		compare_clocks(k, seq, &t, number(s, SENT), utc_ns);
		keep(k, seq, number(s, SIZE), t.gen_utc_ns);
		k->c->inaccurate += t.accuracy_ns < 0;
		if (t.accuracy_ns > k->c->accuracy_ns)
			k->c->accuracy_ns = t.accuracy_ns;
		if (!k->roots)
			return;
		if (tsa_rooted(k->roots, raw, why)) {
			k->c->rooted++;
			return;
		}
		snprintf(line, sizeof(line), "its signer leads to no "
		    "certificate of --tsa-ca: %s", why);
		check_wrong(k->c, seq, line);
	}
}

/* --- all of them -------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct token *x = a, *y = b;

	return (x->gen_utc_ns > y->gen_utc_ns) -
	    (x->gen_utc_ns < y->gen_utc_ns);
}

/* A token itself stands behind what it covers. */
static int64_t stamps_behind(struct check_stamp *k, int64_t seq)
{
	sqlite3_stmt *s = check_query(k->c, sqlite3_db_handle(k->stamp),
	    "SELECT count(*) FROM record WHERE seq >= ?1 AND kind='stamp'");
	int64_t n = 0;

	sqlite3_bind_int64(s, 1, seq);
	if (check_step(k->c, s))
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

void check_stamp_end(struct check_stamp *k, int64_t records)
{
	struct check *c = k->c;
	int64_t first = INT64_MAX, covered = 0;

	for (size_t i = 0; i < k->n; i++) {
		if (k->token[i].seq < first)
			first = k->token[i].seq;
		if (k->token[i].size > covered)
			covered = k->token[i].size;
	}
	if (k->n == 0) {
		c->before_tokens = records;
		return;
	}
	c->before_tokens = first;
	c->after_tokens = records - covered - stamps_behind(k, covered);
	qsort(k->token, k->n, sizeof(*k->token), by_time);
	for (size_t i = 1; i < k->n; i++) {
		int64_t gap = k->token[i].gen_utc_ns -
		    k->token[i - 1].gen_utc_ns;

		if (gap > c->widest_gap_ns) {
			c->widest_gap_ns = gap;
			c->widest_from_ns = k->token[i - 1].gen_utc_ns;
		}
	}
	c->first_token_ns = k->token[0].gen_utc_ns;
	c->last_token_ns = k->token[k->n - 1].gen_utc_ns;
}

struct check_stamp *check_stamp_new(struct check *c, sqlite3 *db)
{
	struct check_stamp *k = calloc(1, sizeof(*k));

	if (!k)
		log_die("out of memory");
	k->c = c;
	if (c->tsa_ca && !(k->roots = tsa_roots_open(c->tsa_ca))) {
		check_stamp_free(k);
		return NULL;
	}
	k->stamp = check_query(c, db, query);
	k->checkpoint = check_query(c, db, "SELECT root, CAST(note AS BLOB) "
	    "FROM checkpoint WHERE size=?1");
	return k;
}

void check_stamp_free(struct check_stamp *k)
{
	if (!k)
		return;
	sqlite3_finalize(k->stamp);
	sqlite3_finalize(k->checkpoint);
	tsa_roots_close(k->roots);
	free(k->token);
	free(k);
}
