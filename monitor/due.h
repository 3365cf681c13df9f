/*
 * Whose turn is next: things with a time each, the earliest first. A binary
 * heap of lent items. Pure: memory is asked of the caller.
 */
#ifndef MONITOR_DUE_H
#define MONITOR_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no heap. Within the thing whose turn it tells. */
struct due_item {
	int64_t at_ns;
	uint32_t place;		/* in the heap, from 1; 0: in none */
};

struct due {
	void *(*memory)(void *old, size_t bytes);	/* as realloc; 0: free */
	struct due_item **item;
	uint32_t count, room;
};

/* Empty; memory as in struct due. */
void due_init(struct due *d, void *(*memory)(void *old, size_t bytes));
void due_fini(struct due *d);

/* Room for so many items in all, so that due_put cannot fail below it. False:
 * no memory. */
bool due_reserve(struct due *d, uint32_t items);

/* It is due then: put in, or moved if it is in. Room was reserved for it. */
void due_put(struct due *d, struct due_item *i, int64_t at_ns);
/* Nothing happens to one that is in none. */
void due_drop(struct due *d, struct due_item *i);

/* The earliest, or NULL; it stays where it is. */
struct due_item *due_first(const struct due *d);

#endif
