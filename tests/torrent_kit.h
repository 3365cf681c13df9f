/*
 * A small torrent with known bytes, of any version, made without the code
 * under test: a, b and c of 40000, 20000 and 70000 bytes in pieces of 32 KiB.
 *
 *	v1:     4 pieces, the last of 31696 bytes (one stream of 130000)
 *	v2:     6 pieces: a 2 (second 7232), b 1 (20000), c 3 (last 4464)
 *	hybrid: the same 6, padded by files to whole pieces but for the last
 */
#ifndef TESTS_TORRENT_KIT_H
#define TESTS_TORRENT_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "schema/torrent.h"

#define KIT_PIECE 32768u
#define KIT_FILES 3u

struct kit {
	uint32_t piece;		/* KIT_PIECE unless kit_of was told another */
	uint32_t sizes[KIT_FILES];
	uint8_t *data;		/* the piece space, padding zero */
	size_t bytes;
	uint8_t *file;		/* the .torrent */
	size_t n;
	struct torrent *t;
};

static inline void kit_put(struct kit *k, const void *p, size_t n)
{
	k->file = realloc(k->file, k->n + n);
	if (!k->file)
		abort();
	memcpy(k->file + k->n, p, n);
	k->n += n;
}

__attribute__((format(printf, 2, 3)))
static inline void kit_text(struct kit *k, const char *fmt, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	kit_put(k, buf, (size_t)n);
}

/* BEP 52, recursively: leaves from first, in a tree of that width. */
static inline void kit_root(const uint8_t *p, size_t n, size_t first,
    size_t width, uint8_t out[32])
{
	uint8_t pair[64];
	size_t at = first * 16384;

	if (width == 1) {
		memset(out, 0, 32);
		if (at < n)
			SHA256(p + at, n - at < 16384 ? n - at : 16384, out);
		return;
	}
	kit_root(p, n, first, width / 2, pair);
	kit_root(p, n, first + width / 2, width / 2, pair + 32);
	SHA256(pair, 64, out);
}

static inline size_t kit_width(size_t bytes)
{
	size_t width = 1;

	while (width * 16384 < bytes)
		width *= 2;
	return width;
}

static inline void kit_tree(struct kit *k, const size_t *at)
{
	uint8_t root[32];

	kit_text(k, "9:file treed");
	for (unsigned i = 0; i < KIT_FILES; i++) {
		size_t n = k->sizes[i];

		kit_root(k->data + at[i], n, 0, kit_width(n), root);
		kit_text(k, "1:%cd0:d6:lengthi%zue11:pieces root32:", 'a' + (int)i,
		    n);
		kit_put(k, root, 32);
		kit_text(k, "ee");
	}
	kit_text(k, "e");
}

static inline void kit_layers(struct kit *k, const size_t *at)
{
	uint8_t root[KIT_FILES][32], layer[32];
	unsigned order[2] = { 0, 2 };	/* b is one piece: it has no layer */

	for (unsigned i = 0; i < KIT_FILES; i++)
		kit_root(k->data + at[i], k->sizes[i], 0,
		    kit_width(k->sizes[i]), root[i]);
	if (memcmp(root[0], root[2], 32) > 0) {
		order[0] = 2;
		order[1] = 0;
	}
	kit_text(k, "12:piece layersd");
	for (unsigned o = 0; o < 2; o++) {
		unsigned i = order[o];
		size_t n = k->sizes[i], pieces = (n + k->piece - 1) / k->piece;

		kit_text(k, "32:");
		kit_put(k, root[i], 32);
		kit_text(k, "%zu:", pieces * 32);
		for (size_t p = 0; p < pieces; p++) {
			kit_root(k->data + at[i] + p * k->piece,
			    n - p * k->piece < k->piece ? n - p * k->piece :
			    k->piece, 0, k->piece / 16384, layer);
			kit_put(k, layer, 32);
		}
	}
	kit_text(k, "e");
}

static inline void kit_list(struct kit *k, bool padded)
{
	kit_text(k, "5:filesl");
	for (unsigned i = 0; i < KIT_FILES; i++) {
		uint32_t pad = k->piece - k->sizes[i] % k->piece;

		kit_text(k, "d6:lengthi%ue4:pathl1:%cee", k->sizes[i],
		    'a' + (int)i);
		if (padded && i + 1 < KIT_FILES)
			kit_text(k, "d4:attr1:p6:lengthi%ue4:pathl4:.pad%d:%uee",
			    pad, pad < 10000 ? 4 : 5, pad);
	}
	kit_text(k, "e");
}

static inline struct kit kit_of(bool v1, bool v2, uint32_t piece,
    uint32_t c_bytes)
{
	struct kit k = { .piece = piece, .sizes = { 40000, 20000, c_bytes } };
	struct wire_error err;
	size_t at[KIT_FILES];
	uint8_t hash[20];
	uint32_t seed = 1;

	for (unsigned i = 0; i < KIT_FILES; i++) {
		if (v2)
			k.bytes = (k.bytes + k.piece - 1) / k.piece *
			    k.piece;
		at[i] = k.bytes;
		k.bytes += k.sizes[i];
	}
	k.data = calloc(1, k.bytes);
	if (!k.data)
		abort();
	for (unsigned i = 0; i < KIT_FILES; i++)
		for (size_t n = 0; n < k.sizes[i]; n++) {
			seed = seed * 1664525u + 1013904223u;
			k.data[at[i] + n] = (uint8_t)(seed >> 24);
		}
	kit_text(&k, "d8:announce18:http://tracker/ann4:infod");
	if (v2)
		kit_tree(&k, at);
	if (v1)
		kit_list(&k, v2);
	if (v2)
		kit_text(&k, "12:meta versioni2e");
	kit_text(&k, "4:name3:kit12:piece lengthi%ue", k.piece);
	if (v1) {
		size_t pieces = (k.bytes + k.piece - 1) / k.piece;

		kit_text(&k, "6:pieces%zu:", pieces * 20);
		for (size_t p = 0; p < pieces; p++) {
			size_t left = k.bytes - p * k.piece;

			SHA1(k.data + p * k.piece,
			    left < k.piece ? left : k.piece, hash);
			kit_put(&k, hash, 20);
		}
	}
	kit_text(&k, "e");
	if (v2)
		kit_layers(&k, at);
	kit_text(&k, "e");
	k.t = torrent_new(span_of(k.file, k.n), &err);
	if (!k.t) {
		fprintf(stderr, "kit: %s at %zu\n", err.reason, err.offset);
		abort();
	}
	return k;
}

static inline struct kit kit_make(bool v1, bool v2)
{
	return kit_of(v1, v2, KIT_PIECE, 70000);
}

static inline void kit_free(struct kit *k)
{
	torrent_free(k->t);
	free(k->file);
	free(k->data);
}

#endif
