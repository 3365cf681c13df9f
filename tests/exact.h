/*
 * For tests of decoders: input in heap memory of exactly its size, so that the
 * sanitizer sees one byte too many.
 */
#ifndef TESTS_EXACT_H
#define TESTS_EXACT_H

#include <stdlib.h>

#include "wire/cur.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define B(s) s, sizeof(s) - 1

/* The caller frees .p. */
static inline struct span exact(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (copy == NULL)
		abort();
	if (n)
		memcpy(copy, p, n);
	return span_of(copy, n);
}

static inline void unexact(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

#endif
