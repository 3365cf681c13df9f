/*
 * Which uTP conversation a datagram belongs to, and which one is due next.
 * Work does not grow with the number of conversations (finding), or by its
 * logarithm only (times).
 */
#ifndef MONITOR_UTPTABLE_H
#define MONITOR_UTPTABLE_H

#include "wire/endpoint.h"

/* Part of a conversation; the caller's memory. */
struct utptable_row {
	struct endpoint who;
	uint16_t id;		/* our receive id */
	uint64_t due_us;	/* UINT64_MAX: never */
	struct utptable_row *chain;
	uint32_t place;		/* in the heap */
};

struct utptable {
	uint8_t key[16];	/* random: hostile peers choose addresses */
	struct utptable_row **bucket;	/* a power of two of them */
	struct utptable_row **heap;	/* due first at 0 */
	uint32_t count, room;
};

/* Puts it in by who, id and due_us. -1: no memory. */
int utptable_add(struct utptable *t, struct utptable_row *r);
void utptable_remove(struct utptable *t, struct utptable_row *r);
struct utptable_row *utptable_find(const struct utptable *t,
    const struct endpoint *who, uint16_t id);

/* It is due at another time. */
void utptable_move(struct utptable *t, struct utptable_row *r,
    uint64_t due_us);
/* The one that is due first, or NULL. */
struct utptable_row *utptable_first(const struct utptable *t);

void utptable_fini(struct utptable *t);

#endif
