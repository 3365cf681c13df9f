#include "schema/index.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/leaves.h"
#include "schema/log.h"

struct index {
	const struct casedir *dir;
	sqlite3 *db;
	sqlite3_stmt *keep;
	struct indexer *pairs;
	struct json detail;
	int64_t from;		/* the next index covers records from here */
	bool behind;
	/* Of the index under way: a subject's salt is H(secret | subject)
	 * cut, so that it can be had twice and kept nowhere. */
	uint8_t secret[32];
};

__attribute__((noreturn))
static void die(const struct index *x, const char *what)
{
	log_die("evidence could not be kept: %s: index: %s", x->dir->path,
	    what);
}

/* Where the newest index left off. Sought from the back. */
static int64_t last_to(const struct index *x)
{
	sqlite3_stmt *s = NULL;
	int64_t to = 0;
	int got;

	if (sqlite3_prepare_v2(x->db, "SELECT CASE WHEN json_valid(detail) THEN "
	    "json_extract(detail, '$.to') END FROM record WHERE kind = 'index' "
	    "ORDER BY seq DESC LIMIT 1", -1, &s, NULL) != SQLITE_OK)
		die(x, sqlite3_errmsg(x->db));
	got = sqlite3_step(s);
	if (got == SQLITE_ROW)
		to = sqlite3_column_int64(s, 0);
	else if (got != SQLITE_DONE)
		die(x, sqlite3_errmsg(x->db));
	sqlite3_finalize(s);
	return to;
}

struct index *index_new(const struct casedir *dir, sqlite3 *db, int64_t size)
{
	struct index *x = calloc(1, sizeof(*x));
	struct index_pair p;
	bool bad = false;

	if (x == NULL)
		log_die("out of memory");
	x->dir = dir;
	x->db = db;
	x->pairs = indexer_new(dir->path, db);
	json_init(&x->detail, JSON_MOST);
	x->from = size ? last_to(x) : 0;
	if (x->from < 0 || x->from > size)
		die(x, "the newest index record says where no record is; "
		    "run verify");
	if (indexer_read(x->pairs, x->from, size) < 0 ||
	    indexer_rewind(x->pairs) < 0)
		die(x, "the records in no index cannot be read");
	while (!x->behind && indexer_next(x->pairs, &p, &bad))
		x->behind = p.subject[0] != '\0';
	return x;
}

void index_free(struct index *x)
{
	if (x == NULL)
		return;
	sqlite3_finalize(x->keep);
	indexer_free(x->pairs);
	json_fini(&x->detail);
	free(x);
}

bool index_behind(const struct index *x)
{
	return x->behind;
}

void index_add(struct index *x, const struct entry *e)
{
	struct indexed r = { .seq = e->seq, .utc_ns = e->utc_ns,
		.conn = e->conn, .kind = e->kind,
		.ip = e->has_ip ? e->ip : NULL, .detail = e->detail };
	char ip[ENDPOINT_IP_MAX];
	int got = indexer_add(x->pairs, &r);

	for (size_t i = 0; i < e->names; i++)
		got |= indexer_name(x->pairs, endpoint_ip(&e->named[i].at, ip));
	if (got < 0)
		die(x, "no room to sort it");
}

/* --- days ------------------------------------------------------------------ */

/* YYYYMMDD of a subject's end. */
static int32_t day_of(const char *subject)
{
	size_t n = strlen(subject);
	int32_t v = 0;

	for (const char *p = subject + n - 10; *p; p++)
		if (*p != '-')
			v = v * 10 + (*p - '0');
	return v;
}

void index_days_add(struct index_days *d, const char *subject)
{
	int32_t day = day_of(subject);
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->day[mid] < day)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < d->n && d->day[lo] == day)
		return;
	if (d->n == d->room) {
		d->room = 2 * d->room + 16;
		d->day = realloc(d->day, d->room * sizeof(*d->day));
		if (d->day == NULL)
			log_die("out of memory");
	}
	memmove(&d->day[lo + 1], &d->day[lo], (d->n - lo) * sizeof(*d->day));
	d->day[lo] = day;
	d->n++;
}

static void put_days(struct json *j, const struct index_days *d)
{
	char text[16];

	json_open(j, "days", '[');
	for (size_t i = 0; i < d->n; i++) {
		unsigned day = (unsigned)d->day[i];

		snprintf(text, sizeof(text), "%04u-%02u-%02u",
		    day / 10000 % 10000, day / 100 % 100, day % 100);
		json_str(j, NULL, text);
	}
	json_close(j, ']');
}

/* --- making ---------------------------------------------------------------- */

static void salt_of(const struct index *x, const char *subject,
    uint8_t salt[SPARSE_SALT])
{
	uint8_t sum[32];
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, x->secret, sizeof(x->secret));
	SHA256_Update(&ctx, subject, strlen(subject));
	SHA256_Final(sum, &ctx);
	memcpy(salt, sum, SPARSE_SALT);
}

/* A list's digest as its members pass by. */
struct list {
	char subject[SUBJECT_MAX];
	SHA256_CTX ctx;
	int64_t n;
};

static void list_add(struct list *l, const struct index_pair *p)
{
	char text[24];

	if (l->n == 0) {
		memcpy(l->subject, p->subject, sizeof(l->subject));
		SHA256_Init(&l->ctx);
	}
	SHA256_Update(&l->ctx, text, (size_t)snprintf(text, sizeof(text),
	    "%s%lld", l->n ? "," : "", (long long)p->seq));
	l->n++;
}

static struct sparse_node list_leaf(struct list *l,
    const uint8_t salt[SPARSE_SALT])
{
	struct sparse_node n = { .key = sparse_key(l->subject),
		.depth = SPARSE_DEPTH };
	struct hash seqs;

	SHA256_Final(seqs.b, &l->ctx);
	n.hash = sparse_leaf(salt, l->subject, &seqs);
	l->n = 0;
	return n;
}

static void end_list(const struct index *x, struct list *l,
    struct leaves *leaves, struct index_days *days, int64_t *subjects)
{
	uint8_t salt[SPARSE_SALT];
	struct sparse_node n;

	if (l->n == 0)
		return;
	salt_of(x, l->subject, salt);
	n = list_leaf(l, salt);
	index_days_add(days, l->subject);
	if (leaves_add(leaves, &n) < 0)
		die(x, "no room to sort it");
	++*subjects;
}

const char *index_make(struct index *x, int64_t seq)
{
	struct leaves *leaves = leaves_new(x->dir->path);
	struct indexfile *file = indexfile_begin(x->dir->path, seq);
	struct index_days days = { 0 };
	struct list list = { .n = 0 };
	struct index_pair p;
	int64_t subjects = 0;
	struct hash root;
	bool bad = false;
	char hex[65];

	if (RAND_bytes(x->secret, sizeof(x->secret)) != 1)
		die(x, "no random bytes");
	if (indexer_rewind(x->pairs) < 0)
		die(x, "it cannot be sorted");
	while (indexer_next(x->pairs, &p, &bad)) {
		if (strcmp(p.subject, list.subject) != 0)
			end_list(x, &list, leaves, &days, &subjects);
		indexfile_pair(file, p.subject, p.seq);
		if (p.subject[0])
			list_add(&list, &p);
	}
	end_list(x, &list, leaves, &days, &subjects);
	if (bad || leaves_root(leaves, file ? indexfile_node : NULL, file,
	    &root) < 0)
		die(x, "it cannot be sorted");
	indexfile_end(file, true);
	leaves_free(leaves);

	json_reset(&x->detail);
	json_open(&x->detail, NULL, '{');
	json_int(&x->detail, "from", x->from);
	json_int(&x->detail, "to", seq);
	put_days(&x->detail, &days);
	json_int(&x->detail, "subjects", subjects);
	json_str(&x->detail, "root", hex_of(root.b, sizeof(root.b), hex));
	json_close(&x->detail, '}');
	free(days.day);
	return json_done(&x->detail);
}

void index_keep(struct index *x, int64_t seq)
{
	char last[SUBJECT_MAX] = "", hex[2 * SPARSE_SALT + 1];
	uint8_t salt[SPARSE_SALT];
	struct index_pair p;
	bool bad = false;

	if (x->keep == NULL && sqlite3_prepare_v3(x->db, "INSERT OR ROLLBACK "
	    "INTO subject VALUES (?,?,?,NULL,NULL)", -1,
	    SQLITE_PREPARE_PERSISTENT, &x->keep, NULL) != SQLITE_OK)
		die(x, sqlite3_errmsg(x->db));
	if (indexer_rewind(x->pairs) < 0)
		die(x, "it cannot be sorted");
	while (indexer_next(x->pairs, &p, &bad)) {
		if (strcmp(p.subject, last) == 0)
			continue;
		memcpy(last, p.subject, sizeof(last));
		salt_of(x, last, salt);
		sqlite3_bind_int64(x->keep, 1, seq);
		sqlite3_bind_text(x->keep, 2, last, -1, SQLITE_STATIC);
		sqlite3_bind_text(x->keep, 3, hex_of(salt, sizeof(salt), hex),
		    -1, SQLITE_STATIC);
		if (sqlite3_step(x->keep) != SQLITE_DONE)
			die(x, sqlite3_errmsg(x->db));
		sqlite3_reset(x->keep);
	}
	if (bad)
		die(x, "it cannot be sorted");
	indexer_clear(x->pairs);
	memset(x->secret, 0, sizeof(x->secret));
	x->from = seq;
	x->behind = false;
}
