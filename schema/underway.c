#include "schema/underway_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

void *underway_must(void *p)
{
	if (!p)
		log_die("out of memory for a piece");
	return p;
}

size_t underway_size(const struct underway *u)
{
	return sizeof(*u) + u->blocks;
}

size_t underway_sums_size(const struct underway *u)
{
	return sizeof(struct sums) + u->blocks * sizeof(int64_t) +
	    (size_t)u->expect.v2_leaves * 32;
}

uint32_t underway_block(const struct underway *u, uint32_t block)
{
	uint32_t left = u->bytes - block * MI_BLOCK;

	return left < MI_BLOCK ? left : MI_BLOCK;
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

void underway_prove(struct underway *u, const struct torrent *t,
    const struct proven *proven)
{
	uint64_t first;
	uint8_t out[32];

	if (!proven || !u->file || !u->sums)
		return;
	hashing_wait(&u->sums->hashing);
	first = (uint64_t)u->nth * (t->mi.piece_bytes / MI_BLOCK);
	for (uint32_t b = 0; b < u->blocks &&
	    b * MI_BLOCK < u->expect.v2_bytes; b++) {
		const uint8_t *leaf = leaf_of(u, b, out);
		const uint8_t *want = leaf ? proven_block(proven,
		    u->file->root, first + b) : NULL;

		if (want && memcmp(want, leaf, 32) == 0)
			u->proven++;
		else if (want)
			u->refuted++;
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

void underway_begin(struct underway *u, struct digester *d)
{
	struct sums *s = underway_must(calloc(1, underway_sums_size(u)));

	s->utc_ns = (int64_t *)(s + 1);
	if (u->expect.v2_leaves)
		s->leaves = (uint8_t *)(s->utc_ns + u->blocks);
	u->sums = s;
	if (!s->leaves && gathered_begin(&s->whole,
	    digester_gather(d), u->bytes))
		return;
	SHA1_Init(&s->sha1);
	SHA256_Init(&s->sha256);
	hashing_init(&s->hashing, d, take, u);
}

void underway_whole(struct underway *u, const struct proven *proven)
{
	struct expect *e = &u->expect;

	u->complete = true;
	if (u->sums->whole.bytes)
		gathered_give(&u->sums->whole, e->v1.n != 0);
	if (e->v2_leaves && !e->v2.n && proven &&
	    proven_piece(proven, u->file->root, u->nth, e->v2_leaves,
	    u->proven_root))
		e->v2 = span_of(u->proven_root, 32);
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
		json_uint(j, NULL, underway_block(u, b));
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
