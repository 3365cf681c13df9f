/*
 * Which packets carry messages that must not be shown. TCP streams are put
 * together as far as is needed to find the messages in them; where one is not
 * found (encrypted, uTP, packets lost, too much), the whole direction is taken
 * to carry it.
 */
#ifndef REPORT_WITHHOLD_H
#define REPORT_WITHHOLD_H

#include "capture/packet.h"

struct withhold;

struct withhold *withhold_new(void);
void withhold_free(struct withhold *w);

/* A message, or several after one another, of a conversation in which the
 * address's own port is port. raw p NULL: it is not known. Copied. */
void withhold_message(struct withhold *w, uint16_t port, struct span raw);
/* Whether any message is to be withheld at that port. */
bool withhold_at(const struct withhold *w, uint16_t port);

/* First pass: every TCP packet from the address, in order. */
void withhold_look(struct withhold *w, const struct packet *p);
/* Between the passes. */
void withhold_find(struct withhold *w);
/* Second pass, the same packets: whether this one is to be left out. */
bool withhold_is(struct withhold *w, const struct packet *p);

#endif
