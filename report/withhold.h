/*
 * Which packets carry messages that must not be shown. TCP streams (and of
 * withhold_strict also uTP's) are put together as far as is needed to find the
 * messages in them; where one is not found (encrypted, packets lost, too much),
 * the whole direction is taken to carry it.
 *
 * Strict: bytes are shown only where the ledger says what they are. Every
 * stream is withheld that is not proved, by the digest in a conversation's
 * `closed`, to be that conversation's, and of it all behind the bytes that were
 * read.
 */
#ifndef REPORT_WITHHOLD_H
#define REPORT_WITHHOLD_H

#include "capture/packet.h"

struct withhold;

struct withhold *withhold_new(void);	/* dies when out of memory */
void withhold_free(struct withhold *w);

/* A conversation whose packets may be shown: the first n bytes that this end
 * sent have this digest. The first call makes it strict, as does
 * withhold_strict. */
void withhold_talk(struct withhold *w, const struct endpoint *from,
    int64_t conn, uint64_t n, const uint8_t sha256[32]);
void withhold_strict(struct withhold *w);

/* A message, or several after one another, that this end sent, in conversation
 * conn; -1: that is not known. raw p NULL: it is not known. Copied. */
void withhold_message(struct withhold *w, const struct endpoint *from,
    int64_t conn, struct span raw);
/* Whether any message of this end is to be withheld. */
bool withhold_at(const struct withhold *w, const struct endpoint *from);

/* First pass: every TCP packet (strict: UDP too) from such ends, in order. */
void withhold_look(struct withhold *w, const struct packet *p);
/* Between the passes. */
void withhold_find(struct withhold *w);
/* Second pass, the same packets: whether this one is to be left out. */
bool withhold_is(struct withhold *w, const struct packet *p);

#endif
