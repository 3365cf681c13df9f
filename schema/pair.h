/*
 * SHA-256 of two streams side by side. One alone waits for each round's result
 * before the next; by the processor's SHA instructions two take hardly longer
 * than one. What comes out is what libcrypto gives.
 */
#ifndef SCHEMA_PAIR_H
#define SCHEMA_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

/* Whether this processor has the instructions and a trial beside libcrypto, made
 * once, gave the same digests; that it did not is logged. */
bool pair_faster(void);

/* n bytes more for each, as by SHA256_Update; where not pair_faster, just so. */
void pair_update(SHA256_CTX *a, const uint8_t *p, SHA256_CTX *b,
    const uint8_t *q, size_t n);

#endif
