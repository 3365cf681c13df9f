#include "capture/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"
#include "schema/log.h"

#define AHEAD 256u		/* events that are looked ahead for the same one */

/* Times, what follows from all that was said before or from what was watched
 * just then, and salted roots differ by nature. */
static const char plain_sql[] = "SELECT json_remove(?1, '$.last_utc_ns', "
    "'$.claimed', '$.pieces', '$.expected', '$.heard', '$.named', "
    "'$.named_root', '$.count')";
static const char piece_sql[] = "SELECT json_array("
    "json_extract(?1,'$.piece'), json_extract(?1,'$.bytes'), "
    "json_extract(?1,'$.came'), json_extract(?1,'$.complete'), "
    "json_extract(?1,'$.expected_sha1'), json_extract(?1,'$.sha1'), "
    "json_extract(?1,'$.sha256'), json_extract(?1,'$.root'), "
    "json_extract(?1,'$.match'), (SELECT group_concat("
    "json_extract(value,'$[0]') || '+' || json_extract(value,'$[1]')) "
    "FROM json_each(?1, '$.blocks')))";

static const char *const runs[] = { "have", "request", "cancel", "reject",
	"allowed_fast", "suggest", "message", "block" };
static const char *const others[] = { "encrypted", "greeted", "handshake",
	"extended", "bitfield", "have_all", "have_none", "donthave", "choke",
	"unchoke", "interested", "not_interested", "port", "metadata", "pex",
	"hashes", "piece", "malformed" };

/* The list's own word for it, or NULL. */
static const char *among(const char *const *list, size_t n, const char *kind)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], kind) == 0)
			return list[i];
	return NULL;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

bool tally_counts(const char *kind)
{
	return among(runs, COUNT(runs), kind) ||
	    among(others, COUNT(others), kind);
}

void tally_init(struct tally *t)
{
	*t = (struct tally){ 0 };
	if (sqlite3_open(":memory:", &t->db) != SQLITE_OK ||
	    sqlite3_prepare_v2(t->db, plain_sql, -1, &t->plain, NULL) !=
	    SQLITE_OK ||
	    sqlite3_prepare_v2(t->db, piece_sql, -1, &t->piece, NULL) !=
	    SQLITE_OK)
		log_die("out of memory for a replay");
}

void tally_fini(struct tally *t)
{
	sqlite3_finalize(t->plain);
	sqlite3_finalize(t->piece);
	sqlite3_close(t->db);
}

static void push(struct told *l, const char *kind, uint64_t hash, int64_t seq,
    bool hinges)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->at = realloc(l->at, l->room * sizeof(*l->at));
		if (!l->at)
			log_die("out of memory for a replay");
	}
	l->at[l->n++] = (struct token){ hash, seq, kind, hinges };
}

static uint64_t first64(const uint8_t d[32])
{
	uint64_t v;

	memcpy(&v, d, sizeof(v));
	return v;
}

static void end_run(struct told *l)
{
	uint8_t d[32];

	if (!l->run)
		return;
	SHA256_Final(d, l->run);
	free(l->run);
	l->run = NULL;
	push(l, l->run_kind, first64(d), l->run_seq, strcmp(l->run_kind, "block") == 0);
}

static void add_run(struct told *l, const char *kind, struct span raw,
    int64_t seq)
{
	if (l->run && strcmp(l->run_kind, kind) != 0)
		end_run(l);
	if (!l->run) {
		l->run = malloc(sizeof(*l->run));
		if (!l->run)
			log_die("out of memory for a replay");
		SHA256_Init(l->run);
		SHA256_Update(l->run, kind, strlen(kind));
		l->run_kind = kind;
		l->run_seq = seq;
	}
	SHA256_Update(l->run, raw.p, raw.n);
}

/* Of our own each message counts by itself: the last ones need not have been
 * sent. */
static void add_ours(struct told *l, const char *kind, struct span raw,
    int64_t seq)
{
	struct cur c = cur_of(raw);

	while (cur_left(&c)) {
		struct cur m = c;
		size_t n = cur_u32(&m);

		if (m.bad || n > cur_left(&m))
			n = cur_left(&c);	/* no message; compared as it is */
		else
			n += 4;
		add_run(l, kind, cur_take(&c, n), seq);
		end_run(l);
	}
}

static enum lane lane_of(const char *kind, const char *detail)
{
	if (strcmp(kind, "encrypted") == 0)
		return LANE_BOTH;
	if (strcmp(kind, "block") == 0 || strcmp(kind, "piece") == 0)
		return LANE_DATA;
	return strncmp(detail, "{\"by\":\"us\"", 10) == 0 ? LANE_US :
	    LANE_PEER;
}

static bool unfinished(const char *detail)
{
	return strstr(detail, "\"complete\":false") != NULL;
}

void tally_add(struct tally *t, struct told *told, const char *kind,
    const char *detail, struct span raw, const char *digest, int64_t seq)
{
	sqlite3_stmt *s = strcmp(kind, "piece") == 0 ? t->piece : t->plain;
	struct told *l = &told[lane_of(kind, detail)];
	const char *text = NULL, *run = among(runs, COUNT(runs), kind);
	SHA256_CTX c;
	uint8_t d[32];

	if (run) {
		if (l == &told[LANE_US])
			add_ours(l, run, raw, seq);
		else
			add_run(l, run, raw, seq);
		return;
	}
	end_run(l);
	sqlite3_bind_text(s, 1, detail, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(s, 0);
	SHA256_Init(&c);
	SHA256_Update(&c, kind, strlen(kind) + 1);
	if (text)	/* what is no JSON is told by verify's other checks */
		SHA256_Update(&c, text, strlen(text));
	if (digest)
		SHA256_Update(&c, digest, strlen(digest));
	SHA256_Final(d, &c);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	push(l, among(others, COUNT(others), kind), first64(d), seq, s == t->piece && unfinished(detail));
}

const char *tally_digest(struct span bytes, char out[65])
{
	uint8_t d[32];

	SHA256(bytes.p, bytes.n, d);
	return hex_of(d, 32, out);
}

void tally_end(struct told *told)
{
	for (int i = 0; i < LANES; i++)
		end_run(&told[i]);
}

void tally_free(struct told *told)
{
	for (int i = 0; i < LANES; i++) {
		free(told[i].at);
		free(told[i].run);
		told[i] = (struct told){ 0 };
	}
}

static void miss(struct tally_result *r, int64_t n, const struct token *t)
{
	if (r->missing == 0 || (t->seq < r->first_missing && t->seq >= 0)) {
		r->first_missing = t->seq;
		r->missing_kind = t->kind;
	}
	r->missing += n;
}

static void compare_lane(const struct told *a, const struct told *b, bool cut,
    struct tally_result *r)
{
	size_t i = 0, k = 0, to;

	for (; k < b->n; k++) {
		for (to = i; to < a->n && to - i < AHEAD; to++)
			if (a->at[to].hash == b->at[k].hash)
				break;
		if (to == a->n || to - i == AHEAD) {
			if (r->extra++ == 0)
				r->extra_kind = b->at[k].kind;
			continue;
		}
		if (to > i)
			miss(r, (int64_t)(to - i), &a->at[i]);
		r->same++;
		i = to + 1;
	}
	if (i < a->n && !cut)
		miss(r, (int64_t)(a->n - i), &a->at[i]);
}

bool tally_hinges(const struct told *ours, const struct told *theirs)
{
	const struct told *a = &ours[LANE_DATA], *b = &theirs[LANE_DATA];
	struct tally_result r = { .first_missing = -1 };
	size_t i = 0, k = 0;

	for (int lane = 0; lane < LANES; lane++)
		if (lane != LANE_DATA)
			compare_lane(&ours[lane], &theirs[lane],
			    lane == LANE_US, &r);
	if (r.missing || r.extra)
		return false;
	for (;; i++, k++) {
		while (i < a->n && a->at[i].hinges)
			i++;
		while (k < b->n && b->at[k].hinges)
			k++;
		if (i == a->n || k == b->n)
			break;
		if (a->at[i].hash != b->at[k].hash)
			return false;
	}
	return i == a->n && k == b->n;
}

/* What the peer said, without what is read by ids that we gave out. */
static struct told without_ids(const struct told *l)
{
	static const char *const by_id[] = { "message", "pex", "metadata",
		"donthave", "malformed" };
	struct told out = { 0 };

	for (size_t i = 0; i < l->n; i++)
		if (!among(by_id, COUNT(by_id), l->at[i].kind))
			push(&out, l->at[i].kind, l->at[i].hash, l->at[i].seq,
			    l->at[i].hinges);
	return out;
}

bool tally_order_alone(const struct told *ours, const struct told *theirs)
{
	struct told a = without_ids(&ours[LANE_PEER]);
	struct told b = without_ids(&theirs[LANE_PEER]);
	struct tally_result r = { .first_missing = -1 };

	compare_lane(&a, &b, false, &r);
	compare_lane(&ours[LANE_US], &theirs[LANE_US], true, &r);
	compare_lane(&ours[LANE_BOTH], &theirs[LANE_BOTH], false, &r);
	free(a.at);
	free(b.at);
	return !r.missing && !r.extra;
}

void tally_compare(const struct told *ours, const struct told *theirs,
    bool cut, struct tally_result *r)
{
	*r = (struct tally_result){ .first_missing = -1 };
	for (int i = 0; i < LANES; i++)
		compare_lane(&ours[i], &theirs[i], cut && i == LANE_US, r);
}
