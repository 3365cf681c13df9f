/*
 * The body of an HTTP answer as it comes in, up to a most that its receiver
 * sets.
 */
#ifndef SCHEMA_BODY_H
#define SCHEMA_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct body {
	uint8_t *p;	/* the holder's to free */
	size_t n, room;
	size_t most;	/* set by the holder before */
	bool over;	/* there was more than that */
};

/* Adds bytes, or of those past the most none and sets over. Dies on out of
 * memory. */
void body_add(struct body *b, const void *p, size_t n);

#endif
