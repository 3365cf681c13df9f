/*
 * A piece under way as it lies in memory: for assembly.c, which puts the blocks
 * into it.
 */
#ifndef SCHEMA_UNDERWAY_IMPL_H
#define SCHEMA_UNDERWAY_IMPL_H

#include <openssl/sha.h>

#include "schema/digester.h"
#include "schema/gather.h"
#include "schema/proven.h"
#include "schema/underway.h"

enum block_state {
	BLOCK_IDLE,
	BLOCK_ASKED,
	BLOCK_CAME
};

/* A block that came before its turn. Where the piece is gathered whole, its
 * bytes lie there and n is 0; but no more may come so than elsewhere. */
struct ahead {
	struct ahead *next;
	uint32_t block, n;
	uint8_t bytes[];
};

/* What is needed from a piece's first block on. */
struct sums {
	struct gathered whole;		/* .bytes or .given: hashed when whole */
	struct hashing hashing;		/* else; while it is under way, these are its: */
	SHA_CTX sha1;
	SHA256_CTX sha256, leaf;
	size_t at;			/* bytes taken */
	int64_t *utc_ns;	/* when each block was whole */
	uint8_t *leaves;	/* v2: expect.v2_leaves of 32 bytes */
};

struct underway {
	struct expect expect;
	uint32_t piece, bytes, blocks;
	uint32_t came_blocks, came;	/* whole blocks, and their bytes */
	uint32_t next;			/* the block that is hashed next */
	uint64_t turn;			/* when last touched */
	bool rejected, complete, settled, matched;
	struct sums *sums;		/* NULL until something came */
	struct ahead *ahead;
	const struct mi_file *file;	/* v2: whose tree has it ... */
	uint32_t nth;			/* ... as which piece */
	uint32_t proven, refuted;	/* blocks, by hashes with a proof */
	uint8_t sha1[20], sha256[32], root[32], proven_root[32];
	uint8_t state[];		/* enum block_state of each block */
};

/* Memory that is there, or the end of the program. */
void *underway_must(void *p);
size_t underway_size(const struct underway *u);
size_t underway_sums_size(const struct underway *u);	/* u->sums, once there */
uint32_t underway_block(const struct underway *u, uint32_t block); /* bytes */

/* Something of it comes: makes u->sums. d may be NULL. */
void underway_begin(struct underway *u, struct digester *d);
/* All of it came; what it must hash to is settled by what is proven now. proven
 * may be NULL. */
void underway_whole(struct underway *u, const struct proven *proven);
/* Holds single blocks against the hashes that peers proved (BEP 52). */
void underway_prove(struct underway *u, const struct torrent *t,
    const struct proven *proven);

#endif
