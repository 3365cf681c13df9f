/*
 * What one side of a conversation claims to hold, after its bitfield,
 * have_all, haves and donthaves. Claims are no proof of anything.
 */
#ifndef SCHEMA_CLAIMS_H
#define SCHEMA_CLAIMS_H

#include "wire/cur.h"

/* What is kept of claims before the number of pieces is known: this many
 * pieces of them. A longer bitfield is kept as a claim that cannot be. */
#define CLAIMS_EARLY_PIECES (1u << 20)

struct claims_early;

struct claims {
	uint8_t *bits;		/* high bit first, as on the wire; NULL: none
				 * is claimed, or all are, as count says: what
				 * have_all says takes no memory */
	uint32_t pieces;	/* of the torrent; 0 while not known */
	uint32_t count;
	struct claims_early *early;	/* claimed before pieces is known */
};

static inline bool claims_has(const struct claims *c, uint32_t piece)
{
	return piece < c->pieces && (c->bits ?
	    (c->bits[piece / 8] & 0x80u >> piece % 8) != 0 :
	    c->count == c->pieces);
}

/* Something is claimed, or was before it could be counted. */
bool claims_any(const struct claims *c);

/* Zeroed claims are empty ones. */
void claims_fini(struct claims *c);

/*
 * The number of pieces is known: what was claimed before counts from now.
 * NULL, or why the bitfield that came before is none (talk_bitfield_fault); it
 * then claims nothing, unlike haves that came behind it. Given again, claims
 * start anew.
 */
const char *claims_pieces(struct claims *c, uint32_t pieces);

void claims_all(struct claims *c);
void claims_none(struct claims *c);
/* Replaces what was claimed before. One of the wrong size claims nothing. */
void claims_bitfield(struct claims *c, struct span bits);
/* Pieces the torrent does not have are no claim. */
void claims_add(struct claims *c, uint32_t piece);
void claims_remove(struct claims *c, uint32_t piece);

size_t claims_memory(const struct claims *c);	/* heap bytes held */

#endif
