/*
 * Sorts any number of items of one size in bounded memory: what does not fit
 * is sorted and put into a file without a name. Order is memcmp's.
 */
#ifndef SCHEMA_SPILL_H
#define SCHEMA_SPILL_H

#include <stdbool.h>
#include <stddef.h>

struct spill;

/* folder: where the file is made if one is needed; NULL: $TMPDIR or /var/tmp.
 * room: bytes of memory, at least 64 KiB; reading back takes as much again.
 * Dies on out of memory. */
struct spill *spill_new(const char *folder, size_t item, size_t room);
void spill_free(struct spill *s);

/* -1 logged: no room on disk. */
int spill_add(struct spill *s, const void *item);

/* From the first in order again; nothing may be added until all is read. -1
 * logged. */
int spill_rewind(struct spill *s);
/* The next in order, until the next call; NULL at the end, or with *bad set,
 * logged, if the file cannot be read. */
const void *spill_next(struct spill *s, bool *bad);

/* Forgets all items. */
void spill_clear(struct spill *s);

#endif
