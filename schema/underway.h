/*
 * A piece under way, or what became of it: its blocks, when they came, what
 * they hash to and whether that is what the torrent says.
 */
#ifndef SCHEMA_UNDERWAY_H
#define SCHEMA_UNDERWAY_H

#include "schema/json.h"
#include "schema/torrent.h"

struct underway;

/* A whole piece is described, and matched or not, once it is settled, which
 * waits for its digests. underway_settled: that takes no time. */
bool underway_settled(struct underway *u);
void underway_settle(struct underway *u);

/* What became of it. state: how the side stands, for an incomplete one's
 * `why`: "closed, choked" gives "closed, choked at 3 of 16 blocks". */
void underway_detail(const struct underway *u, const struct torrent *t,
    const char *by, const char *state, struct json *j);
uint32_t underway_piece(const struct underway *u);
uint32_t underway_came(const struct underway *u);	/* blocks */
bool underway_complete(const struct underway *u);
bool underway_matched(const struct underway *u);
bool underway_rejected(const struct underway *u);	/* a block of it was */
/* v2: blocks whose hash a peer proved, and which have it. */
uint32_t underway_proven(const struct underway *u);
/* SHA-256 of the piece's bytes, or NULL if not complete. */
const uint8_t *underway_sha256(const struct underway *u);
void underway_free(struct underway *u);

#endif
