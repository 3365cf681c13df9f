/*
 * What every fuzzer begins with.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold whatever comes: else the input is a finding. */
static inline void demand(bool holds)
{
	if (!holds)
		abort();
}

/* A copy of exactly n bytes, to be freed: a byte read too many is found. */
static inline uint8_t *fuzz_copy(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	demand(copy != NULL);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

#endif
