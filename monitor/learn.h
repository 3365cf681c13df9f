/*
 * What one peer tells of its swarm: the metadata, block by block, and other
 * peers.
 */
#ifndef MONITOR_LEARN_H
#define MONITOR_LEARN_H

#include "monitor/peer.h"

/* It sent an extended message; its policy has seen it. */
void learn_told(struct peer *p, const struct event *ev);

/* Asks it for metadata if it is its turn. */
void learn_ask(struct peer *p, struct stamp at);

/* It is over: nothing is expected of it any more. */
void learn_forget(struct peer *p);

#endif
