/*
 * A connection's place among the others: in its swarm's list, and, while there
 * is nothing more to ask of it, among those that linger, who longest first.
 */
#ifndef MONITOR_PEERLIST_H
#define MONITOR_PEERLIST_H

#include "monitor/peer.h"

void peerlist_link(struct peer *p, struct peer **list);
/* Out of its list, and of those that linger. */
void peerlist_unlink(struct peer *p);

/* Its session moved: does it linger? */
void peerlist_linger(struct peer *p);

#endif
