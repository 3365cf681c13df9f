#include "schema/assembly.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/gather.h"
#include "schema/log.h"

enum block_state {
	BLOCK_IDLE,
	BLOCK_ASKED,
	BLOCK_CAME
};

/* A block that came before its turn. Where the piece is gathered whole, its
 * bytes lie there and n is 0; but no more may come so than elsewhere. */
struct ahead {
	struct ahead *next;
	uint32_t block, n;
	uint8_t bytes[];
};

/* What is needed from a piece's first block on. */
struct sums {
	struct gathered whole;		/* .bytes or .given: hashed when whole */
	struct hashing hashing;		/* else; while it is under way, these are its: */
	SHA_CTX sha1;
	SHA256_CTX sha256, leaf;
	size_t at;			/* bytes taken */
	int64_t *utc_ns;	/* when each block was whole */
	uint8_t *leaves;	/* v2: expect.v2_leaves of 32 bytes */
};

struct underway {
	struct expect expect;
	uint32_t piece, bytes, blocks;
	uint32_t came_blocks, came;	/* whole blocks, and their bytes */
	uint32_t next;			/* the block that is hashed next */
	uint64_t turn;			/* when last touched */
	bool rejected, complete, settled, matched;
	struct sums *sums;		/* NULL until something came */
	struct ahead *ahead;
	const struct mi_file *file;	/* v2: whose tree has it ... */
	uint32_t nth;			/* ... as which piece */
	uint32_t proven, refuted;	/* blocks, by hashes with a proof */
	uint8_t sha1[20], sha256[32], root[32], proven_root[32];
	uint8_t state[];		/* enum block_state of each block */
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a piece");
	return p;
}

static size_t underway_size(const struct underway *u)
{
	return sizeof(*u) + u->blocks;
}

static size_t sums_size(const struct underway *u)
{
	return sizeof(struct sums) + u->blocks * sizeof(int64_t) +
	    (size_t)u->expect.v2_leaves * 32;
}

static uint32_t block_bytes(const struct underway *u, uint32_t block)
{
	uint32_t left = u->bytes - block * MI_BLOCK;

	return left < MI_BLOCK ? left : MI_BLOCK;
}

void assembly_init(struct assembly *a, const struct torrent *t, unsigned most)
{
	*a = (struct assembly){ .torrent = t, .most = most };
}

void assembly_fini(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++)
		underway_free(a->live[i]);
	free(a->live);
	free(a->filling);
	*a = (struct assembly){ 0 };
}

void underway_free(struct underway *u)
{
	if (!u)
		return;
	while (u->ahead) {
		struct ahead *h = u->ahead;

		u->ahead = h->next;
		free(h);
	}
	if (u->sums) {
		gathered_end(&u->sums->whole);
		hashing_wait(&u->sums->hashing);
	}
	free(u->sums);
	free(u);
}

static struct underway *find(const struct assembly *a, uint32_t piece)
{
	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] && a->live[i]->piece == piece)
			return a->live[i];
	return NULL;
}

static void drop_ahead(struct assembly *a, struct ahead *h)
{
	a->ahead--;
	a->heap -= sizeof(*h) + h->n;
	free(h);
}

/* The block's leaf hash, if all of it came; else NULL. */
static const uint8_t *leaf_of(const struct underway *u, uint32_t block,
    uint8_t out[32])
{
	uint32_t bytes = u->expect.v2_bytes - block * MI_BLOCK;

	if (u->state[block] != BLOCK_CAME)
		return NULL;
	if (block < u->next)
		return u->sums->leaves + 32 * (size_t)block;
	for (const struct ahead *h = u->ahead; h; h = h->next)
		if (h->block == block)
			return SHA256(h->bytes, bytes < h->n ? bytes : h->n,
			    out);
	return NULL;
}

/* Holds single blocks against the hashes that peers proved (BEP 52). */
static void prove(const struct assembly *a, struct underway *u)
{
	uint64_t first;
	uint8_t out[32];

	if (!a->proven || !u->file || !u->sums)
		return;
	hashing_wait(&u->sums->hashing);
	first = (uint64_t)u->nth * (a->torrent->mi.piece_bytes / MI_BLOCK);
	for (uint32_t b = 0; b < u->blocks &&
	    b * MI_BLOCK < u->expect.v2_bytes; b++) {
		const uint8_t *leaf = leaf_of(u, b, out);
		const uint8_t *want = leaf ? proven_block(a->proven,
		    u->file->root, first + b) : NULL;

		if (want && memcmp(want, leaf, 32) == 0)
			u->proven++;
		else if (want)
			u->refuted++;
	}
}

/* Takes u out of a: what waits for its turn is dropped. */
static struct underway *detach(struct assembly *a, unsigned i)
{
	struct underway *u = a->live[i];

	prove(a, u);
	a->live[i] = NULL;
	if (a->streaming == u) {
		a->streaming = NULL;
		if (a->filling)
			drop_ahead(a, a->filling);
		a->filling = NULL;
	}
	while (u->ahead) {
		struct ahead *h = u->ahead;

		u->ahead = h->next;
		drop_ahead(a, h);
	}
	a->heap -= underway_size(u) + (u->sums ? sums_size(u) : 0);
	a->reach -= underway_size(u) + sums_size(u);
	a->count--;
	return u;
}

struct underway *assembly_take(struct assembly *a)
{
	unsigned oldest = a->room;

	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] && (oldest == a->room ||
		    a->live[i]->turn < a->live[oldest]->turn))
			oldest = i;
	return oldest == a->room ? NULL : detach(a, oldest);
}

/* Where there is room for one more; the oldest makes it where there must not
 * be more places. */
static unsigned place(struct assembly *a, struct underway **out)
{
	unsigned i, room = a->room;
	bool full;

	for (i = 0; i < room && a->live[i]; i++)
		;
	full = a->count >= ASSEMBLY_LIVE && a->reach > ASSEMBLY_REACH;
	if (i < room && !full)
		return i;
	if (room == a->most || full) {
		*out = assembly_take(a);
		for (i = 0; a->live[i]; i++)
			;
		return i;
	}
	a->room = room ? 2 * room : ASSEMBLY_LIVE;
	a->live = must(realloc(a->live, a->room * sizeof(struct underway *)));
	memset(a->live + room, 0, (a->room - room) *
	    sizeof(struct underway *));
	a->heap += (a->room - room) * sizeof(struct underway *);
	return room;
}

static struct underway *begin(struct assembly *a, uint32_t piece,
    struct underway **out)
{
	uint32_t bytes = torrent_piece_bytes(a->torrent, piece);
	uint32_t blocks = (bytes + MI_BLOCK - 1) / MI_BLOCK;
	unsigned i = place(a, out);
	struct underway *u;

	u = must(calloc(1, sizeof(*u) + blocks));
	u->piece = piece;
	u->bytes = bytes;
	u->blocks = blocks;
	torrent_expect(a->torrent, piece, &u->expect);
	u->file = torrent_tree(a->torrent, piece, &u->nth);
	a->live[i] = u;
	a->heap += underway_size(u);
	a->reach += underway_size(u) + sums_size(u);
	a->count++;
	return u;
}

/* Why there is no such block, or NULL. Blocks lie on a grid of 16 KiB. */
static const char *no_block(const struct assembly *a, const struct pw_msg *m)
{
	uint32_t bytes;

	if (m->index >= a->torrent->mi.pieces)
		return "no such piece";
	bytes = torrent_piece_bytes(a->torrent, m->index);
	if (bytes > ASSEMBLY_PIECE_MAX)
		return "piece too large to check";
	if (m->begin >= bytes || m->begin % MI_BLOCK != 0 ||
	    m->bytes != (bytes - m->begin < MI_BLOCK ? bytes - m->begin :
	    MI_BLOCK))
		return "not a block of the 16 KiB grid";
	return NULL;
}

bool assembly_ask(struct assembly *a, const struct pw_msg *request,
    struct underway **out)
{
	struct underway *u;
	uint8_t *state;

	*out = NULL;
	if (no_block(a, request))
		return false;
	u = find(a, request->index);
	if (!u)
		u = begin(a, request->index, out);
	state = &u->state[request->begin / MI_BLOCK];
	if (*state == BLOCK_IDLE)
		*state = BLOCK_ASKED;
	u->turn = ++a->turn;
	return true;
}

void assembly_reject(struct assembly *a, const struct pw_msg *reject)
{
	struct underway *u = find(a, reject->index);
	uint8_t *state;

	if (!u || no_block(a, reject))
		return;
	state = &u->state[reject->begin / MI_BLOCK];
	if (*state != BLOCK_ASKED)
		return;
	*state = BLOCK_IDLE;
	u->rejected = true;
}

void assembly_choke(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++) {
		struct underway *u = a->live[i];

		for (uint32_t b = 0; u && b < u->blocks; b++)
			if (u->state[b] == BLOCK_ASKED)
				u->state[b] = BLOCK_IDLE;
	}
}

/* --- hashing --------------------------------------------------------------- */

/* v2: the leaf of each 16 KiB. */
static void take_leaves(const struct underway *u, struct sums *s,
    const uint8_t *p, size_t n)
{
	size_t at = s->at, whole = u->expect.v2_bytes;

	while (n && at < whole) {
		size_t end = at - at % MI_BLOCK + MI_BLOCK, part;

		if (end > whole)
			end = whole;
		part = n < end - at ? n : end - at;
		if (at % MI_BLOCK == 0)
			SHA256_Init(&s->leaf);
		SHA256_Update(&s->leaf, p, part);
		if (at + part == end)
			SHA256_Final(s->leaves + 32 * (at / MI_BLOCK),
			    &s->leaf);
		at += part;
		p += part;
		n -= part;
	}
}

/* The piece's next bytes, perhaps on another thread. */
static void take(void *ctx, const uint8_t *p, size_t n)
{
	const struct underway *u = ctx;
	struct sums *s = u->sums;

	if (u->expect.v1.n)
		SHA1_Update(&s->sha1, p, n);
	SHA256_Update(&s->sha256, p, n);
	if (s->leaves)
		take_leaves(u, s, p, n);
	s->at += n;
}

static void sums_begin(struct assembly *a, struct underway *u)
{
	struct sums *s = must(calloc(1, sums_size(u)));

	s->utc_ns = (int64_t *)(s + 1);
	if (u->expect.v2_leaves)
		s->leaves = (uint8_t *)(s->utc_ns + u->blocks);
	u->sums = s;
	a->heap += sums_size(u);
	if (!s->leaves && gathered_begin(&s->whole,
	    digester_gather(a->digester), u->bytes))
		return;
	SHA1_Init(&s->sha1);
	SHA256_Init(&s->sha256);
	hashing_init(&s->hashing, a->digester, take, u);
}

/* Those ahead whose turn has come. */
static void catch_up(struct assembly *a, struct underway *u)
{
	struct ahead **p = &u->ahead;

	while (*p) {
		struct ahead *h = *p;

		if (h->block != u->next) {
			p = &h->next;
			continue;
		}
		if (h->n)
			hashing_add(&u->sums->hashing, h->bytes, h->n);
		u->next++;
		*p = h->next;
		drop_ahead(a, h);
		p = &u->ahead;
	}
}

/* All of it came; what it must hash to is settled by what is proven now. */
static void complete(const struct assembly *a, struct underway *u)
{
	struct expect *e = &u->expect;

	u->complete = true;
	if (u->sums->whole.bytes)
		gathered_give(&u->sums->whole, e->v1.n != 0);
	if (e->v2_leaves && !e->v2.n && a->proven &&
	    proven_piece(a->proven, u->file->root, u->nth, e->v2_leaves,
	    u->proven_root))
		e->v2 = span_of(u->proven_root, 32);
	if (!a->later)
		underway_settle(u);
}

bool underway_settled(struct underway *u)
{
	if (!u->complete || u->settled)
		return true;
	return u->sums->whole.given ? gathered_done(&u->sums->whole) :
	    hashing_done(&u->sums->hashing);
}

static void take_digests(struct underway *u)
{
	struct sums *s = u->sums;

	if (s->whole.given) {
		gathered_wait(&s->whole);
		memcpy(u->sha1, s->whole.lane.sha1, sizeof(u->sha1));
		memcpy(u->sha256, s->whole.lane.sha256, sizeof(u->sha256));
		return;
	}
	hashing_wait(&s->hashing);
	SHA1_Final(u->sha1, &s->sha1);
	SHA256_Final(u->sha256, &s->sha256);
}

void underway_settle(struct underway *u)
{
	static const uint8_t zero[32];
	const struct expect *e = &u->expect;
	bool known = false, good = true;

	if (!u->complete || u->settled)
		return;
	u->settled = true;
	take_digests(u);
	if (e->v1.n) {
		known = true;
		good = memcmp(u->sha1, e->v1.p, 20) == 0;
	}
	if (e->v2.n) {
		mi_merkle_root(u->sums->leaves, e->v2_leaves, zero, u->root);
		known = true;
		good = good && memcmp(u->root, e->v2.p, 32) == 0;
	}
	u->matched = known && good;
}

/* --- blocks ---------------------------------------------------------------- */

/* A block starts: where its bytes go, or why nowhere. */
static const char *receive(struct assembly *a, const struct pw_msg *m)
{
	const char *why = no_block(a, m);
	uint32_t block = m->begin / MI_BLOCK;
	struct underway *u;

	if (why)
		return why;
	u = find(a, m->index);
	if (!u || u->state[block] == BLOCK_IDLE)
		return "not asked for";
	if (u->state[block] == BLOCK_CAME)
		return "came before";
	if (block != u->next && a->ahead >= (a->most > ASSEMBLY_LIVE ?
	    ASSEMBLY_AHEAD_MOST : ASSEMBLY_AHEAD))
		return "too far ahead of its turn";
	if (!u->sums)
		sums_begin(a, u);
	if (block != u->next) {
		uint32_t n = u->sums->whole.bytes ? 0 : m->bytes;

		a->filling = must(malloc(sizeof(*a->filling) + n));
		*a->filling = (struct ahead){ .block = block, .n = n };
		a->heap += sizeof(*a->filling) + n;
		a->ahead++;
	}
	a->streaming = u;
	a->block = block;
	u->turn = ++a->turn;
	return NULL;
}

static void whole(struct assembly *a, struct stamp at, struct underway **done)
{
	struct underway *u = a->streaming;

	u->state[a->block] = BLOCK_CAME;
	u->sums->utc_ns[a->block] = at.utc_ns;
	u->came += block_bytes(u, a->block);
	u->came_blocks++;
	if (a->filling) {
		a->filling->next = u->ahead;
		u->ahead = a->filling;
		a->filling = NULL;
	} else {
		u->next++;
		catch_up(a, u);
	}
	a->streaming = NULL;
	if (u->came_blocks < u->blocks)
		return;
	complete(a, u);
	for (unsigned i = 0; i < a->room; i++)
		if (a->live[i] == u)
			*done = detach(a, i);
}

static void put_part(const struct assembly *a, const struct event *ev)
{
	struct sums *s = a->streaming->sums;

	if (ev->part.n == 0)
		return;
	if (s->whole.bytes)
		memcpy(s->whole.bytes + (size_t)a->block * MI_BLOCK + ev->at,
		    ev->part.p, ev->part.n);
	else if (!a->filling)
		hashing_add(&s->hashing, ev->part.p, ev->part.n);
	else
		memcpy(a->filling->bytes + ev->at, ev->part.p, ev->part.n);
}

const char *assembly_block(struct assembly *a, const struct event *ev,
    struct stamp at, struct underway **done)
{
	*done = NULL;
	if (ev->raw.n) {
		const char *why = receive(a, &ev->msg);

		if (why)
			return why;
	}
	if (!a->streaming)
		return NULL;
	put_part(a, ev);
	if (ev->last)
		whole(a, at, done);
	return NULL;
}

struct underway *assembly_gap(struct assembly *a)
{
	for (unsigned i = 0; i < a->room; i++)
		if (a->streaming && a->live[i] == a->streaming)
			return detach(a, i);
	return NULL;
}

/* --- what became of it ----------------------------------------------------- */

uint32_t underway_piece(const struct underway *u)
{
	return u->piece;
}

uint32_t underway_came(const struct underway *u)
{
	return u->came_blocks;
}

bool underway_complete(const struct underway *u)
{
	return u->complete;
}

bool underway_matched(const struct underway *u)
{
	return u->matched;
}

bool underway_rejected(const struct underway *u)
{
	return u->rejected;
}

uint32_t underway_proven(const struct underway *u)
{
	return u->proven;
}

const uint8_t *underway_sha256(const struct underway *u)
{
	return u->complete ? u->sha256 : NULL;
}

static void put_hash(struct json *j, const char *key, bool known,
    const uint8_t *hash_bytes, size_t n)
{
	if (known)
		json_hex(j, key, span_of(hash_bytes, n));
	else
		json_null(j, key);
}

static void put_blocks(const struct underway *u, struct json *j)
{
	json_open(j, "blocks", '[');
	for (uint32_t b = 0; b < u->blocks; b++) {
		if (u->state[b] != BLOCK_CAME)
			continue;
		json_open(j, NULL, '[');
		json_uint(j, NULL, b * MI_BLOCK);
		json_uint(j, NULL, block_bytes(u, b));
		json_int(j, NULL, u->sums->utc_ns[b]);
		json_close(j, ']');
	}
	json_close(j, ']');
}

static void put_why(const struct underway *u, const char *state,
    struct json *j)
{
	char why[128];

	if (u->complete && (u->expect.v1.n || u->expect.v2.n)) {
		json_null(j, "why");
	} else if (u->complete) {
		json_str(j, "why", "the torrent gives no hash for this piece");
	} else {
		snprintf(why, sizeof(why), "%s at %u of %u blocks", state,
		    u->came_blocks, u->blocks);
		json_str(j, "why", why);
	}
}

void underway_detail(const struct underway *u, const struct torrent *t,
    const char *by, const char *state, struct json *j)
{
	const struct expect *e = &u->expect;

	json_open(j, NULL, '{');
	json_str(j, "by", by);
	json_uint(j, "piece", u->piece);
	json_uint(j, "bytes", u->bytes);
	json_uint(j, "came", u->came);
	put_blocks(u, j);
	json_uint(j, "blocks_total", u->blocks);
	json_bool(j, "complete", u->complete);
	put_why(u, state, j);
	put_hash(j, "expected_sha1", e->v1.n, e->v1.p, 20);
	put_hash(j, "sha1", u->complete && e->v1.n, u->sha1, 20);
	put_hash(j, "sha256", u->complete, u->sha256, 32);
	put_hash(j, "expected_root", e->v2.n, e->v2.p, 32);
	put_hash(j, "root", u->complete && e->v2.n, u->root, 32);
	if (u->complete && (e->v1.n || e->v2.n))
		json_bool(j, "match", u->matched);
	else
		json_null(j, "match");
	json_uint(j, "blocks_proven", u->proven);
	json_uint(j, "blocks_refuted", u->refuted);
	torrent_put_files(t, u->piece, 0, u->bytes, j);
	json_close(j, '}');
}
