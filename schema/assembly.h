/*
 * Pieces under way from one side of a conversation: which blocks the other
 * side asked for, which came, and what the piece hashes to. Blocks in order
 * are hashed as they stream and never kept; those ahead of their turn wait in
 * a bounded buffer.
 */
#ifndef SCHEMA_ASSEMBLY_H
#define SCHEMA_ASSEMBLY_H

#include "schema/digester.h"
#include "schema/proven.h"
#include "schema/record.h"
#include "schema/underway.h"
#include "wire/talk.h"

#define ASSEMBLY_LIVE 8u	/* pieces under way at once, of what we ask */
#define ASSEMBLY_LIVE_MOST 1024u	/* of what others ask of each other */
#define ASSEMBLY_REACH (4u << 20)	/* bytes of memory that more pieces than
					 * ASSEMBLY_LIVE may come to need */
#define ASSEMBLY_AHEAD 32u	/* blocks waiting, of all pieces: 512 KiB */
#define ASSEMBLY_AHEAD_MOST 512u	/* where there may be more than ASSEMBLY_LIVE
					 * pieces */
#define ASSEMBLY_PIECE_MAX (256u << 20)	/* larger pieces are not checked */

struct assembly {
	const struct torrent *torrent;	/* lent */
	const struct proven *proven;	/* hashes that peers proved: lent, may
					 * be NULL, may change */
	struct underway **live;		/* room of them, NULL: free; owned */
	unsigned room, most, count;
	size_t reach;
	struct digester *digester;	/* lent; NULL: digests are taken at
					 * once */
	bool later;			/* whole pieces leave unsettled */
	struct underway *streaming;	/* the piece whose block is arriving */
	uint32_t block;			/* which */
	struct ahead *filling;		/* it came early: where it goes */
	unsigned ahead;			/* blocks waiting */
	uint64_t turn;
	size_t heap;			/* bytes held now */
};

/* most: pieces under way at once. */
void assembly_init(struct assembly *a, const struct torrent *t, unsigned most);
void assembly_fini(struct assembly *a);

/*
 * The other side asked for a block. False if no such block can be assembled.
 * When all places are taken, the piece longest untouched is given up: *out
 * (else NULL), the caller's to describe and free.
 */
bool assembly_ask(struct assembly *a, const struct pw_msg *request,
    struct underway **out);

/* The side refused a block it was asked for (BEP 6). */
void assembly_reject(struct assembly *a, const struct pw_msg *reject);
/* A choke made all requests void (BEP 3, without BEP 6). What came is kept, so
 * that the rest may be asked for after the next unchoke. */
void assembly_choke(struct assembly *a);

/*
 * Part of a block: every EV_BLOCK of the side. For a block's first part, NULL
 * if it belongs, else why it does not, and its parts are then let pass. *done
 * is the piece this completed (else NULL), its hashes computed unless a->later;
 * the caller's to describe and free.
 */
const char *assembly_block(struct assembly *a, const struct event *ev,
    struct stamp at, struct underway **done);

/* Bytes of the block now arriving are missing: its piece is given up. */
struct underway *assembly_gap(struct assembly *a);

/* Takes a piece out, longest untouched first; NULL when there is none. What
 * leaves is held against the hashes that peers proved by then. */
struct underway *assembly_take(struct assembly *a);

#endif
