/*
 * Threads that take digests, so that whoever reads bytes need not wait for
 * them. Bytes are copied once, however many digests they go into. What comes
 * out does not depend on the threads: each digest is taken of its bytes in
 * order, and whoever wants it waits. One thread feeds a digester. Memory is
 * bounded by DIGESTER_MEMORY: where the threads are behind, adding waits.
 *
 * The threads are woken for DIGESTER_BATCH bytes at once, or when somebody asks
 * after a digest. Streams of which SHA-256 alone is wanted go by twos where that
 * is faster (schema/pair.h), and then all on one thread.
 */
#ifndef SCHEMA_DIGESTER_H
#define SCHEMA_DIGESTER_H

#include <stdatomic.h>

#include <openssl/sha.h>

#include "wire/cur.h"

#define DIGESTER_MEMORY (12u << 20)
#define DIGESTER_THREADS 4u
#define DIGESTER_BATCH (1u << 20)

struct digester;
struct digester_chunk;
struct gather;

/* One digest being taken; take runs on a thread of the digester. */
struct hashing {
	struct digester *digester;	/* NULL: at once, by the caller */
	void (*take)(void *ctx, const uint8_t *p, size_t n);
	void *ctx;
	struct hashing *next, **at;	/* of those with bytes in hand ... */
	struct span pending;	/* ... which lie in the current chunk */
	uint64_t given;
	atomic_uint_fast64_t taken;
	unsigned thread;
};

/* NULL where no thread can be had: then digests are taken at once. patience_ns:
 * of digester_gather. */
struct digester *digester_new(unsigned threads, int64_t patience_ns);
/* Nothing may be under way. NULL is allowed. */
void digester_free(struct digester *g);
/* Where whole messages are hashed faster, or NULL. g may be NULL. */
struct gather *digester_gather(const struct digester *g);

/* Copies bytes that are about to be added, perhaps to several digests: the
 * copy, which stays until *pin is given back; or p itself (g NULL, or too
 * long), with *pin NULL. */
const uint8_t *digester_hold(struct digester *g, const uint8_t *p, size_t n,
    struct digester_chunk **pin);
void digester_unpin(struct digester *g, struct digester_chunk *pin);

void hashing_init(struct hashing *h, struct digester *g,
    void (*take)(void *ctx, const uint8_t *p, size_t n), void *ctx);
/* The same for SHA-256 alone; *c is lent as ctx is. */
void hashing_sha256(struct hashing *h, struct digester *g, SHA256_CTX *c);
/* Bytes, best out of what digester_hold gave; others are copied. */
void hashing_add(struct hashing *h, const uint8_t *p, size_t n);
/* Bytes that stay the caller's, unchanged until they are taken, which they are
 * when as many lots as the result are: see hashing_await. */
uint64_t hashing_lend(struct hashing *h, const uint8_t *p, size_t n);
/* Whether so many lots of those lent are taken; nothing else was added.
 * hashing_await waits for that. */
bool hashing_taken(const struct hashing *h, uint64_t lots);
void hashing_await(struct hashing *h, uint64_t lots);
/* Whether all that was added is taken; ctx is then the caller's until more is
 * added, and may be freed. hashing_wait waits for that. */
bool hashing_done(struct hashing *h);
void hashing_wait(struct hashing *h);

#endif
