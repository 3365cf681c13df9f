/*
 * What a record says of one event: its kind and its detail, as the evidence
 * format's table of conversations has them. (Runs: burst.h. Pieces:
 * assembly.h.)
 */
#ifndef SCHEMA_DESCRIBE_H
#define SCHEMA_DESCRIBE_H

#include "schema/claims.h"
#include "schema/json.h"
#include "wire/talk.h"

#define DESCRIBE_RAW_MAX 4096u	/* of a malformed message's bytes */
#define DESCRIBE_TEXT_MAX 256u	/* of a peer's texts; raw has all */

/* "peer" or "us". */
const char *describe_side(enum side by);

/*
 * Puts the detail of a handshake, a message that joins no run, an extended
 * handshake, a donthave, a metadata message, a malformed or a gap event; its
 * record's kind, NULL for events that have no record of their own. by: as whose
 * it stands. expected: the handshake bears the torrent's infohash. claims: the
 * side's after the event, or NULL if they do not count for the torrent. heard:
 * of an extended handshake or metadata message of ours, what we had heard
 * before; else NULL.
 */
const char *describe_event(const struct event *ev, enum side by,
    bool expected, const struct claims *claims, const uint64_t *heard,
    struct json *j);

/* The detail of a `hashes` record. verified NULL: not told, or nothing to. */
void describe_hashes(const struct event *ev, enum side by,
    const bool *verified, const char *why, struct json *j);

/* n bytes that came again and differ (captures only). */
void describe_overlap(enum side by, uint64_t offset, uint64_t n,
    uint64_t frame, struct json *j);

/* The bytes its record keeps. */
struct span describe_raw(const struct event *ev);

#endif
