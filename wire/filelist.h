/*
 * The two file lists a torrent may hold, walked in order: the v1 list (BEP 3,
 * 47) and the v2 tree (BEP 52). For metainfo.c and fileindex.c; the bytes
 * walked have passed ben_next.
 */
#ifndef WIRE_FILELIST_H
#define WIRE_FILELIST_H

#include "metainfo.h"

enum fl_step {
	FL_FILE,
	FL_END,
	FL_BAD
};

struct fl_list {
	const struct metainfo *mi;
	struct cur in;
	uint64_t offset;
	bool ended;		/* single file: was given */
};

/* The next file; *notes collects mi_note bits (may be NULL). */
void fl_list_init(struct fl_list *w, const struct metainfo *mi);
enum fl_step fl_list_next(struct fl_list *w, struct mi_file *f,
    unsigned *notes, struct wire_error *err);

struct fl_tree {
	const struct metainfo *mi;
	struct cur in;
	uint64_t offset;
	uint32_t n;		/* files given */
	unsigned depth;		/* dicts open, the root included */
	struct {
		struct span key;	/* last met in this dict */
		uint32_t owner;		/* first file in this dict */
	} dir[BEN_DEPTH_MAX];
};

void fl_tree_init(struct fl_tree *w, const struct metainfo *mi);
enum fl_step fl_tree_next(struct fl_tree *w, struct mi_file *f,
    unsigned *notes, struct wire_error *err);

/* Whether the file last given by the tree has the path of this v1 file. */
bool fl_same_path(const struct fl_tree *w, const struct mi_file *v1);

/* Notes that a name or path element deserves: MI_UNSAFE_PATH, MI_BAD_TEXT. */
unsigned fl_text_notes(struct span text);

#endif
