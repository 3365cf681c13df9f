/*
 * What a .torrent says (BEP 3, 12, 27, 47, 52), as spans into the caller's
 * bytes. Nothing is allocated; the caller lends the file index.
 */
#ifndef WIRE_METAINFO_H
#define WIRE_METAINFO_H

#include "bencode.h"

#define MI_PIECES_MAX (1u << 24)	/* more is refused */
#define MI_PIECE_BYTES_MAX (1u << 29)
#define MI_FILES_MAX (1u << 20)
#define MI_BLOCK 16384u			/* BEP 52 leaf, and what we request */

/* Oddities accepted, as bits; mi_note_text says each in a few words. The
 * first four are ben_note's. */
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
	MI_NO_TAIL_PAD = 512,	/* hybrid: the last file is not padded */
	MI_BAD_LAYER = 1024,	/* a piece layer does not give its file's root
				 * and is left out */
	MI_SYMLINK_BYTES = 2048,	/* a symlink with a length: taken as 0 */
	MI_NAMED_PAD = 4096,	/* padding by BitComet's file name, no attr */
	MI_TWO_LENGTHS = 8192,	/* both "files" and "length": "files" counts */
	MI_STRAY_LAYER = 16384	/* a piece layer of no file */
};
#define MI_NOTE_LAST MI_STRAY_LAYER

struct metainfo {
	struct span file;	/* all of it */
	struct span info;	/* the info dict as it stands: hash these */
	bool v1, v2;		/* hybrid: both */
	uint8_t hash_v1[20];	/* SHA-1 of info; set if v1 */
	uint8_t hash_v2[32];	/* SHA-256 of info; set if v2 */
	struct span name;	/* "name.utf-8" where given */
	uint32_t piece_bytes;
	uint32_t pieces;	/* v1: of the one stream; v2: of the files'
				 * aligned pieces, summed (a hybrid's agree) */
	uint64_t total_bytes;	/* of files that are not padding */
	uint64_t span_bytes;	/* to the end of the last file, padding (v1) or
				 * alignment (v2) before it included */
	uint32_t files;		/* entries mi_index will fill */
	bool multi;		/* paths lie in a folder of the torrent's name */
	bool is_private;
	struct span piece_hashes;	/* v1: 20 bytes each */
	struct span list;	/* v1: inside of "files", or the "length" */
	struct span tree;	/* v2: inside of "file tree" */
	struct span layers;	/* v2: inside of "piece layers", may be empty */
	struct span announce;	/* as it stands, for mi_tracker */
	struct span announce_list;	/* its inside */
	struct span nodes;	/* DHT nodes (BEP 5), for mi_node */
	unsigned notes;		/* mi_note bits */
};

/* One file. A hybrid's are those of its v1 list, padding included, with the
 * roots and layers of v2. */
struct mi_file {
	uint64_t offset;	/* in the piece space */
	uint64_t bytes;
	struct span path;	/* v1: inside of the path list, empty if single
				 * or unnamed padding; v2: the keys in the tree
				 * that the file before it has not; see mi_path */
	struct span root;	/* v2: 32 bytes, or empty for an empty file */
	struct span layer;	/* v2: its piece hashes, 32 bytes each; empty if
				 * one piece or less, or layers are missing */
	uint32_t first_piece;
	uint32_t up;		/* v2: so many entries back is the file whose
				 * first .shared path elements are ours too */
	uint32_t order;		/* mi_index's own */
	uint8_t shared;
	bool pad, symlink;
};

/*
 * Reads a whole .torrent of any version and checks everything that its bytes
 * alone can tell: lengths, counts, overflow, alignment, agreement of v1 and v2
 * in a hybrid. OK, or BAD with *err (a constant sentence, offset in file).
 */
enum wire_status mi_read(struct span file, struct metainfo *mi,
    struct wire_error *err);

/*
 * Fills index[0 .. mi->files) in torrent order and, for v2, pairs each file
 * with its piece layer. A layer of wrong form or size is BAD. Layers lie
 * outside the info dict, so one of no file, or whose hashes do not give the
 * file's root (BEP 52), says nothing against the torrent: it is left out and
 * noted, as missing ones are. Adds to mi->notes. n must be mi->files. n log n.
 */
enum wire_status mi_index(struct metainfo *mi, struct mi_file *index,
    size_t n, struct wire_error *err);

/*
 * Writes a file's path, elements joined by '/', as it stands in the torrent
 * (not cleaned; at most n bytes, no NUL) and returns its full length, 0 for
 * padding without a path. A multi-file torrent's path starts with the
 * torrent's name. f must lie in its index, a copy will not do.
 */
size_t mi_path(const struct metainfo *mi, const struct mi_file *f,
    char *buf, size_t n);

/* Bytes in piece i: shorter at the end (v1 and hybrid), at each file's end (v2
 * only). 0 if there is no such piece. */
uint32_t mi_piece_bytes(const struct metainfo *mi, const struct mi_file *index,
    uint32_t i);

/*
 * The next tracker URL of announce-list or, without one, announce (BEP 12),
 * blanks trimmed; *tier counts from 0. Start with a zeroed iterator.
 */
struct mi_trackers {
	struct cur tiers, tier;
	unsigned n;
	bool begun, any, last;
	bool blank;		/* the URL just given had blanks around it */
};
bool mi_tracker(const struct metainfo *mi, struct mi_trackers *it,
    struct span *url, unsigned *tier);

/* The next DHT node that the torrent names: an address or a name, and a port;
 * what is none is passed over. Start with cur_of(mi->nodes). */
bool mi_node(struct cur *nodes, struct span *host, uint16_t *port);

/* Words for one note bit; NULL for none. */
const char *mi_note_text(unsigned bit);

/*
 * BEP 52 Merkle root of n hashes (32 bytes each) in a tree whose width is the
 * next power of two, missing leaves being pad. Constant stack.
 */
void mi_merkle_root(const uint8_t *hashes, size_t n, const uint8_t pad[32],
    uint8_t root[32]);

#endif
