/*
 * The metadata of a swarm that is known by its infohash alone (BEP 9), from
 * its peers: which of them is asked what, and whether what came is the
 * torrent. Those caught at lying are on record.
 */
#ifndef MONITOR_FETCH_H
#define MONITOR_FETCH_H

#include "schema/json.h"
#include "schema/record.h"
#include "schema/torrent.h"
#include "wire/magnet.h"
#include "wire/metafetch.h"

#define FETCH_MOST (16u << 20)	/* larger metadata is not taken */
#define FETCH_NONE (-1)		/* no slot */

struct fetch;

struct fetch_conf {
	const char *swarm;	/* of the records; lent */
	const uint8_t *hash_v1, *hash_v2;	/* 20 and 32 bytes, copied; NULL:
						 * not known */
	void *ctx;
	int64_t (*add)(void *ctx, const struct record *r);
};

struct fetch *fetch_new(const struct fetch_conf *conf);	/* NULL: no memory */
void fetch_free(struct fetch *f);	/* NULL is allowed */

/* A peer says how large the metadata is: its slot until it leaves, or
 * FETCH_NONE and why on record. */
int fetch_join(struct fetch *f, int64_t size, int64_t conn,
    const struct endpoint *who, struct stamp at);
void fetch_leave(struct fetch *f, int slot);

/* Whether to ask this peer for a block now, and for which. */
bool fetch_next(struct fetch *f, int slot, struct stamp at, uint32_t *piece);

/* Its answer: data or a refusal. */
void fetch_answer(struct fetch *f, int slot, const struct metadata_msg *m,
    struct stamp at);

/*
 * Once all is there it is held against the infohash: the torrent, the caller's
 * now, and source (free it) says which conversations gave it; or NULL.
 */
struct torrent *fetch_take(struct fetch *f, struct stamp at, char **source);

#endif
