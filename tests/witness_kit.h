/*
 * A witness whose records land in an SQLite table in memory, and a small
 * language for what two ends say to each other:
 *
 *	> what us sends, < what the peer sends:
 *	  greet [other] [plain]	handshake; other infohash; without Fast
 *	  ext			extended handshake announcing lt_donthave as 3
 *	  choke unchoke want nowant all none keepalive
 *	  have N, bits HEX, allow N, suggest N, dont N (by extended id 3)
 *	  req P B, cancel P B, reject P B	block B of piece P
 *	  blk P B, bad P B	its bytes; its bytes, one of them wrong
 *	  raw HEX		as it stands
 *	gap< N, gap> N		bytes missing
 *	wait S			seconds pass, and a tick
 *	close WHY
 *
 * Steps are separated by ';'.
 */
#ifndef TESTS_WITNESS_KIT_H
#define TESTS_WITNESS_KIT_H

#include <assert.h>
#include <sqlite3.h>

#include "schema/witness.h"
#include "tests/torrent_kit.h"

struct wit {
	struct kit kit;
	struct swarmref ref;	/* the kit's swarm, its torrent known */
	sqlite3 *db;
	sqlite3_stmt *add;
	struct witness *w;
	bool known;		/* the hook knows the torrent */
	size_t chunk;		/* bytes given at once; 0: all of a step */
	int64_t now_s;
	unsigned events, pieces, matched, incomplete;
	size_t most_memory;
};

/* The endpoints a record names, blanks between them. */
static inline void wit_names(sqlite3_stmt *st, int at, const struct record *r)
{
	char *text = calloc(1, r->names * (ENDPOINT_TEXT_MAX + 1) + 1);
	char one[ENDPOINT_TEXT_MAX], *p = text;

	assert(text);
	for (size_t i = 0; i < r->names; i++)
		p += sprintf(p, "%s%s", i ? " " : "",
		    endpoint_text(&r->named[i].at, one));
	sqlite3_bind_text(st, at, r->named ? text : NULL, -1,
	    SQLITE_TRANSIENT);
	free(text);
}

static int64_t wit_add(void *ctx, const struct record *r)
{
	struct wit *t = ctx;
	char ip[ENDPOINT_IP_MAX];

	sqlite3_reset(t->add);
	sqlite3_bind_int64(t->add, 1, r->at.utc_ns);
	sqlite3_bind_text(t->add, 2, r->kind, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(t->add, 3, r->swarm, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(t->add, 4, r->conn);
	sqlite3_bind_text(t->add, 5, endpoint_ip(r->who, ip), -1,
	    SQLITE_TRANSIENT);
	sqlite3_bind_text(t->add, 6, r->detail, -1, SQLITE_TRANSIENT);
	if (r->raw.p)
		sqlite3_bind_blob(t->add, 7, r->raw.p, (int)r->raw.n,
		    SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(t->add, 7);
	if (r->raw_sha256)
		sqlite3_bind_blob(t->add, 8, r->raw_sha256, 32,
		    SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(t->add, 8);
	wit_names(t->add, 9, r);
	assert(sqlite3_step(t->add) == SQLITE_DONE);
	return sqlite3_last_insert_rowid(t->db);
}

static const struct torrent *wit_torrent(void *ctx, const uint8_t infohash[20])
{
	const struct wit *t = ctx;

	return t->known && swarmref_is(&t->ref, infohash) ? t->kit.t : NULL;
}

static bool wit_skey(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	struct wit *t = ctx;
	uint8_t h[20];

	mse_req2(t->kit.t->wire_hash[0], h);
	memcpy(skey, t->kit.t->wire_hash[0], 20);
	return t->known && memcmp(h, req2, 20) == 0;
}

static void wit_event(void *ctx, const struct event *ev)
{
	struct wit *t = ctx;

	(void)ev;
	t->events++;
}

static void wit_piece(void *ctx, const struct piece_result *r)
{
	struct wit *t = ctx;

	t->pieces++;
	t->matched += r->matched;
	t->incomplete += !r->complete;
}

/* dialled: the witness knows its torrent from the start. */
static inline void wit_start(struct wit *t, struct kit kit, bool dialled)
{
	struct witness_hooks hooks = { .ctx = t, .add = wit_add, .skey = wit_skey,
		.torrent = wit_torrent, .event = wit_event, .piece = wit_piece };
	struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 6881);

	*t = (struct wit){ .kit = kit, .known = true,
		.now_s = 1000 };
	assert(sqlite3_open(":memory:", &t->db) == SQLITE_OK);
	assert(sqlite3_exec(t->db, "CREATE TABLE r(seq INTEGER PRIMARY KEY,"
	    "utc_ns, kind, swarm, conn, ip, detail, raw, sha256, names)", NULL, NULL,
	    NULL) == SQLITE_OK);
	assert(sqlite3_prepare_v2(t->db, "INSERT INTO r(utc_ns, kind, swarm,"
	    "conn, ip, detail, raw, sha256, names) VALUES(?,?,?,?,?,?,?,?,?)", -1,
	    &t->add, NULL) == SQLITE_OK);
	swarmref_init(&t->ref, t->kit.t);
	t->w = witness_begin(&hooks, dialled ? &t->ref : NULL, 7, &who);
	assert(t->w);
}

static inline void wit_open(struct wit *t, bool v1, bool v2, bool dialled)
{
	wit_start(t, kit_make(v1, v2), dialled);
}

static inline void wit_shut(struct wit *t)
{
	witness_free(t->w);
	sqlite3_finalize(t->add);
	sqlite3_close(t->db);
	kit_free(&t->kit);
}

static inline struct stamp wit_now(const struct wit *t)
{
	return (struct stamp){ t->now_s * INT64_C(1000000000),
		t->now_s * INT64_C(1000000000) };
}

/* In exact copies, so that a byte read too many is found. */
static inline void wit_give(struct wit *t, enum side by, const uint8_t *p,
    size_t n)
{
	while (n) {
		size_t now = t->chunk && t->chunk < n ? t->chunk : n;
		uint8_t *copy = malloc(now);
		size_t memory;

		assert(copy);
		memcpy(copy, p, now);
		witness_bytes(t->w, by, copy, now, wit_now(t));
		free(copy);
		p += now;
		n -= now;
		memory = witness_memory(t->w);
		if (memory > t->most_memory)
			t->most_memory = memory;
	}
}

/* The value of a query that has one; freed by the next. */
static inline const char *wit_ask(struct wit *t, const char *sql)
{
	static char *last;
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(t->db, sql, -1, &st, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(t->db));
		abort();
	}
	free(last);
	last = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0) ?
	    strdup((const char *)sqlite3_column_text(st, 0)) : strdup("(none)");
	sqlite3_finalize(st);
	return last;
}

static inline size_t wit_hex(const char *s, uint8_t *out)
{
	size_t n = strcspn(s, " ;") / 2;

	assert(hex_read(span_of(s, 2 * n), out, n));
	return n;
}

static inline size_t wit_small(uint8_t *out, enum pw_id id, unsigned arg)
{
	put_u32(out, 5);
	out[4] = (uint8_t)id;
	put_u32(out + 5, arg);
	return 9;
}

static inline size_t wit_ranged(struct wit *t, uint8_t *out, enum pw_id id,
    unsigned p, unsigned b)
{
	uint32_t bytes = torrent_piece_bytes(t->kit.t, p) - b * MI_BLOCK;

	put_u32(out, 13);
	out[4] = (uint8_t)id;
	put_u32(out + 5, p);
	put_u32(out + 9, b * MI_BLOCK);
	put_u32(out + 13, bytes < MI_BLOCK ? bytes : MI_BLOCK);
	return 17;
}

static inline size_t wit_block(struct wit *t, uint8_t *out, bool bad,
    unsigned p, unsigned b)
{
	uint32_t bytes;

	wit_ranged(t, out, PW_PIECE, p, b);
	bytes = (uint32_t)out[13] << 24 | (uint32_t)out[14] << 16 |
	    (uint32_t)out[15] << 8 | out[16];
	put_u32(out, 9 + bytes);
	memcpy(out + 13, t->kit.data + (size_t)p * t->kit.piece + b * MI_BLOCK,
	    bytes);
	out[13] ^= bad;
	return 13 + bytes;
}

static inline size_t wit_greet(struct wit *t, uint8_t *out, enum side by,
    const char *how)
{
	struct pw_handshake h = { .reserved = { 0, 0, 0, 0, 0, 0x10, 0, 4 } };

	memcpy(h.infohash, t->kit.t->wire_hash[0], 20);
	memcpy(h.peer_id, by == SIDE_US ? "-SW0100-uuuuuuuuuuuu" :
	    "-qB4520-pppppppppppp", 20);
	if (strncmp(how, "other", 5) == 0)
		h.infohash[0] ^= 1;
	if (strncmp(how, "plain", 5) == 0)
		h.reserved[7] = 0;
	pw_handshake_put(out, &h);
	return PW_HANDSHAKE;
}

static inline size_t wit_dict(uint8_t *out, uint8_t ext_id, const char *dict)
{
	size_t n = strlen(dict);

	put_u32(out, (uint32_t)n + 2);
	out[4] = PW_EXTENDED;
	out[5] = ext_id;
	memcpy(out + 6, dict, n);
	return n + 6;
}

/* One message of the language; its bytes. */
static inline size_t wit_message(struct wit *t, enum side by, const char *s,
    uint8_t *out)
{
	static const struct {
		const char *word;
		enum pw_id id;
	} empty[] = {
		{ "choke", PW_CHOKE }, { "unchoke", PW_UNCHOKE },
		{ "want", PW_INTERESTED }, { "nowant", PW_NOT_INTERESTED },
		{ "all", PW_HAVE_ALL }, { "none", PW_HAVE_NONE }
	}, one[] = {
		{ "have", PW_HAVE }, { "allow", PW_ALLOWED_FAST },
		{ "suggest", PW_SUGGEST }
	}, ranged[] = {
		{ "req", PW_REQUEST }, { "cancel", PW_CANCEL },
		{ "reject", PW_REJECT }
	};
	char word[16];
	unsigned a = 0, b = 0;
	int at = 0;

	assert(sscanf(s, " %15[a-z]%n", word, &at) == 1);
	s += at;
	s += strspn(s, " ");
	sscanf(s, "%u %u", &a, &b);
	for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		if (strcmp(word, empty[i].word) == 0) {
			put_u32(out, 1);
			out[4] = (uint8_t)empty[i].id;
			return 5;
		}
	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (strcmp(word, one[i].word) == 0)
			return wit_small(out, one[i].id, a);
	for (unsigned i = 0; i < sizeof(ranged) / sizeof(ranged[0]); i++)
		if (strcmp(word, ranged[i].word) == 0)
			return wit_ranged(t, out, ranged[i].id, a, b);
	if (strcmp(word, "greet") == 0)
		return wit_greet(t, out, by, s);
	if (strcmp(word, "blk") == 0 || strcmp(word, "bad") == 0)
		return wit_block(t, out, word[1] == 'a', a, b);
	if (strcmp(word, "ext") == 0)
		return wit_dict(out, 0, "d1:md11:lt_donthavei3e6:ut_pexi1ee"
		    "1:pi6881e4:reqqi250e1:v5:kit\xff\x01" "6:yourip4:\1\2\3\4e");
	if (strcmp(word, "raw") == 0)
		return wit_hex(s, out);
	if (strcmp(word, "keepalive") == 0) {
		put_u32(out, 0);
		return 4;
	}
	if (strcmp(word, "bits") == 0) {
		size_t n = wit_hex(s, out + 5);

		put_u32(out, (uint32_t)n + 1);
		out[4] = PW_BITFIELD;
		return n + 5;
	}
	assert(strcmp(word, "dont") == 0);
	put_u32(out, 6);
	out[4] = PW_EXTENDED;
	out[5] = 3;
	put_u32(out + 6, a);
	return 10;
}

static inline void wit_step(struct wit *t, const char *s)
{
	static uint8_t buf[40000];
	char why[64] = "";
	unsigned long n;
	enum side by = s[0] == '<' || (s[0] == 'g' && s[3] == '<') ?
	    SIDE_PEER : SIDE_US;

	if (sscanf(s, "wait %lu", &n) == 1) {
		t->now_s += (int64_t)n;
		witness_tick(t->w, wit_now(t));
	} else if (sscanf(s, "gap%*c %lu", &n) == 1) {
		witness_gap(t->w, by, n, wit_now(t));
	} else if (sscanf(s, "close %63[^;]", why) == 1) {
		witness_close(t->w, "us", why, wit_now(t));
	} else {
		assert(s[0] == '<' || s[0] == '>');
		wit_give(t, by, buf, wit_message(t, by, s + 1, buf));
	}
}

static inline void wit_say(struct wit *t, const char *script)
{
	while (*script) {
		wit_step(t, script);
		script += strcspn(script, ";");
		script += strspn(script, "; \n\t");
	}
}

/* Whether the peer's handshake bore the swarm's infohash, by its record. */
static inline bool wit_greeted(struct wit *t)
{
	return strcmp(wit_ask(t, "SELECT sum(detail->>'expected') FROM r "
	    "WHERE kind='handshake'"), "1") == 0;
}

/* All records so far, a few words each. */
static inline const char *wit_story(struct wit *t)
{
	return wit_ask(t,
	    "SELECT group_concat(CASE detail->>'by' WHEN 'us' THEN '>' ELSE '' "
	    "END || kind || CASE "
	    "WHEN kind='handshake' AND NOT detail->>'expected' THEN ' other' "
	    "WHEN kind IN ('bitfield','have_all','have_none') THEN ' ' ||"
	    " coalesce(detail->>'claimed'||'/'||(detail->>'pieces'),'?') "
	    "WHEN kind IN ('have','allowed_fast','suggest') THEN "
	    " (detail->'pieces')||coalesce(detail->>'claimed','') "
	    "WHEN kind='donthave' THEN ' '||(detail->>'piece')||' '||"
	    " (detail->>'claimed') "
	    "WHEN kind IN ('request','cancel','reject') THEN detail->'blocks' "
	    "WHEN kind='block' THEN (detail->'blocks')||' '||(detail->>'why') "
	    "WHEN kind='message' THEN ' '||(detail->>'id')||'/'||"
	    " coalesce(detail->>'extension','-')||' x'||(detail->>'count') "
	    "WHEN kind='malformed' THEN ' '||(detail->>'reason') "
	    "WHEN kind='gap' THEN ' '||(detail->>'bytes') "
	    "WHEN kind='piece' THEN ' '||(detail->>'piece')||' '||"
	    " CASE detail->>'match' WHEN 1 THEN 'match' WHEN 0 THEN 'FAIL' "
	    " ELSE detail->>'why' END "
	    "ELSE '' END, '; ') FROM (SELECT * FROM r ORDER BY seq)");
}

#endif
