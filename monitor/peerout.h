/*
 * What we say on one connection: sealed if it is encrypted, kept while the
 * stream takes no more, and with the witness once it was taken.
 */
#ifndef MONITOR_PEEROUT_H
#define MONITOR_PEEROUT_H

#include "monitor/peer.h"

/* Sends what waits, then what is in env->out, which is empty afterwards.
 * False, with errno: the connection broke. */
bool peerout_flush(struct peer *p);

#endif
