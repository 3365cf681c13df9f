/* The file index of metainfo.h: filling it, its paths, its piece layers. */
#include "metainfo.h"

#include <openssl/sha.h>

#include "filelist.h"

static enum wire_status refuse(const struct metainfo *mi,
    struct wire_error *err, const char *reason, const uint8_t *at)
{
	*err = (struct wire_error){ reason, (size_t)(at - mi->file.p) };
	return WIRE_BAD;
}

/* --- order ----------------------------------------------------------------- */

/*
 * The index stays in torrent order; index[0 .. n).order is a list of entries
 * that is sorted by a field. Heapsort: no memory, and no input is bad for it.
 */
typedef int compare_fn(const struct mi_file *a, const struct mi_file *b);

static int by_bytes(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int by_root(const struct mi_file *a, const struct mi_file *b)
{
	return by_bytes(a->root, b->root);
}

static int by_path(const struct mi_file *a, const struct mi_file *b)
{
	return by_bytes(a->path, b->path);
}

static void sift(struct mi_file *x, uint32_t at, uint32_t n, compare_fn *cmp)
{
	uint32_t moved = x[at].order, child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n &&
		    cmp(&x[x[child].order], &x[x[child + 1].order]) < 0)
			child++;
		if (cmp(&x[moved], &x[x[child].order]) >= 0)
			break;
		x[at].order = x[child].order;
		at = child;
	}
	x[at].order = moved;
}

static void sort(struct mi_file *x, uint32_t n, compare_fn *cmp)
{
	for (uint32_t i = n / 2; i-- > 0; )
		sift(x, i, n, cmp);
	while (n-- > 1) {
		uint32_t top = x[0].order;

		x[0].order = x[n].order;
		x[n].order = top;
		sift(x, 0, n, cmp);
	}
}

/* Padding of equal size bears equal paths, and nobody minds. A v2 tree cannot
 * repeat a path. */
static void note_duplicates(struct metainfo *mi, struct mi_file *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < mi->files; i++)
		if (!x[i].pad)
			x[n++].order = i;
	sort(x, n, by_path);
	for (uint32_t i = 1; i < n; i++)
		if (by_path(&x[x[i - 1].order], &x[x[i].order]) == 0) {
			mi->notes |= MI_DUPLICATE_PATH;
			return;
		}
}

/* --- piece layers ---------------------------------------------------------- */

static void hash_pair(const uint8_t *a, const uint8_t *b, uint8_t out[32])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, a, 32);
	SHA256_Update(&ctx, b, 32);
	SHA256_Final(out, &ctx);
}

/* row[l] is the root of the last complete subtree of 2^l hashes that has no
 * sibling yet, so after n hashes those of n's set bits stand. */
void mi_merkle_root(const uint8_t *hashes, size_t n, const uint8_t pad[32],
    uint8_t root[32])
{
	uint8_t row[64][32], fill[32], h[32];
	bool begun = false;
	unsigned l;

	memcpy(fill, pad, 32);
	memcpy(root, pad, 32);
	for (size_t i = 0; i < n; i++) {
		memcpy(h, hashes + 32 * i, 32);
		for (l = 0; i >> l & 1; l++)
			hash_pair(row[l], h, h);
		memcpy(row[l], h, 32);
	}
	for (l = 0; n >> l; l++) {
		bool set = n >> l & 1;

		if (set && n >> l == 1 && !begun) {
			memcpy(root, row[l], 32);	/* a power of two */
		} else if (set) {
			hash_pair(row[l], begun ? h : fill, h);
			begun = true;
			memcpy(root, h, 32);
		} else if (begun) {
			hash_pair(h, fill, h);
		}
		hash_pair(fill, fill, fill);
	}
}

static uint64_t pieces_of(const struct metainfo *mi, const struct mi_file *f)
{
	return f->bytes / mi->piece_bytes + (f->bytes % mi->piece_bytes != 0);
}

/* What stands for a piece beyond a file's end: the root over leaves of zero,
 * as many as a piece has blocks (BEP 52). */
static void piece_pad(const struct metainfo *mi, uint8_t pad[32])
{
	memset(pad, 0, 32);
	for (uint32_t n = mi->piece_bytes / MI_BLOCK; n > 1; n /= 2)
		hash_pair(pad, pad, pad);
}

/* The first of the n sorted entries with this root; n if none. */
static uint32_t find_root(const struct mi_file *x, uint32_t n, struct span root)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (by_bytes(x[x[mid].order].root, root) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && span_eq(x[x[lo].order].root, root) ? lo : n;
}

/* Gives one layer to the files of its root, which may be several. */
static enum wire_status give_layer(struct metainfo *mi, struct mi_file *x,
    uint32_t n, struct span root, const struct ben *layer,
    const uint8_t pad[32], struct wire_error *err)
{
	uint32_t i = find_root(x, n, root);
	uint8_t got[32];

	if (root.n != 32)
		return refuse(mi, err, "a piece layer's key is not 32 bytes",
		    root.p);
	if (layer->type != BEN_STR || layer->text.n % 32)
		return refuse(mi, err, "a piece layer is no text of whole "
		    "hashes", layer->raw.p);
	if (i == n) {
		mi->notes |= MI_STRAY_LAYER;
		return WIRE_OK;
	}
	if (x[x[i].order].layer.p)
		return WIRE_OK;		/* a key repeated: the first counts */
	for (uint32_t j = i; j < n && span_eq(x[x[j].order].root, root); j++)
		if (layer->text.n != 32 * pieces_of(mi, &x[x[j].order]))
			return refuse(mi, err, "a piece layer's size does not "
			    "match its file", layer->raw.p);
	mi_merkle_root(layer->text.p, layer->text.n / 32, pad, got);
	if (memcmp(got, root.p, 32) != 0) {
		mi->notes |= MI_BAD_LAYER;
		x[x[i].order].layer = span_of(layer->text.p, 0);
		return WIRE_OK;
	}
	for (uint32_t j = i; j < n && span_eq(x[x[j].order].root, root); j++)
		x[x[j].order].layer = layer->text;
	return WIRE_OK;
}

static enum wire_status pair_layers(struct metainfo *mi, struct mi_file *x,
    struct wire_error *err)
{
	struct cur c = cur_of(mi->layers);
	struct span root;
	struct ben layer;
	uint8_t pad[32];
	uint32_t n = 0;

	if (mi->layers.n) {
		for (uint32_t i = 0; i < mi->files; i++)
			if (x[i].root.n)
				x[n++].order = i;
		sort(x, n, by_root);
		piece_pad(mi, pad);
	}
	while (ben_pair(&c, &root, &layer))
		if (give_layer(mi, x, n, root, &layer, pad, err) != WIRE_OK)
			return WIRE_BAD;
	for (uint32_t i = 0; i < mi->files; i++)
		if (x[i].bytes <= mi->piece_bytes)
			x[i].layer = (struct span){ NULL, 0 };
		else if (x[i].root.n && x[i].layer.n == 0)
			mi->notes |= MI_NO_LAYERS;
	return WIRE_OK;
}

/* --- the index ------------------------------------------------------------- */

enum wire_status mi_index(struct metainfo *mi, struct mi_file *index,
    size_t n, struct wire_error *err)
{
	struct fl_list list;
	struct fl_tree tree;
	struct mi_file b;

	if (n != mi->files)
		return refuse(mi, err, "room for another number of files",
		    mi->file.p);
	if (mi->v1)
		fl_list_init(&list, mi);
	if (mi->v2)
		fl_tree_init(&tree, mi);
	for (size_t i = 0; i < n; i++) {
		struct mi_file *f = &index[i];

		if ((mi->v1 ? fl_list_next(&list, f, NULL, err) :
		    fl_tree_next(&tree, f, NULL, err)) != FL_FILE)
			return WIRE_BAD;
		if (!mi->v1 || !mi->v2 || f->pad)
			continue;
		if (fl_tree_next(&tree, &b, NULL, err) != FL_FILE)
			return WIRE_BAD;
		f->root = b.root;
	}
	if (mi->v1)
		note_duplicates(mi, index);
	return mi->v2 ? pair_layers(mi, index, err) : WIRE_OK;
}

/* --- paths ----------------------------------------------------------------- */

struct out {
	char *buf;
	size_t room, n;
};

static void put(struct out *o, struct span s)
{
	if (o->n < o->room) {
		size_t fit = o->room - o->n < s.n ? o->room - o->n : s.n;

		if (fit)
			memcpy(o->buf + o->n, s.p, fit);
	}
	o->n += s.n;
}

static void put_element(struct out *o, struct span s)
{
	put(o, span_of("/", 1));
	put(o, s);
}

/* The first want elements: those shared with an earlier file come from it.
 * Each step back shares fewer, so there are at most as many as the depth. */
static void put_keys(struct out *o, const struct mi_file *f, unsigned want)
{
	const struct mi_file *from[BEN_DEPTH_MAX];
	unsigned upto[BEN_DEPTH_MAX], n = 0;
	struct ben v;

	for (;; f -= f->up) {
		from[n] = f;
		upto[n++] = want;
		want = f->shared;
		if (want == 0 || n == BEN_DEPTH_MAX)
			break;
	}
	while (n-- > 0) {
		struct cur c = cur_of(from[n]->path);

		for (unsigned i = from[n]->shared; i < upto[n] &&
		    ben_token(&c, &v); )
			if (v.type == BEN_STR) {
				put_element(o, v.text);
				i++;
			}
	}
}

size_t mi_path(const struct metainfo *mi, const struct mi_file *f,
    char *buf, size_t n)
{
	struct out o = { buf, n, 0 };
	struct cur c = cur_of(f->path);
	struct ben v;

	if (mi->multi && f->path.n == 0)
		return 0;
	put(&o, mi->name);
	if (!mi->multi)
		return o.n;
	if (!mi->v1)
		put_keys(&o, f, BEN_DEPTH_MAX);
	else
		while (ben_item(&c, &v))
			put_element(&o, v.text);
	return o.n;
}
