/*
 * Unpredictable bits from the kernel.
 */
#ifndef SCHEMA_DRAW_H
#define SCHEMA_DRAW_H

#include <stddef.h>

/* n: 256 at most. Ends the program where there are none. */
void draw_bits(void *p, size_t n);

#endif
