/*
 * SHA-1 and SHA-256 of several whole messages at once, each in a lane of the
 * processor's vectors: by Intel's Multi-Buffer library, where it is there and
 * the processor has AVX-512. What comes out is what libcrypto gives.
 */
#ifndef SCHEMA_LANES_H
#define SCHEMA_LANES_H

#include <stdbool.h>

#include "wire/cur.h"

#define LANES 16u

struct lanes_one {
	struct span bytes;	/* lent; at least one */
	bool v1;		/* SHA-1 is wanted, too */
	uint8_t sha1[20], sha256[32];
};

struct lanes;

/* Whether there may be something faster than libcrypto: asks the processor. */
bool lanes_possible(void);

/* NULL where there is nothing faster than libcrypto, or where a trial beside it
 * gave another digest, which is logged. Takes some ms. */
struct lanes *lanes_new(void);
void lanes_free(struct lanes *l);	/* NULL is allowed */

/* At most LANES. Too few to gain by lanes, or l NULL: by libcrypto. */
void lanes_take(struct lanes *l, struct lanes_one *lane, unsigned n);

/* The library's version, or NULL where it is not built in. */
const char *lanes_library(void);

#endif
