/*
 * What a .torrent says (BEP 3, 12, 27, 47, 52), as spans into the caller's
 * bytes. Nothing is allocated; the caller lends the file index.
 */
#ifndef WIRE_METAINFO_H
#define WIRE_METAINFO_H

#include "bencode.h"

#define MI_PIECES_MAX (1u << 24)	/* more is refused */
#define MI_FILES_MAX (1u << 20)
#define MI_BLOCK 16384u			/* BEP 52 leaf, and what we request */

/* Oddities accepted, as bits; mi_note_text says each in a few words. */
enum mi_note {
	MI_UNSORTED = 1,	/* some dictionary's keys are out of order */
	MI_REPEATED = 2,
	MI_LEADING_ZERO = 4,
	MI_TRAILING = 8,	/* bytes after the torrent's end */
	MI_UNSAFE_PATH = 16,	/* "..", absolute, separator or empty element */
	MI_BAD_TEXT = 32,	/* a name that is not UTF-8 or has controls */
	MI_NO_LAYERS = 64,	/* v2 without all piece layers: like a magnet */
	MI_DUPLICATE_PATH = 128,
	MI_BLANK_URL = 256,	/* a tracker URL had blanks around it */
	MI_NO_TAIL_PAD = 512	/* hybrid: the last file is not padded */
	/* extend as the wild demands */
};

struct metainfo {
	struct span file;	/* all of it */
	struct span info;	/* the info dict as it stands: hash these */
	bool v1, v2;		/* hybrid: both */
	uint8_t hash_v1[20];	/* SHA-1 of info; set if v1 */
	uint8_t hash_v2[32];	/* SHA-256 of info; set if v2 */
	struct span name;
	uint32_t piece_bytes;
	uint32_t pieces;	/* v1: of the one stream; v2: of the files'
				 * aligned pieces, summed */
	uint64_t total_bytes;	/* of files that are not padding */
	uint64_t span_bytes;	/* of the v1 stream, padding included; v2:
				 * files aligned to pieces */
	uint32_t files;		/* entries mi_index will fill */
	bool is_private;
	struct span piece_hashes;	/* v1: 20 bytes each */
	struct span layers;	/* v2: inside of "piece layers", may be empty */
	unsigned notes;		/* mi_note bits */
};

/* One file. path is the raw bencoded inside of its path: walk with mi_path. */
struct mi_file {
	uint64_t offset;	/* in the piece space */
	uint64_t bytes;
	struct span path;	/* v1: inside of the path list; empty if single */
	struct span root;	/* v2: 32 bytes, or empty for an empty file */
	struct span layer;	/* v2: its piece hashes, 32 bytes each; empty if
				 * one piece or less, or layers are missing */
	uint32_t first_piece;
	bool pad, symlink;
	uint32_t parent;	/* v2: index in the caller's path table */
};

/*
 * Reads a whole .torrent of any version and checks everything that its bytes
 * alone can tell: lengths, counts, overflow, alignment, agreement of v1 and v2
 * in a hybrid. OK, or BAD with *err (a constant sentence, offset in file).
 */
enum wire_status mi_read(struct span file, struct metainfo *mi,
    struct wire_error *err);

/* The same for a bare info dict, as ut_metadata gives it (BEP 9). */
enum wire_status mi_read_info(struct span info, struct metainfo *mi,
    struct wire_error *err);

/*
 * Fills index[0 .. mi->files) in torrent order and, for v2, pairs each file
 * with its piece layer and checks that the layer's hashes give the file's
 * root (BEP 52). n must be mi->files. OK, or BAD with *err.
 */
enum wire_status mi_index(const struct metainfo *mi, struct mi_file *index,
    size_t n, struct wire_error *err);

/*
 * Writes a file's path, elements joined by '/', as it stands in the torrent
 * (not cleaned; at most n bytes, no NUL) and returns its full length. A
 * multi-file torrent's path starts with the torrent's name.
 */
size_t mi_path(const struct metainfo *mi, const struct mi_file *f,
    char *buf, size_t n);

/* Bytes in piece i: shorter at the end (v1), at each file's end (v2 only). */
uint32_t mi_piece_bytes(const struct metainfo *mi, const struct mi_file *index,
    uint32_t i);

/*
 * The next tracker URL of announce-list or, without one, announce (BEP 12),
 * blanks trimmed; *tier counts from 0. Start with a zeroed iterator.
 */
struct mi_trackers {
	struct cur tiers, tier;
	unsigned n;
	bool begun, single;
};
bool mi_tracker(const struct metainfo *mi, struct mi_trackers *it,
    struct span *url, unsigned *tier);

/* Words for one note bit; NULL for none. */
const char *mi_note_text(unsigned bit);

/*
 * BEP 52 Merkle root of n hashes (32 bytes each) in a tree whose width is the
 * next power of two, missing leaves being pad. Constant stack.
 */
void mi_merkle_root(const uint8_t *hashes, size_t n, const uint8_t pad[32],
    uint8_t root[32]);

#endif
