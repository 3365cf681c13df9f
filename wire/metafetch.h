/*
 * A torrent's metadata put together from what several peers give (BEP 9), in
 * lent memory. Pure: says what to ask of whom, takes the blocks, and when all
 * are there the caller holds them against the infohash.
 *
 * The first attempt takes blocks from every peer that states the same size. If
 * the whole proves wrong and more than one peer gave, every later attempt is
 * one peer's alone, so that a peer which lies is known for it and one honest
 * peer is enough. Once the true metadata is there, the blocks of the first
 * attempt are compared with it, and that tells who lied in it.
 */
#ifndef WIRE_METAFETCH_H
#define WIRE_METAFETCH_H

#include "metadata.h"

#define METAFETCH_PEERS 64u
#define METAFETCH_NONE UINT32_MAX
#define METAFETCH_WAIT_MS 10000		/* for one block */
#define METAFETCH_REST_MS 60000		/* of a peer that refused, was silent,
					 * or gave what does not fit */
/* An attempt that takes longer makes way for another. */
#define METAFETCH_ATTEMPT_MS(blocks) (60000 + 2000 * (int64_t)(blocks))

struct metafetch_block {
	bool have;
	uint8_t by;		/* if have: slot of the peer that gave it */
	bool kept;		/* of the first attempt: */
	uint8_t kept_by;
	uint32_t kept_bytes;
	uint8_t kept_sha1[20];
};

struct metafetch_peer {
	bool used, gone;
	uint32_t size;		/* metadata_size as it stated it */
	uint32_t asked;		/* block, or METAFETCH_NONE */
	int64_t asked_ms;
	bool late;		/* it did not answer that in time */
	int64_t rest_ms;	/* not to be asked before */
	uint32_t gave;		/* blocks, over all attempts */
	const char *lie;	/* what it was caught at; NULL: nothing */
};

struct metafetch {
	uint8_t *buf;
	struct metafetch_block *block;
	uint32_t cap;		/* largest metadata taken */
	uint32_t total;		/* of this attempt; 0: none begun */
	uint32_t blocks, have;
	uint32_t attempts;
	int64_t began_ms;
	bool singly;		/* attempts are one peer's alone */
	uint32_t alone;		/* whose; METAFETCH_NONE: nobody's yet */
	bool kept;		/* blocks hold what the first attempt gave */
	bool done;		/* verified */
	struct metafetch_peer peer[METAFETCH_PEERS];
};

/* buf of room bytes and n blocks are lent until the end; the smaller of room
 * and n * METADATA_BLOCK is the size cap. */
void metafetch_init(struct metafetch *f, uint8_t *buf, size_t room,
    struct metafetch_block *block, size_t n);

/*
 * A peer states a metadata_size: the slot it has from now on, or -1 with *why
 * for a size of zero, negative or above the cap, and for one peer too many. A
 * peer that states another size later leaves and joins again.
 */
int metafetch_join(struct metafetch *f, int64_t size, const char **why);
/* Its slot may be given to another peer, unless what it gave may still prove
 * it a liar. */
void metafetch_leave(struct metafetch *f, unsigned slot);

/* Whether to ask something of this peer now, and which block: one at a time. */
bool metafetch_next(struct metafetch *f, unsigned slot, int64_t now_ms,
    uint32_t *piece);

/* A METADATA_DATA or METADATA_REJECT of this peer. NULL, or why data was not
 * taken. */
const char *metafetch_data(struct metafetch *f, unsigned slot,
    const struct metadata_msg *m, int64_t now_ms);
void metafetch_reject(struct metafetch *f, unsigned slot, uint32_t piece,
    int64_t now_ms);

/* All the metadata of this attempt once it is there, or empty. */
struct span metafetch_whole(const struct metafetch *f);

/* Whether this attempt's whole matched the infohash. Sets .lie of the peers
 * that it proves wrong; if it did not match, a new attempt begins. */
void metafetch_verdict(struct metafetch *f, bool matches);

#endif
