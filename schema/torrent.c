#include "schema/torrent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

/* Texts and lists of a torrent are cut to this in records; `raw` has all. */
#define TEXT_CUT 4096u
#define TRACKERS_CUT 200u

static struct span cut(struct span s, size_t most)
{
	return s.n > most ? span_of(s.p, most) : s;
}

static enum wire_status read_all(struct torrent *t, struct span bytes,
    struct wire_error *err)
{
	*err = (struct wire_error){ "out of memory", 0 };
	t->bytes = malloc(bytes.n ? bytes.n : 1);
	if (!t->bytes)
		return WIRE_BAD;
	if (bytes.n)
		memcpy(t->bytes, bytes.p, bytes.n);
	if (mi_read(span_of(t->bytes, bytes.n), &t->mi, err) != WIRE_OK)
		return WIRE_BAD;
	*err = (struct wire_error){ "out of memory", 0 };
	t->files = calloc(t->mi.files ? t->mi.files : 1, sizeof(*t->files));
	if (!t->files)
		return WIRE_BAD;
	return mi_index(&t->mi, t->files, t->mi.files, err);
}

struct torrent *torrent_new(struct span bytes, struct wire_error *err)
{
	struct torrent *t;

	if (bytes.n > TORRENT_MAX) {
		*err = (struct wire_error){ "larger than 128 MiB", TORRENT_MAX };
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		*err = (struct wire_error){ "out of memory", 0 };
		return NULL;
	}
	if (read_all(t, bytes, err) != WIRE_OK) {
		torrent_free(t);
		return NULL;
	}
	if (t->mi.v1)
		memcpy(t->wire_hash[t->wire_hashes++], t->mi.hash_v1, 20);
	if (t->mi.v2)
		memcpy(t->wire_hash[t->wire_hashes++], t->mi.hash_v2, 20);
	if (t->mi.v1)
		hex_of(t->mi.hash_v1, 20, t->swarm);
	else
		hex_of(t->mi.hash_v2, 32, t->swarm);
	return t;
}

/* The whole stream, one byte beyond TORRENT_MAX at most; NULL: errno. */
static uint8_t *slurp(FILE *f, size_t *n)
{
	size_t room = 65536;
	uint8_t *p = malloc(room), *more;

	*n = 0;
	while (p) {
		*n += fread(p + *n, 1, room - *n, f);
		if (ferror(f))
			break;
		if (*n < room || room > TORRENT_MAX)
			return p;
		room = room < TORRENT_MAX ? room * 2 : TORRENT_MAX + 1;
		more = realloc(p, room);
		if (!more)
			break;
		p = more;
	}
	free(p);
	return NULL;
}

struct torrent *torrent_load(const char *file)
{
	struct torrent *t = NULL;
	struct wire_error err;
	char safe[512];
	uint8_t *bytes = NULL;
	size_t n = 0;
	FILE *f;

	log_safe(span_str(file), safe, sizeof(safe));
	f = fopen(file, "rbe");
	if (f)
		bytes = slurp(f, &n);
	if (!bytes)
		log_warn("%s: %s", safe, strerror(errno));
	else if (!(t = torrent_new(span_of(bytes, n), &err)))
		log_warn("%s: offset %zu: %s", safe, err.offset, err.reason);
	free(bytes);
	if (f)
		fclose(f);
	return t;
}

void torrent_free(struct torrent *t)
{
	if (!t)
		return;
	free(t->files);
	free(t->bytes);
	free(t);
}

uint32_t torrent_piece_bytes(const struct torrent *t, uint32_t piece)
{
	return mi_piece_bytes(&t->mi, t->files, piece);
}

uint32_t torrent_file_at(const struct torrent *t, uint64_t at)
{
	uint32_t lo = 0, hi = t->mi.files;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->files[mid].offset + t->files[mid].bytes > at)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

const struct mi_file *torrent_tree(const struct torrent *t, uint32_t piece,
    uint32_t *nth)
{
	uint64_t start = (uint64_t)piece * t->mi.piece_bytes;
	const struct mi_file *f;
	uint32_t i;

	if (!t->mi.v2 || piece >= t->mi.pieces ||
	    (i = torrent_file_at(t, start)) == t->mi.files)
		return NULL;
	f = &t->files[i];
	if (f->root.n != 32 || f->offset > start)
		return NULL;
	*nth = (uint32_t)((start - f->offset) / t->mi.piece_bytes);
	return f;
}

const struct mi_file *torrent_root(const struct torrent *t, struct span root)
{
	for (uint32_t i = 0; i < t->mi.files; i++)
		if (t->files[i].root.n == 32 && span_eq(t->files[i].root, root))
			return &t->files[i];
	return NULL;
}

void torrent_expect(const struct torrent *t, uint32_t piece, struct expect *e)
{
	const struct metainfo *mi = &t->mi;
	const struct mi_file *f;
	uint64_t left;
	uint32_t nth;

	*e = (struct expect){ 0 };
	if (piece >= mi->pieces)
		return;
	if (mi->v1 && mi->piece_hashes.n / 20 > piece)
		e->v1 = span_of(mi->piece_hashes.p + 20 * (size_t)piece, 20);
	f = torrent_tree(t, piece, &nth);
	if (!f)
		return;
	left = f->bytes - (uint64_t)nth * mi->piece_bytes;
	if (f->bytes <= mi->piece_bytes) {
		e->v2 = f->root;
		e->v2_bytes = (uint32_t)left;
		e->v2_leaves = (uint32_t)((left + MI_BLOCK - 1) / MI_BLOCK);
		return;
	}
	e->v2_bytes = left < mi->piece_bytes ? (uint32_t)left :
	    mi->piece_bytes;
	e->v2_leaves = mi->piece_bytes / MI_BLOCK;
	if (f->layer.n / 32 > nth)
		e->v2 = span_of(f->layer.p + 32 * (size_t)nth, 32);
}

void torrent_put_files(const struct torrent *t, uint32_t piece, uint32_t from,
    uint32_t to, struct json *j)
{
	uint64_t start = (uint64_t)piece * t->mi.piece_bytes;
	uint64_t at = start + from, end = start + to;
	uint32_t i = torrent_file_at(t, at), more = 0, listed = 0;
	char path[TEXT_CUT];

	json_open(j, "files", '[');
	for (; i < t->mi.files && t->files[i].offset < end; i++) {
		const struct mi_file *f = &t->files[i];
		uint64_t stop = f->offset + f->bytes;
		size_t n;

		if (f->bytes == 0)
			continue;
		if (listed++ >= TORRENT_LISTED_FILES) {
			more++;
			continue;
		}
		n = mi_path(&t->mi, f, path, sizeof(path));
		json_open(j, NULL, '{');
		json_text(j, "path", cut(span_of(path, n), sizeof(path)));
		json_uint(j, "from", (at > f->offset ? at : f->offset) -
		    f->offset);
		json_uint(j, "to", (end < stop ? end : stop) - f->offset);
		json_bool(j, "pad", f->pad);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_uint(j, "files_more", more);
}

static void put_hash(struct json *j, const char *key, bool known,
    const uint8_t *hash, size_t n)
{
	if (known)
		json_hex(j, key, span_of(hash, n));
	else
		json_null(j, key);
}

void torrent_detail(const struct torrent *t, const char *source,
    struct json *j)
{
	const struct metainfo *mi = &t->mi;
	struct mi_trackers it = { 0 };
	struct span url;
	unsigned tier, n = 0;

	json_open(j, NULL, '{');
	json_text(j, "source", span_str(source));
	json_str(j, "version", mi->v1 ? mi->v2 ? "hybrid" : "1" : "2");
	put_hash(j, "infohash_v1", mi->v1, mi->hash_v1, 20);
	put_hash(j, "infohash_v2", mi->v2, mi->hash_v2, 32);
	json_text(j, "name", cut(mi->name, TEXT_CUT));
	json_uint(j, "total_bytes", mi->total_bytes);
	json_uint(j, "piece_bytes", mi->piece_bytes);
	json_uint(j, "pieces", mi->pieces);
	json_bool(j, "private", mi->is_private);
	json_uint(j, "files", mi->files);
	json_open(j, "trackers", '[');
	while (n++ < TRACKERS_CUT && mi_tracker(mi, &it, &url, &tier))
		json_text(j, NULL, cut(url, TEXT_CUT));
	json_close(j, ']');
	json_open(j, "notes", '[');
	for (unsigned bit = 1; bit; bit <<= 1)
		if (mi->notes & bit)
			json_str(j, NULL, mi_note_text(bit));
	json_close(j, ']');
	json_close(j, '}');
}
