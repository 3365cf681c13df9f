/*
 * The requests for blocks that are under way with one peer. Pure.
 */
#ifndef MONITOR_ASKS_H
#define MONITOR_ASKS_H

#include "wire/peerwire.h"

#define SESSION_ASKS_MAX 32	/* 512 KiB under way */

struct session_ask {
	uint32_t piece, begin, bytes;
	enum { ASK_FREE, ASK_SENT, ASK_AGAIN } state;
};

/* Of an array of SESSION_ASKS_MAX: how many are in this state. */
unsigned asks_count(const struct session_ask *a, int state);
/* Pieces that those under way are of. */
unsigned asks_pieces(const struct session_ask *a);
/* The one that this piece message or reject answers, or NULL. */
struct session_ask *asks_find(struct session_ask *a, const struct pw_msg *m);

#endif
