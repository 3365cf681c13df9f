#include "hashes.h"

#include <openssl/sha.h>

/* The layer of one node that covers n nodes. */
static unsigned layers_over(uint64_t n)
{
	unsigned l = 0;

	while (UINT64_C(1) << l < n)
		l++;
	return l;
}

struct hashes_tree hashes_tree(const struct metainfo *mi,
    const struct mi_file *f)
{
	return (struct hashes_tree){ .root = f->root, .layer = f->layer,
		.blocks = f->bytes / MI_BLOCK + (f->bytes % MI_BLOCK != 0),
		.piece_blocks = mi->piece_bytes / MI_BLOCK };
}

const char *hashes_fault(const struct pw_msg *m)
{
	if (m->count < 2 || (m->count & (m->count - 1)) != 0)
		return "the count is no power of two from 2 on";
	if (m->count > HASHES_COUNT_MAX)
		return "more than 512 hashes";
	if (m->at % m->count != 0)
		return "the index is no multiple of the count";
	return NULL;
}

static enum hashes_verdict verdict(enum hashes_verdict v, const char *text,
    const char **why)
{
	*why = text;
	return v;
}

static void pair(const uint8_t left[32], const uint8_t right[32],
    uint8_t out[32])
{
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, left, 32);
	SHA256_Update(&c, right, 32);
	SHA256_Final(out, &c);
}

enum hashes_verdict hashes_check(const struct pw_msg *m,
    const struct hashes_tree *t, const char **why)
{
	static const uint8_t zero[32];
	unsigned top = layers_over(t->blocks), layer;
	unsigned piece = layers_over(t->piece_blocks);
	size_t hashes = m->payload.n / 32, uncles;
	uint8_t node[32];
	uint64_t at;

	if (hashes_fault(m))
		return verdict(HASHES_WRONG, hashes_fault(m), why);
	if (hashes < m->count)
		return verdict(HASHES_WRONG, "fewer hashes than it says", why);
	uncles = hashes - m->count;
	if (m->base > top || m->count > UINT64_C(1) << (top - m->base) ||
	    m->at > (UINT64_C(1) << (top - m->base)) - m->count)
		return verdict(HASHES_WRONG, "beyond the file's tree", why);
	layer = m->base + layers_over(m->count);
	if (uncles > top - layer)
		return verdict(HASHES_WRONG, "more uncles than layers", why);
	mi_merkle_root(m->payload.p, m->count, zero, node);
	at = m->at / m->count;
	for (size_t i = 0; i < uncles; i++, layer++, at /= 2) {
		const uint8_t *uncle = m->payload.p + 32 * (m->count + i);

		if (at % 2)
			pair(uncle, node, node);
		else
			pair(node, uncle, node);
	}
	if (layer == top && memcmp(node, t->root.p, 32) == 0)
		return verdict(HASHES_PROVEN, NULL, why);
	if (layer == top)
		return verdict(HASHES_WRONG, "does not lead to the root", why);
	if (layer != piece || at >= t->layer.n / 32)
		return verdict(HASHES_OPEN, "ends below the root", why);
	if (memcmp(node, t->layer.p + 32 * at, 32) == 0)
		return verdict(HASHES_PROVEN, NULL, why);
	return verdict(HASHES_WRONG, "does not lead to the piece's hash", why);
}

size_t hashes_put_request(uint8_t out[HASHES_REQUEST_BYTES],
    const struct hashes_tree *t, uint32_t base, uint32_t at, uint32_t count)
{
	unsigned top = layers_over(t->blocks);

	put_u32(out, HASHES_REQUEST_BYTES - 4);
	out[4] = PW_HASH_REQUEST;
	memcpy(out + 5, t->root.p, 32);
	put_u32(out + 37, base);
	put_u32(out + 41, at);
	put_u32(out + 45, count);
	/* The first of them are what the range itself gives. */
	put_u32(out + 49, top > base ? top - base - 1 : 0);
	return HASHES_REQUEST_BYTES;
}
