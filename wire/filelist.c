#include "filelist.h"

static enum fl_step refuse(const struct metainfo *mi, struct wire_error *err,
    const char *reason, const uint8_t *at)
{
	*err = (struct wire_error){ reason, (size_t)(at - mi->file.p) };
	return FL_BAD;
}

/* --- text ------------------------------------------------------------------ */

/* The length of the UTF-8 sequence that starts here (RFC 3629), 0 if none. */
static size_t sequence(const uint8_t *p, size_t n)
{
	size_t want = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 :
	    p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

/*
 * We never write a file that a torrent names, so no path can harm us and none
 * is refused or changed: what the torrent says is what a reader must see. That
 * a path would leave its folder in a careless program is worth a note. Dots
 * and blanks alone count, because Windows drops trailing ones.
 */
unsigned fl_text_notes(struct span text)
{
	unsigned notes = 0;
	bool dots = true;
	size_t i = 0, n;

	while (i < text.n) {
		uint8_t c = text.p[i];

		if (c != '.' && c != ' ')
			dots = false;
		if (c == '/' || c == '\\')
			notes |= MI_UNSAFE_PATH;
		if (c < 0x20 || c == 0x7f)
			notes |= MI_BAD_TEXT;
		n = c < 0x80 ? 1 : sequence(text.p + i, text.n - i);
		if (n == 0)
			notes |= MI_BAD_TEXT;
		i += n ? n : 1;
	}
	return notes | (dots ? MI_UNSAFE_PATH : 0);
}

/* --- what both lists share ------------------------------------------------- */

/* Notes are wanted once; the index walks again without. */
static void note(unsigned *notes, unsigned bits)
{
	if (notes)
		*notes |= bits;
}

static void read_attr(struct span attr, struct mi_file *f)
{
	f->pad = attr.n && memchr(attr.p, 'p', attr.n) != NULL;
	f->symlink = attr.n && memchr(attr.p, 'l', attr.n) != NULL;
}

/* Takes the length if it is one, and places the file at *offset, which moves
 * to its end. */
static enum fl_step place(const struct metainfo *mi, struct mi_file *f,
    const struct ben *length, uint64_t *offset, unsigned *notes,
    struct wire_error *err)
{
	uint64_t most = (uint64_t)MI_PIECES_MAX * mi->piece_bytes;

	if (f->symlink) {
		if (length->raw.n && length->num != 0)
			note(notes, MI_SYMLINK_BYTES);
		f->bytes = 0;
	} else {
		if (length->num < 0)
			return refuse(mi, err, "a file's length is negative",
			    length->raw.p);
		f->bytes = (uint64_t)length->num;
	}
	if (*offset > most || f->bytes > most - *offset)
		return refuse(mi, err, "more than 16777216 pieces",
		    length->raw.n ? length->raw.p : mi->info.p);
	f->offset = *offset;
	f->first_piece = (uint32_t)(f->offset / mi->piece_bytes);
	*offset += f->bytes;
	return FL_FILE;
}

/* --- v1 -------------------------------------------------------------------- */

void fl_list_init(struct fl_list *w, const struct metainfo *mi)
{
	*w = (struct fl_list){ .mi = mi, .in = cur_of(mi->list) };
}

/* Notes the elements and finds the padding that BitComet names and does not
 * mark (its torrents are older than BEP 47). */
static enum fl_step read_path(const struct metainfo *mi, struct mi_file *f,
    struct span path, unsigned *notes, struct wire_error *err)
{
	static const char pad[] = "_____padding_file";
	struct cur c = cur_of(path);
	struct span last = { NULL, 0 };
	struct ben v;

	while (ben_item(&c, &v)) {
		if (v.type != BEN_STR)
			return refuse(mi, err, "a path element is not text",
			    v.raw.p);
		if (notes)
			*notes |= fl_text_notes(v.text);
		last = v.text;
	}
	if (!f->pad && last.n >= sizeof(pad) - 1 &&
	    memcmp(last.p, pad, sizeof(pad) - 1) == 0) {
		f->pad = true;
		note(notes, MI_NAMED_PAD);
	}
	f->path = path;
	return FL_FILE;
}

static enum fl_step read_entry(struct fl_list *w, const struct ben *entry,
    struct mi_file *f, unsigned *notes, struct wire_error *err)
{
	const struct metainfo *mi = w->mi;
	struct ben v, length = { 0 }, path = { 0 }, utf8 = { 0 }, attr = { 0 };
	struct cur c = cur_of(entry->text);
	struct span key;

	if (entry->type != BEN_DICT)
		return refuse(mi, err, "a file entry is not a dictionary",
		    entry->raw.p);
	while (ben_pair(&c, &key, &v)) {
		struct ben *field =
		    span_is(key, "length") ? &length :
		    span_is(key, "path") ? &path :
		    span_is(key, "path.utf-8") ? &utf8 :
		    span_is(key, "attr") ? &attr : NULL;

		if (field && field->raw.n == 0)
			*field = v;
	}
	if (attr.type == BEN_STR)
		read_attr(attr.text, f);
	if (utf8.type == BEN_LIST && utf8.text.n)
		path = utf8;
	if (path.raw.n && path.type != BEN_LIST)
		return refuse(mi, err, "a file's path is not a list",
		    path.raw.p);
	if (path.text.n == 0 && !f->pad)
		return refuse(mi, err, "a file has no path", entry->raw.p);
	if (!f->symlink && (length.raw.n == 0 || length.type != BEN_INT))
		return refuse(mi, err, "a file's length is missing or no number",
		    length.raw.n ? length.raw.p : entry->raw.p);
	if (read_path(mi, f, path.text, notes, err) == FL_BAD)
		return FL_BAD;
	return place(mi, f, &length, &w->offset, notes, err);
}

enum fl_step fl_list_next(struct fl_list *w, struct mi_file *f,
    unsigned *notes, struct wire_error *err)
{
	struct ben v;

	*f = (struct mi_file){ 0 };
	if (w->mi->multi) {
		if (!ben_item(&w->in, &v))
			return FL_END;
		return read_entry(w, &v, f, notes, err);
	}
	if (w->ended || !ben_item(&w->in, &v))
		return FL_END;
	w->ended = true;
	if (v.type != BEN_INT)
		return refuse(w->mi, err, "the length is not a number",
		    v.raw.p);
	return place(w->mi, f, &v, &w->offset, notes, err);
}

/* --- v2 -------------------------------------------------------------------- */

void fl_tree_init(struct fl_tree *w, const struct metainfo *mi)
{
	w->mi = mi;
	w->in = cur_of(mi->tree);
	w->offset = 0;
	w->n = 0;
	w->depth = 1;
}

static enum fl_step read_leaf(struct fl_tree *w, struct mi_file *f,
    unsigned *notes, struct wire_error *err)
{
	static const uint8_t zero[32];
	const struct metainfo *mi = w->mi;
	struct ben leaf, v, length = { 0 }, root = { 0 }, attr = { 0 };
	const uint8_t *at = w->in.p;
	uint64_t odd = w->offset % mi->piece_bytes;
	struct span key;
	struct cur c;

	if (!ben_item(&w->in, &leaf) || leaf.type != BEN_DICT)
		return refuse(mi, err, "a v2 file entry is not a dictionary",
		    at);
	c = cur_of(leaf.text);
	while (ben_pair(&c, &key, &v))
		if (span_is(key, "length"))
			length = v;
		else if (span_is(key, "pieces root"))
			root = v;
		else if (span_is(key, "attr"))
			attr = v;
	if (attr.type == BEN_STR)
		read_attr(attr.text, f);
	if (f->pad)
		return refuse(mi, err, "a v2 file is marked as padding",
		    attr.raw.p);
	if (!f->symlink && (length.raw.n == 0 || length.type != BEN_INT))
		return refuse(mi, err,
		    "a v2 file's length is missing or no number", at);
	/* Every file starts at a piece of its own. */
	if (odd)
		w->offset += mi->piece_bytes - odd;
	if (place(mi, f, &length, &w->offset, notes, err) == FL_BAD)
		return FL_BAD;
	if (f->bytes == 0)
		return FL_FILE;
	if (root.type != BEN_STR || root.text.n != 32 ||
	    memcmp(root.text.p, zero, 32) == 0)
		return refuse(mi, err, "a v2 file has no pieces root",
		    root.raw.n ? root.raw.p : at);
	f->root = root.text;
	return FL_FILE;
}

/*
 * A file's path is the chain of keys from the root. Only the keys that the
 * file before it has not are in f->path; for the others it names the file that
 * met them first, so that a tree of any shape takes no more than its own bytes.
 */
enum fl_step fl_tree_next(struct fl_tree *w, struct mi_file *f,
    unsigned *notes, struct wire_error *err)
{
	const struct metainfo *mi = w->mi;
	const uint8_t *fresh = NULL;
	struct ben key, v;

	*f = (struct mi_file){ 0 };
	while (ben_token(&w->in, &key)) {
		if (key.type == BEN_END) {
			if (fresh)
				return refuse(mi, err,
				    "an empty folder in the v2 file tree",
				    key.raw.p);
			w->depth--;
			continue;
		}
		if (key.text.n == 0) {
			if (fresh == NULL)
				return refuse(mi, err,
				    "a v2 file without a name", key.raw.p);
			f->path = span_of(fresh, (size_t)(key.raw.p - fresh));
			if (read_leaf(w, f, notes, err) == FL_BAD)
				return FL_BAD;
			if (!ben_token(&w->in, &v) || v.type != BEN_END)
				return refuse(mi, err,
				    "a v2 file that is a folder too",
				    key.raw.p);
			w->depth--;
			if (f->shared)
				f->up = w->n - w->dir[f->shared].owner;
			w->n++;
			return FL_FILE;
		}
		if (!ben_token(&w->in, &v) || v.type != BEN_DICT)
			return refuse(mi, err,
			    "a v2 file tree entry is not a dictionary",
			    key.raw.p);
		if (notes)
			*notes |= fl_text_notes(key.text);
		if (fresh == NULL) {
			fresh = key.raw.p;
			f->shared = (uint8_t)(w->depth - 1);
		}
		w->dir[w->depth - 1].key = key.text;
		w->dir[w->depth++].owner = w->n;
	}
	return FL_END;
}

bool fl_same_path(const struct fl_tree *w, const struct mi_file *v1)
{
	struct cur c = cur_of(v1->path);
	unsigned i = 0;
	struct ben v;

	if (!w->mi->multi)
		return w->depth == 1 && span_eq(w->dir[0].key, w->mi->name);
	while (ben_item(&c, &v))
		if (i == w->depth || !span_eq(w->dir[i++].key, v.text))
			return false;
	return i == w->depth;
}
