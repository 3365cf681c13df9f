/*
 * A torrent on the heap: its bytes, what metainfo says of them, its file
 * index. Shared read-only by swarms and conversations.
 */
#ifndef SCHEMA_TORRENT_H
#define SCHEMA_TORRENT_H

#include "schema/json.h"
#include "wire/metainfo.h"

#define TORRENT_MAX (128u << 20)	/* bytes of a .torrent we read */

struct torrent {
	uint8_t *bytes;
	struct metainfo mi;
	struct mi_file *files;	/* mi.files of them */
	uint8_t wire_hash[2][20];	/* what its peers' handshakes bear: v1,
					 * and v2 truncated (BEP 52) */
	int wire_hashes;
	char swarm[65];		/* the record's swarm: hex of v1, else v2 */
};

/* From bytes (copied) or a file. NULL with *err filled (bytes), or with one
 * line logged that names the file (file). */
struct torrent *torrent_new(struct span bytes, struct wire_error *err);
struct torrent *torrent_load(const char *file);
void torrent_free(struct torrent *t);

/* 0: there is no such piece. */
uint32_t torrent_piece_bytes(const struct torrent *t, uint32_t piece);

/* The first file that ends behind byte at of the piece space; mi.files: none. */
uint32_t torrent_file_at(const struct torrent *t, uint64_t at);

/*
 * What a piece must hash to. v1: its SHA-1. v2 (BEP 52): the Merkle root of
 * the SHA-256 of each 16 KiB of its first v2_bytes, in a tree of v2_leaves
 * hashes, those that are missing being zero; in a hybrid, what lies behind
 * v2_bytes is padding. A span is empty where the torrent does not say; without
 * a piece layer v2_bytes and v2_leaves are still set.
 */
struct expect {
	struct span v1;
	struct span v2;
	uint32_t v2_bytes, v2_leaves;
};
void torrent_expect(const struct torrent *t, uint32_t piece, struct expect *e);

/* v2: the file in whose tree a piece lies, and its number there; NULL if it
 * lies in none. */
const struct mi_file *torrent_tree(const struct torrent *t, uint32_t piece,
    uint32_t *nth);
/* v2: the first file with this root, or NULL. Looks at every file. */
const struct mi_file *torrent_root(const struct torrent *t, struct span root);

/*
 * Puts "files":[{"path":..,"from":..,"to":..,"pad":..},...],"files_more":n :
 * which bytes of which files lie in bytes [from, to) of the piece; n says how
 * many more there are than are listed.
 */
#define TORRENT_LISTED_FILES 100u
void torrent_put_files(const struct torrent *t, uint32_t piece, uint32_t from,
    uint32_t to, struct json *j);

/* The detail of a `torrent` record; source is where it came from. */
void torrent_detail(const struct torrent *t, const char *source,
    struct json *j);

#endif
