/*
 * Hash requests and what answers them (BEP 52): a range of one layer of a
 * file's Merkle tree, and the uncles that lead from it towards the root.
 */
#ifndef WIRE_HASHES_H
#define WIRE_HASHES_H

#include "metainfo.h"
#include "peerwire.h"

#define HASHES_COUNT_MAX 512u	/* hashes of a layer in one message */

/* Everything a message can be held against: a file's tree. */
struct hashes_tree {
	struct span root;	/* 32 bytes */
	uint64_t blocks;	/* of 16 KiB: the leaves that are not padding */
	uint32_t piece_blocks;	/* a power of two */
	struct span layer;	/* the piece layer, if the torrent has it */
};
/* Of a v2 file; spans into the torrent. */
struct hashes_tree hashes_tree(const struct metainfo *mi,
    const struct mi_file *f);

enum hashes_verdict {
	HASHES_OPEN,		/* cannot be told */
	HASHES_PROVEN,		/* leads to the root, or to a piece's hash that
				 * itself is proven by the torrent */
	HASHES_WRONG
};

/*
 * Judges a `hashes` message of this file's root; *why says in a few words why
 * it is not proven, NULL if it is. The range is m->count hashes of
 * m->payload from index m->at in layer m->base above the leaves.
 */
enum hashes_verdict hashes_check(const struct pw_msg *m,
    const struct hashes_tree *t, const char **why);

/* What no request or answer may say whatever the file, or NULL. */
const char *hashes_fault(const struct pw_msg *m);

/* A request: bytes written to out. The uncles up to the root are asked for. */
#define HASHES_REQUEST_BYTES 53u
size_t hashes_put_request(uint8_t out[HASHES_REQUEST_BYTES],
    const struct hashes_tree *t, uint32_t base, uint32_t at, uint32_t count);

#endif
