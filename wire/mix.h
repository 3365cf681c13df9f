/*
 * A part of a keyed hash: a sum of products with secret factors, of which the
 * upper bits count. Who does not know them cannot choose bytes that collide
 * (Dietzfelbinger's multiply-shift for vectors).
 */
#ifndef WIRE_MIX_H
#define WIRE_MIX_H

#include <stdint.h>
#include <string.h>

/* Factors that n bytes need; n is a multiple of 4. */
#define MIX_KEYS(n) ((n) / 4u)

static inline uint64_t mix_bytes(const uint64_t *key, const uint8_t *p,
    size_t n)
{
	uint64_t sum = 0;
	uint32_t word;

	for (size_t i = 0; i < n / 4; i++) {
		memcpy(&word, p + 4 * i, sizeof(word));
		sum += word * key[i];
	}
	return sum;
}

#endif
