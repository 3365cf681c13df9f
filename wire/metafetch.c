#include "metafetch.h"

#include <openssl/sha.h>

void metafetch_init(struct metafetch *f, uint8_t *buf, size_t room,
    struct metafetch_block *block, size_t n)
{
	*f = (struct metafetch){ .buf = buf, .block = block,
		.alone = METAFETCH_NONE };
	if (n < room / METADATA_BLOCK + 1 && n * METADATA_BLOCK < room)
		room = n * METADATA_BLOCK;
	f->cap = room < INT32_MAX ? (uint32_t)room : INT32_MAX;
	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		f->peer[i].asked = METAFETCH_NONE;
}

static uint32_t block_bytes(const struct metafetch *f, uint32_t i)
{
	return i + 1 < f->blocks ? METADATA_BLOCK :
	    f->total - i * METADATA_BLOCK;
}

/* --- peers ----------------------------------------------------------------- */

/* What it gave may still be held against it. */
static bool on_record(const struct metafetch *f, unsigned slot)
{
	for (uint32_t i = 0; i < f->blocks; i++)
		if (f->block[i].have && f->block[i].by == slot)
			return true;
	for (uint32_t i = 0; f->kept && i * METADATA_BLOCK < f->cap; i++)
		if (f->block[i].kept && f->block[i].kept_by == slot)
			return true;
	return f->peer[slot].lie != NULL;
}

int metafetch_join(struct metafetch *f, int64_t size, const char **why)
{
	*why = NULL;
	if (size <= 0)
		*why = "metadata_size of no metadata";
	else if (size > f->cap)
		*why = "metadata_size is more than is taken";
	for (unsigned i = 0; *why == NULL && i < METAFETCH_PEERS; i++) {
		if (f->peer[i].used && (!f->peer[i].gone || on_record(f, i)))
			continue;
		f->peer[i] = (struct metafetch_peer){ .used = true,
			.size = (uint32_t)size, .asked = METAFETCH_NONE,
			.rest_ms = INT64_MIN };
		return (int)i;
	}
	if (*why == NULL)
		*why = "more peers than are asked for metadata";
	return -1;
}

void metafetch_leave(struct metafetch *f, unsigned slot)
{
	f->peer[slot].gone = true;
	f->peer[slot].asked = METAFETCH_NONE;
	if (f->alone == slot)
		f->alone = METAFETCH_NONE;
}

static void rest(struct metafetch *f, unsigned slot, int64_t now_ms)
{
	f->peer[slot].rest_ms = now_ms + METAFETCH_REST_MS;
	if (f->alone == slot)
		f->alone = METAFETCH_NONE;
}

static bool usable(const struct metafetch_peer *p, int64_t now_ms)
{
	return p->used && !p->gone && p->lie == NULL && now_ms >= p->rest_ms;
}

/* --- attempts -------------------------------------------------------------- */

static void clear(struct metafetch *f)
{
	for (uint32_t i = 0; i < f->blocks; i++)
		f->block[i].have = false;
	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		f->peer[i].asked = METAFETCH_NONE;
	f->total = f->blocks = f->have = 0;
	f->alone = METAFETCH_NONE;
}

static void begin(struct metafetch *f, unsigned slot, int64_t now_ms)
{
	clear(f);
	f->attempts++;
	f->total = f->peer[slot].size;
	f->blocks = (f->total - 1) / METADATA_BLOCK + 1;
	for (uint32_t i = 0; i < f->blocks; i++) {
		f->block[i].have = false;
		if (!f->kept)
			f->block[i].kept = false;
	}
	f->began_ms = now_ms;
	f->alone = f->singly ? slot : METAFETCH_NONE;
}

static bool expired(const struct metafetch *f, int64_t now_ms)
{
	return f->total &&
	    now_ms - f->began_ms >= METAFETCH_ATTEMPT_MS(f->blocks);
}

/* Somebody can still bring this attempt to its end. */
static bool hopeful(const struct metafetch *f, int64_t now_ms)
{
	if (f->total == 0)
		return false;
	if (f->singly)
		return f->alone != METAFETCH_NONE;
	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		if (f->peer[i].size == f->total && usable(&f->peer[i], now_ms))
			return true;
	return false;
}

static bool takes_part(const struct metafetch *f, unsigned slot)
{
	return f->singly ? f->alone == slot : f->peer[slot].size == f->total;
}

/* Those who had their time and did not bring it to an end make way, if there
 * is somebody to make way for. */
static void end_slow(struct metafetch *f, int64_t now_ms)
{
	bool others = false;

	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		others = others || (!takes_part(f, i) &&
		    usable(&f->peer[i], now_ms));
	for (unsigned i = 0; others && i < METAFETCH_PEERS; i++)
		if (takes_part(f, i)) {
			f->peer[i].asked = METAFETCH_NONE;
			rest(f, i, now_ms);
		}
	f->began_ms = now_ms;
}

static bool being_asked(const struct metafetch *f, uint32_t block,
    int64_t now_ms)
{
	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		if (f->peer[i].asked == block &&
		    now_ms - f->peer[i].asked_ms < METAFETCH_WAIT_MS)
			return true;
	return false;
}

bool metafetch_next(struct metafetch *f, unsigned slot, int64_t now_ms,
    uint32_t *piece)
{
	struct metafetch_peer *p = &f->peer[slot];

	if (f->done || !usable(p, now_ms) ||
	    (f->total && f->have == f->blocks))
		return false;
	if (p->asked != METAFETCH_NONE && !p->late) {
		/* Its answer is still taken if it comes during the rest. */
		p->late = now_ms - p->asked_ms >= METAFETCH_WAIT_MS;
		if (p->late)
			rest(f, slot, now_ms);
		return false;
	}
	if (expired(f, now_ms))
		end_slow(f, now_ms);
	if (!usable(p, now_ms))
		return false;
	if (!hopeful(f, now_ms))
		begin(f, slot, now_ms);
	if (f->singly ? f->alone != slot : p->size != f->total)
		return false;
	for (uint32_t i = 0; i < f->blocks; i++) {
		if (f->block[i].have || being_asked(f, i, now_ms))
			continue;
		p->asked = *piece = i;
		p->late = false;
		p->asked_ms = now_ms;
		return true;
	}
	return false;
}

/* --- what peers send ------------------------------------------------------- */

const char *metafetch_data(struct metafetch *f, unsigned slot,
    const struct metadata_msg *m, int64_t now_ms)
{
	struct metafetch_peer *p = &f->peer[slot];
	struct metafetch_block *b;

	if (p->asked == METAFETCH_NONE || p->asked != m->piece)
		return "metadata that was not asked for";
	b = &f->block[m->piece];
	p->asked = METAFETCH_NONE;
	if (m->total_size != -1 && m->total_size != p->size) {
		rest(f, slot, now_ms);
		return "total_size is not the metadata_size it stated";
	}
	if (m->data.n != block_bytes(f, m->piece)) {
		rest(f, slot, now_ms);
		return "metadata block of the wrong size";
	}
	if (b->have)
		return NULL;
	memcpy(f->buf + (size_t)m->piece * METADATA_BLOCK, m->data.p,
	    m->data.n);
	b->have = true;
	b->by = (uint8_t)slot;
	f->have++;
	p->gave++;
	return NULL;
}

void metafetch_reject(struct metafetch *f, unsigned slot, uint32_t piece,
    int64_t now_ms)
{
	if (f->peer[slot].asked != piece || piece == METAFETCH_NONE)
		return;
	f->peer[slot].asked = METAFETCH_NONE;
	rest(f, slot, now_ms);
}

struct span metafetch_whole(const struct metafetch *f)
{
	return f->total && f->have == f->blocks && !f->done ?
	    span_of(f->buf, f->total) : span_of(NULL, 0);
}

/* --- the verdict ----------------------------------------------------------- */

static void digest(const struct metafetch *f, uint32_t i, uint8_t sha1[20])
{
	SHA_CTX sha;

	SHA1_Init(&sha);
	SHA1_Update(&sha, f->buf + (size_t)i * METADATA_BLOCK,
	    block_bytes(f, i));
	SHA1_Final(sha1, &sha);
}

static void keep(struct metafetch *f)
{
	for (uint32_t i = 0; i * METADATA_BLOCK < f->cap; i++) {
		struct metafetch_block *b = &f->block[i];

		b->kept = i < f->blocks;
		if (!b->kept)
			continue;
		b->kept_by = b->by;
		b->kept_bytes = block_bytes(f, i);
		digest(f, i, b->kept_sha1);
	}
	f->kept = true;
}

static void compare_kept(struct metafetch *f)
{
	for (uint32_t i = 0; f->kept && i < f->blocks; i++) {
		const struct metafetch_block *b = &f->block[i];
		uint8_t sha1[20];

		if (!b->kept)
			continue;
		digest(f, i, sha1);
		if (b->kept_bytes != block_bytes(f, i) ||
		    memcmp(sha1, b->kept_sha1, sizeof(sha1)) != 0)
			f->peer[b->kept_by].lie =
			    "gave metadata that differs from the true";
	}
}

void metafetch_verdict(struct metafetch *f, bool matches)
{
	bool several = false;
	uint8_t by;

	if (metafetch_whole(f).n == 0)
		return;
	if (matches) {
		f->done = true;
		for (unsigned i = 0; i < METAFETCH_PEERS; i++)
			if (f->peer[i].used && f->peer[i].size != f->total &&
			    !f->peer[i].lie)
				f->peer[i].lie =
				    "stated a wrong metadata_size";
		compare_kept(f);
		return;
	}
	by = f->block[0].by;
	for (uint32_t i = 1; i < f->blocks; i++)
		several = several || f->block[i].by != by;
	if (several) {
		keep(f);
		f->singly = true;
	} else {
		f->peer[by].lie = "gave all the metadata, and it is wrong";
	}
	clear(f);
}
