/*
 * Where in the file the last segments that were told lie, so that one that
 * comes again can be held against its first copy without keeping any.
 */
#ifndef CAPTURE_RECENT_H
#define CAPTURE_RECENT_H

#include <stdint.h>

#define RECENT_ENTRIES 65536u

struct recent_entry {
	uint64_t before;	/* the entry before of the same direction */
	uint64_t offset;	/* in the file */
	uint32_t key, n;
};

struct recent {
	struct recent_entry *entry;
	uint64_t next;		/* number of the next entry, from 1 */
	uint64_t first;		/* older ones are of another file */
};

/* 0, or -1 on out of memory. */
int recent_init(struct recent *r);
void recent_fini(struct recent *r);

/* Notes n bytes from key on; *chain is the direction's own. */
void recent_add(struct recent *r, uint64_t *chain, uint32_t key, uint32_t n,
    uint64_t offset);

/* The entry that *chain stands for, or NULL; moves *chain to the one before. */
const struct recent_entry *recent_back(const struct recent *r,
    uint64_t *chain);

/* What was noted so far is of a file that is no longer at hand. */
void recent_forget(struct recent *r);

#endif
