/*
 * A run of small messages of one kind from one side, which share a record:
 * peers say `have` and `request` thousands of times. BURST_NS or 16 KiB end a
 * run; what else ends it is the witness's to know.
 */
#ifndef SCHEMA_BURST_H
#define SCHEMA_BURST_H

#include "schema/claims.h"
#include "schema/json.h"
#include "schema/record.h"
#include "wire/talk.h"

#define BURST_MOST 16384u
/* With a tick and the commit it stays below a second, the most that a crash may
 * lose. */
#define BURST_NS INT64_C(250000000)

/* What the messages of one run have in common. */
struct burst_key {
	const char *kind;	/* of the record; NULL: does not join runs */
	enum pw_id id;		/* PW_PIECE: blocks that are not assembled */
	const char *why;	/* PW_PIECE: why not */
	uint8_t wire_id;	/* kind "message" ... */
	uint8_t ext_id;
	const char *extension;	/* ... and its extension's name, or NULL */
};

struct burst {
	struct burst_key key;	/* .kind NULL: nothing under way */
	struct stamp first, last;
	uint32_t count;
	uint8_t *raw;		/* the messages as they came */
	size_t n, room;
	uint64_t *heard;	/* as in docs/evidence-format.md, of each message;
				 * NULL: not told */
};

/* How the messages that the evidence format joins are recognised. */
struct burst_key burst_key(const struct event *ev);

/* Whether n more bytes of this key at this time still belong to the run. */
bool burst_joins(const struct burst *b, const struct burst_key *key, size_t n,
    struct stamp at);
/* Whether the run is older than BURST_NS. */
bool burst_old(const struct burst *b, struct stamp at);

/* Adds one message, copied. It must join, or nothing be under way. */
void burst_add(struct burst *b, const struct burst_key *key, struct span raw,
    struct stamp at);

/* What had been heard of the other side when the message just added was said.
 * Of all of a run's messages, or of none. */
void burst_heard(struct burst *b, uint64_t bytes);

/* The detail of the run's record. claims are the side's, NULL if they do not
 * count for the torrent. */
void burst_detail(const struct burst *b, const char *by,
    const struct claims *claims, struct json *j);

/* Nothing is under way any more; zeroed bursts are empty too. */
void burst_fini(struct burst *b);

#endif
