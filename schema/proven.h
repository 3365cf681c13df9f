/*
 * Hashes of v2 files that peers sent with a proof to the file's root (BEP 52):
 * what blocks and pieces must hash to where the torrent does not say. Who sent
 * them does not matter, so conversations may share them.
 */
#ifndef SCHEMA_PROVEN_H
#define SCHEMA_PROVEN_H

#include "wire/hashes.h"

#define PROVEN_HASHES_MAX 32768u	/* 1 MiB; the oldest go first */

struct proven;

struct proven *proven_new(void);	/* NULL: out of memory */
void proven_free(struct proven *p);	/* NULL is allowed */

/* Keeps the range of a message that hashes_check found to be proven. */
void proven_add(struct proven *p, const struct pw_msg *m);

/* What block `block` of the file with this root must hash to, or NULL. Valid
 * until the next proven_add. */
const uint8_t *proven_block(const struct proven *p, struct span root,
    uint64_t block);

/* Likewise its piece of piece_blocks blocks, the nth; false: not known. */
bool proven_piece(const struct proven *p, struct span root, uint64_t nth,
    uint32_t piece_blocks, uint8_t out[32]);

size_t proven_memory(const struct proven *p);	/* NULL is allowed */

#endif
