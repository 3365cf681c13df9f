/*
 * How a connection came about, as records. What is said over it the witness
 * writes down.
 */
#ifndef MONITOR_PEERLOG_H
#define MONITOR_PEERLOG_H

#include "monitor/peer.h"

/* These two begin the conversation: they set p->conn. */
void peerlog_dial(struct peer *p, const struct book_visit *v,
    struct stamp at);
void peerlog_accept(struct peer *p, const struct endpoint *local,
    struct stamp at);

void peerlog_reached(struct peer *p, struct stamp at);
/* why: a word of the evidence format, peerlog_word of an errno. */
void peerlog_unreached(struct peer *p, const char *why, const char *error,
    struct stamp at);
const char *peerlog_word(int error);

#endif
