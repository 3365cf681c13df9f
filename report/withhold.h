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

struct withhold *withhold_new(void);	/* dies when out of memory */
void withhold_free(struct withhold *w);

/* A message, or several after one another, that this end sent. raw p NULL: it
 * is not known. Copied. */
void withhold_message(struct withhold *w, const struct endpoint *from,
    struct span raw);
/* Whether any message of this end is to be withheld. */
bool withhold_at(const struct withhold *w, const struct endpoint *from);

/* First pass: every TCP packet from such ends, in order. */
void withhold_look(struct withhold *w, const struct packet *p);
/* Between the passes. */
void withhold_find(struct withhold *w);
/* Second pass, the same packets: whether this one is to be left out. */
bool withhold_is(struct withhold *w, const struct packet *p);

#endif
