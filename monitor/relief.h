/*
 * Room for others. Who only lingers, nothing being left to ask of it, goes when
 * there is no place for a peer never met, or when memory is short: the oldest
 * first, and each with the reason on record.
 *
 * When memory is tight nobody is dialled and nobody accepted; when it is full
 * nobody is read either, which is a stall, and if nobody lingers the newest
 * conversations go. What the bound is, see monitor/memory.h.
 */
#ifndef MONITOR_RELIEF_H
#define MONITOR_RELIEF_H

#include "monitor/crowd.h"

/* Makes one place. False: nobody lingers. */
bool relief_place(struct crowd *c);

/* Bytes were read. True: memory is full. */
bool relief_heard(struct crowd *c);

/* Due at every beat: looks at memory, makes room, records what changed, and
 * which addresses the book could not keep. */
void relief_beat(struct crowd *c, struct stamp at);
/* The last such records. */
void relief_end(struct crowd *c, struct stamp at);

static inline bool relief_tight(const struct crowd *c)
{
	return c->memory && c->memory->state != MEMORY_EASY;
}

static inline bool relief_full(const struct crowd *c)
{
	return c->memory && c->memory->state == MEMORY_FULL;
}

#endif
