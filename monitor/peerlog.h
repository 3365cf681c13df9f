/*
 * Records of a connection itself: that it was tried, came about or did not.
 */
#ifndef MONITOR_PEERLOG_H
#define MONITOR_PEERLOG_H

#include "monitor/peer.h"

/* These two open the conversation: p->conn is set. */
void peerlog_dial(struct peer *p, struct stamp at);
void peerlog_accept(struct peer *p, const struct endpoint *local,
    struct stamp at);

/* What came of a dial; why is one of the few words that the format lists, error
 * the system's, or NULL. */
void peerlog_reached(struct peer *p, struct stamp at);
void peerlog_unreached(struct peer *p, const char *why, const char *error,
    struct stamp at);

#endif
