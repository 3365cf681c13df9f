/*
 * Addresses that were asked something and have not answered: one question a
 * minute is enough for them, whoever names them and however often. Of those
 * that answered nothing is kept. Pure; its size is fixed.
 */
#ifndef MONITOR_ASKED_H
#define MONITOR_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#define ASKED_AGAIN_MS 60000
/* Room for the 6,000 that one query in 10 ms asks in a minute: 1.5 a set. */
#define ASKED_SETS 4096u
#define ASKED_WAYS 8u

struct asked {
	struct asked_slot {
		uint64_t who;		/* 0: free */
		int64_t at_ms;
	} slot[ASKED_SETS][ASKED_WAYS];
};

/* who: a keyed hash of the address, not 0. */
bool asked_may(const struct asked *t, uint64_t who, int64_t now_ms);
void asked_put(struct asked *t, uint64_t who, int64_t now_ms);
void asked_answered(struct asked *t, uint64_t who);

#endif
