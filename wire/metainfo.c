#include "metainfo.h"

#include <openssl/sha.h>

#include "filelist.h"

_Static_assert(MI_UNSORTED == (int)BEN_UNSORTED &&
    MI_REPEATED == (int)BEN_REPEATED &&
    MI_LEADING_ZERO == (int)BEN_LEADING_ZERO &&
    MI_TRAILING == (int)BEN_TRAILING, "bencode's notes are ours");

static enum wire_status refuse(const struct metainfo *mi,
    struct wire_error *err, const char *reason, const uint8_t *at)
{
	*err = (struct wire_error){ reason, (size_t)(at - mi->file.p) };
	return WIRE_BAD;
}

/* --- the info dict --------------------------------------------------------- */

/* The fields of an info dict as they stand; raw.n == 0: absent. Of a repeated
 * key the first counts. */
struct fields {
	struct ben version, piece_length, name, name_utf8, private, pieces,
	    length, files, tree;
};

static const struct {
	const char *key;
	size_t at;
} known[] = {
	{ "meta version", offsetof(struct fields, version) },
	{ "piece length", offsetof(struct fields, piece_length) },
	{ "name", offsetof(struct fields, name) },
	{ "name.utf-8", offsetof(struct fields, name_utf8) },
	{ "private", offsetof(struct fields, private) },
	{ "pieces", offsetof(struct fields, pieces) },
	{ "length", offsetof(struct fields, length) },
	{ "files", offsetof(struct fields, files) },
	{ "file tree", offsetof(struct fields, tree) },
};

static void collect(struct fields *f, const struct ben *info)
{
	struct cur c = cur_of(info->text);
	struct span key;
	struct ben v;

	*f = (struct fields){ 0 };
	while (ben_pair(&c, &key, &v))
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
			struct ben *field =
			    (void *)((char *)f + known[i].at);

			if (field->raw.n == 0 && span_is(key, known[i].key))
				*field = v;
		}
}

static bool given(const struct ben *v)
{
	return v->raw.n != 0;
}

static bool is_text(const struct ben *v)
{
	return given(v) && v->type == BEN_STR;
}

static enum wire_status read_version(struct metainfo *mi,
    const struct fields *f, unsigned notes, struct wire_error *err)
{
	if (given(&f->version) && (f->version.type != BEN_INT ||
	    f->version.num < 1 || f->version.num > 2))
		return refuse(mi, err, "unknown meta version",
		    f->version.raw.p);
	mi->v2 = given(&f->version) && f->version.num == 2;
	mi->v1 = !mi->v2 || given(&f->pieces);
	if (mi->v2 != given(&f->tree))
		return refuse(mi, err, mi->v2 ? "no v2 file tree" :
		    "a v2 file tree without its meta version", mi->info.p);
	/* BEP 52: an info dict that is no canonical bencoding is not valid;
	 * BEP 3 said so too, and v1 torrents in the wild do not care. */
	if (mi->v2 && (notes & (BEN_UNSORTED | BEN_REPEATED |
	    BEN_LEADING_ZERO)))
		return refuse(mi, err, notes & BEN_UNSORTED ?
		    "a v2 info dictionary with unsorted keys" :
		    notes & BEN_REPEATED ?
		    "a v2 info dictionary with a repeated key" :
		    "a v2 info dictionary with a leading zero", mi->info.p);
	return WIRE_OK;
}

static enum wire_status read_common(struct metainfo *mi,
    const struct fields *f, struct wire_error *err)
{
	int64_t n = f->piece_length.num;

	if (!given(&f->piece_length) || f->piece_length.type != BEN_INT ||
	    n <= 0)
		return refuse(mi, err, "the piece length is missing, no number "
		    "or not positive", given(&f->piece_length) ?
		    f->piece_length.raw.p : mi->info.p);
	if (n > MI_PIECE_BYTES_MAX)
		return refuse(mi, err, "the piece length is above 536870912",
		    f->piece_length.raw.p);
	if (mi->v2 && (n < MI_BLOCK || (n & (n - 1))))
		return refuse(mi, err, "a v2 piece length that is no power of "
		    "two of at least 16384", f->piece_length.raw.p);
	mi->piece_bytes = (uint32_t)n;
	if (is_text(&f->name_utf8))
		mi->name = f->name_utf8.text;
	else if (is_text(&f->name))
		mi->name = f->name.text;
	else
		return refuse(mi, err, "the name is missing or no text",
		    given(&f->name) ? f->name.raw.p : mi->info.p);
	mi->notes |= fl_text_notes(mi->name);
	/* BEP 27 says 1; whoever wrote another number meant it too. */
	mi->is_private = given(&f->private) && f->private.type == BEN_INT &&
	    f->private.num != 0;
	return WIRE_OK;
}

static enum wire_status read_v1(struct metainfo *mi, const struct fields *f,
    struct wire_error *err)
{
	if (!is_text(&f->pieces))
		return refuse(mi, err, "the piece hashes are missing or no "
		    "text", given(&f->pieces) ? f->pieces.raw.p : mi->info.p);
	if (f->pieces.text.n % 20)
		return refuse(mi, err, "the piece hashes are no multiple of "
		    "20 bytes", f->pieces.raw.p);
	mi->piece_hashes = f->pieces.text;
	if (given(&f->files)) {
		if (f->files.type != BEN_LIST)
			return refuse(mi, err, "the files are not a list",
			    f->files.raw.p);
		mi->multi = true;
		mi->list = f->files.text;
		if (given(&f->length))
			mi->notes |= MI_TWO_LENGTHS;
	} else if (given(&f->length)) {
		mi->list = f->length.raw;
	} else {
		return refuse(mi, err, "neither files nor a length",
		    mi->info.p);
	}
	return WIRE_OK;
}

/* A single file has no other name than the torrent's, so that must name
 * something: libtorrent refuses these too, and only for single files. */
static bool is_nameless(struct span name)
{
	size_t dots = 0, other = 0;

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (c == '.')
			dots++;
		else if (c != '/' && c != '\\' && c != '\0')
			other++;
	}
	return other == 0 && dots <= 2;
}

/* --- files ----------------------------------------------------------------- */

static enum wire_status count(struct metainfo *mi, const struct mi_file *f,
    struct wire_error *err)
{
	if (mi->files == MI_FILES_MAX)
		return refuse(mi, err, "more than 1048576 files", mi->info.p);
	mi->files++;
	if (!f->pad)
		mi->total_bytes += f->bytes;
	if (f->bytes)
		mi->span_bytes = f->offset + f->bytes;
	return WIRE_OK;
}

static enum wire_status walk_tree(struct metainfo *mi, struct wire_error *err)
{
	struct fl_tree tree;
	struct mi_file f;
	enum fl_step step;
	unsigned nested = 0;

	fl_tree_init(&tree, mi);
	while ((step = fl_tree_next(&tree, &f, &mi->notes, err)) == FL_FILE) {
		if (count(mi, &f, err) != WIRE_OK)
			return WIRE_BAD;
		nested = tree.depth;
	}
	/* BEP 52: one file of the torrent's own name has no folder. */
	mi->multi = !(mi->files == 1 && nested == 1 &&
	    span_eq(tree.dir[0].key, mi->name));
	return step == FL_BAD ? WIRE_BAD : WIRE_OK;
}

/* Both lists of a hybrid must name the same files, in the same order, at the
 * same place in the piece space, so that either kind of peer has the same
 * pieces (BEP 52, "Upgrade path"). */
static enum wire_status walk_list(struct metainfo *mi, struct wire_error *err)
{
	struct fl_list list;
	struct fl_tree tree;
	struct mi_file a, b;
	enum fl_step step;
	uint64_t end = 0;

	fl_list_init(&list, mi);
	if (mi->v2)
		fl_tree_init(&tree, mi);
	while ((step = fl_list_next(&list, &a, &mi->notes, err)) == FL_FILE) {
		if (count(mi, &a, err) != WIRE_OK)
			return WIRE_BAD;
		if (!mi->v2 || a.pad)
			continue;
		step = fl_tree_next(&tree, &b, NULL, err);
		if (step == FL_BAD)
			return WIRE_BAD;
		if (step == FL_END || a.bytes != b.bytes ||
		    a.symlink != b.symlink || !fl_same_path(&tree, &a) ||
		    (a.bytes && a.offset != b.offset))
			return refuse(mi, err, "the v1 and v2 file lists "
			    "do not match", step == FL_END || !a.path.n ?
			    mi->list.p : a.path.p);
		if (b.bytes)
			end = b.offset + b.bytes;
	}
	if (step == FL_BAD)
		return WIRE_BAD;
	if (!mi->v2)
		return WIRE_OK;
	step = fl_tree_next(&tree, &b, NULL, err);
	if (step == FL_BAD)
		return WIRE_BAD;
	if (step == FL_FILE)
		return refuse(mi, err, "the v1 and v2 file lists do not match",
		    mi->list.p);
	/* Padding behind the last file may fill its piece and no more. */
	if (mi->span_bytes - end >= mi->piece_bytes ||
	    (mi->span_bytes != end && mi->span_bytes % mi->piece_bytes))
		return refuse(mi, err, "padding at the end does not fill the "
		    "last piece", mi->list.p);
	if (end % mi->piece_bytes && mi->span_bytes == end)
		mi->notes |= MI_NO_TAIL_PAD;
	return WIRE_OK;
}

static uint64_t pieces_in(const struct metainfo *mi, uint64_t bytes)
{
	return bytes / mi->piece_bytes + (bytes % mi->piece_bytes != 0);
}

static enum wire_status walk_files(struct metainfo *mi, struct wire_error *err)
{
	uint64_t pieces;

	if ((mi->v1 ? walk_list(mi, err) : walk_tree(mi, err)) != WIRE_OK)
		return WIRE_BAD;
	if (mi->files == 0)
		return refuse(mi, err, "no files", mi->info.p);
	if (mi->span_bytes == 0)
		return refuse(mi, err, "no content: the length is 0",
		    mi->info.p);
	pieces = pieces_in(mi, mi->span_bytes);
	if (pieces > MI_PIECES_MAX)
		return refuse(mi, err, "more than 16777216 pieces",
		    mi->info.p);
	if (mi->v1 && mi->piece_hashes.n / 20 != pieces)
		return refuse(mi, err, "the number of piece hashes does not "
		    "match the length", mi->piece_hashes.p);
	if (!mi->multi && is_nameless(mi->name))
		return refuse(mi, err, "the name of a single file is empty",
		    mi->name.p);
	mi->pieces = (uint32_t)pieces;
	return WIRE_OK;
}

static void hash_info(struct metainfo *mi)
{
	SHA_CTX sha1;
	SHA256_CTX sha256;

	if (mi->v1) {
		SHA1_Init(&sha1);
		SHA1_Update(&sha1, mi->info.p, mi->info.n);
		SHA1_Final(mi->hash_v1, &sha1);
	}
	if (mi->v2) {
		SHA256_Init(&sha256);
		SHA256_Update(&sha256, mi->info.p, mi->info.n);
		SHA256_Final(mi->hash_v2, &sha256);
	}
}

/* mi->file is set; info is checked and lies in it. */
static enum wire_status read_info(struct metainfo *mi, const struct ben *info,
    unsigned notes, struct wire_error *err)
{
	struct fields f;

	mi->info = info->raw;
	mi->notes |= notes;
	if (info->type != BEN_DICT)
		return refuse(mi, err, "the info section is not a dictionary",
		    info->raw.p);
	collect(&f, info);
	if (read_version(mi, &f, notes, err) != WIRE_OK ||
	    read_common(mi, &f, err) != WIRE_OK)
		return WIRE_BAD;
	if (mi->v2) {
		if (f.tree.type != BEN_DICT)
			return refuse(mi, err, "the file tree is not a "
			    "dictionary", f.tree.raw.p);
		mi->tree = f.tree.text;
	}
	if (mi->v1 && read_v1(mi, &f, err) != WIRE_OK)
		return WIRE_BAD;
	if (walk_files(mi, err) != WIRE_OK)
		return WIRE_BAD;
	hash_info(mi);
	return WIRE_OK;
}

/* --- the whole ------------------------------------------------------------- */

static void note_trackers(struct metainfo *mi)
{
	struct mi_trackers it = { 0 };
	struct span url;
	unsigned tier;

	while (mi_tracker(mi, &it, &url, &tier))
		if (it.blank)
			mi->notes |= MI_BLANK_URL;
}

enum wire_status mi_read(struct span file, struct metainfo *mi,
    struct wire_error *err)
{
	struct ben top, v, info = { 0 }, layers = { 0 };
	struct cur c = cur_of(file), at;
	struct span key;
	unsigned notes = 0;

	*mi = (struct metainfo){ .file = file };
	if (ben_next(&c, &top, &mi->notes, err) != WIRE_OK)
		return WIRE_BAD;
	if (top.type != BEN_DICT)
		return refuse(mi, err, "not a dictionary", file.p);
	if (cur_left(&c))
		mi->notes |= MI_TRAILING;
	c = cur_of(top.text);
	while (ben_pair(&c, &key, &v))
		if (span_is(key, "info") && !given(&info))
			info = v;
		else if (span_is(key, "piece layers") && !given(&layers))
			layers = v;
		else if (span_is(key, "announce") && v.type == BEN_STR)
			mi->announce = v.raw;
		else if (span_is(key, "announce-list") && v.type == BEN_LIST)
			mi->announce_list = v.text;
		else if (span_is(key, "nodes") && v.type == BEN_LIST)
			mi->nodes = v.text;
	if (!given(&info))
		return refuse(mi, err, "no info section", file.p);
	/* Once more, if there is any, for the notes of the info dict alone. */
	at = cur_of(info.raw);
	if (mi->notes && ben_next(&at, &info, &notes, err) != WIRE_OK)
		return WIRE_BAD;
	if (read_info(mi, &info, notes, err) != WIRE_OK)
		return WIRE_BAD;
	if (mi->v2 && given(&layers)) {
		if (layers.type != BEN_DICT)
			return refuse(mi, err, "the piece layers are not a "
			    "dictionary", layers.raw.p);
		mi->layers = layers.text;
	}
	note_trackers(mi);
	return WIRE_OK;
}

/* --- questions ------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool trim(struct mi_trackers *it, struct span *url)
{
	size_t n = url->n;

	while (url->n && is_blank(url->p[0]))
		*url = span_of(url->p + 1, url->n - 1);
	while (url->n && is_blank(url->p[url->n - 1]))
		url->n--;
	it->blank = url->n != n;
	return url->n != 0;
}

/* Tiers that are a bare URL instead of a list exist and are read as one. */
bool mi_tracker(const struct metainfo *mi, struct mi_trackers *it,
    struct span *url, unsigned *tier)
{
	struct ben v;

	if (!it->begun) {
		it->begun = true;
		it->tiers = cur_of(mi->announce_list);
	}
	for (;;) {
		while (ben_item(&it->tier, &v)) {
			*url = v.text;
			*tier = it->n - 1;
			if (v.type == BEN_STR && trim(it, url)) {
				it->any = true;
				return true;
			}
		}
		if (ben_item(&it->tiers, &v)) {
			it->tier = cur_of(v.type == BEN_LIST ? v.text : v.raw);
			it->n++;
			continue;
		}
		if (it->any || it->last)
			return false;
		it->last = true;
		it->tier = cur_of(mi->announce);
		it->n = 1;
	}
}

bool mi_node(struct cur *nodes, struct span *host, uint16_t *port)
{
	struct ben pair, name, number;
	struct cur c;

	while (ben_item(nodes, &pair)) {
		c = cur_of(pair.text);
		if (pair.type != BEN_LIST || !ben_item(&c, &name) ||
		    !ben_item(&c, &number) || name.type != BEN_STR ||
		    name.text.n == 0 || number.type != BEN_INT ||
		    number.num < 1 || number.num > UINT16_MAX)
			continue;
		*host = name.text;
		*port = (uint16_t)number.num;
		return true;
	}
	return false;
}

uint32_t mi_piece_bytes(const struct metainfo *mi, const struct mi_file *index,
    uint32_t i)
{
	uint64_t start = (uint64_t)i * mi->piece_bytes, end = mi->span_bytes;

	if (i >= mi->pieces)
		return 0;
	if (!mi->v1) {
		/* the last file that starts at or before the piece */
		uint32_t lo = 0, hi = mi->files;

		while (hi - lo > 1) {
			uint32_t mid = lo + (hi - lo) / 2;

			if (index[mid].first_piece <= i)
				lo = mid;
			else
				hi = mid;
		}
		end = index[lo].offset + index[lo].bytes;
	}
	return end - start < mi->piece_bytes ? (uint32_t)(end - start) :
	    mi->piece_bytes;
}

const char *mi_note_text(unsigned bit)
{
	switch (bit) {
	case MI_UNSORTED:
		return "dictionary keys out of order";
	case MI_REPEATED:
		return "a dictionary key given twice";
	case MI_LEADING_ZERO:
		return "a number with leading zeros";
	case MI_TRAILING:
		return "bytes after the end";
	case MI_UNSAFE_PATH:
		return "a path with an empty or dots-only element or a "
		    "separator inside one (shown as given, never used)";
	case MI_BAD_TEXT:
		return "a name that is not UTF-8 or has control characters";
	case MI_NO_LAYERS:
		return "v2 piece layers missing";
	case MI_DUPLICATE_PATH:
		return "a path given twice";
	case MI_BLANK_URL:
		return "blanks around a tracker URL";
	case MI_NO_TAIL_PAD:
		return "hybrid without padding after the last file";
	case MI_BAD_LAYER:
		return "a v2 piece layer that does not give its file's root "
		    "(left out)";
	case MI_SYMLINK_BYTES:
		return "a symbolic link with a length (taken as 0)";
	case MI_NAMED_PAD:
		return "padding known by its file name only";
	case MI_TWO_LENGTHS:
		return "both files and a length (the files count)";
	case MI_STRAY_LAYER:
		return "a v2 piece layer of no file (left out)";
	}
	return NULL;
}
