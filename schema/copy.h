/*
 * Copying, packet by packet, into memory that no cache holds: what the next
 * packet will be copied to is fetched meanwhile.
 */
#ifndef SCHEMA_COPY_H
#define SCHEMA_COPY_H

#include <stdint.h>
#include <string.h>

#define COPY_AHEAD 1536u	/* bytes: a packet's */
#define COPY_LINE 64u

static inline void copy_ahead(uint8_t *to, const uint8_t *from, size_t n)
{
	memcpy(to, from, n);
	for (size_t i = 0; i < COPY_AHEAD; i += COPY_LINE)
		__builtin_prefetch(to + n + i, 1);
}

#endif
