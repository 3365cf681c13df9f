/*
 * Which pieces one peer is asked for. Pure.
 *
 * The k-th draw (k from 0) is the n-th piece, in order of index, of those the
 * peer claims at that moment, with n the first 8 bytes (big-endian) of
 * SHA-256(seed | address in 16 bytes, IPv4 mapped | port in 2 | k in 4) modulo
 * their number. A piece drawn before, or one the torrent has no hash for, is
 * passed over. Whoever knows the seed can repeat the choice.
 */
#ifndef MONITOR_SAMPLE_H
#define MONITOR_SAMPLE_H

#include "wire/endpoint.h"

#define SAMPLE_KEPT_MAX 16	/* a larger sample needs a map */
#define SAMPLE_SEED 16

struct sample {
	int want;		/* pieces; 0: none; -1: all that are claimed */
	const uint8_t *seed;	/* SAMPLE_SEED bytes, lent */
	struct endpoint who;
	uint32_t draws, count;	/* made; pieces chosen */
	uint8_t *map;		/* lent: bits of those chosen; see below */
	uint32_t chosen[SAMPLE_KEPT_MAX];
};

/* What there is to choose from. */
struct sample_offer {
	const uint8_t *claimed;	/* bits, high first; NULL: none, or all */
	uint32_t claimed_count;
	uint32_t pieces;	/* of the torrent */
	const void *ctx;
	/* Length of a piece; 0: not to be asked for. */
	uint32_t (*piece_bytes)(const void *ctx, uint32_t piece);
};

struct sample_draw {
	uint32_t piece, draws;	/* draws made after it */
};

/* Whether a sample of this size keeps its choice in a map: zeroed bits for
 * every piece. Without it such a sample chooses nothing. */
bool sample_is_large(int want);

/* The next piece to ask for, if there is one and the sample is not complete.
 * It is chosen by sample_take only. */
bool sample_next(const struct sample *s, const struct sample_offer *o,
    struct sample_draw *d);
/* As many are chosen as are wanted. */
bool sample_complete(const struct sample *s);
/* Whether this piece, which no draw named, would do. */
bool sample_may(const struct sample *s, const struct sample_offer *o,
    uint32_t piece);
void sample_take(struct sample *s, uint32_t piece);
/* It would not be given: another may take its place, or the same again. */
void sample_drop(struct sample *s, uint32_t piece);

/* The number that the k-th draw yields for a peer (see above). */
uint64_t sample_number(const uint8_t seed[SAMPLE_SEED],
    const struct endpoint *who, uint32_t k);

#endif
