/*
 * Bytes of a file or pipe, once from front to back, lent without copying them
 * but at a seam every few MiB. A thread may take their digest meanwhile, and
 * they may be written to a copy: the very bytes that are lent.
 */
#ifndef CAPTURE_INTAKE_H
#define CAPTURE_INTAKE_H

#include "schema/digester.h"

#define INTAKE_LEND_MAX 1048576u	/* most bytes lent at once */

struct intake;

/* Takes fd over. g, lent, takes the digest; NULL: the caller's own thread does.
 * copy: a descriptor of the caller's, which gets all bytes as they are read, or
 * -1. NULL with errno. */
struct intake *intake_open(int fd, bool digest, struct digester *g, int copy);

/* Up to n (at most INTAKE_LEND_MAX) bytes from here on, fewer only where the
 * file ends; lent until the next call. Reading does not move on. */
struct span intake_peek(struct intake *in, size_t n);

/* Moves on, at most to the end of what the file has; how far. */
uint64_t intake_skip(struct intake *in, uint64_t n);

uint64_t intake_offset(const struct intake *in);

/* An errno if reading, or writing the copy, failed; else 0. A failed
 * intake seems to end. */
int intake_failed(struct intake *in);

/* The bytes of a regular file at offset; how many came. */
size_t intake_again(struct intake *in, uint64_t offset, void *buf, size_t n);

/* When all was read: waits for the thread; digest and length of all. Without a
 * digest sha256 is "". 0, or an errno. */
int intake_digest(struct intake *in, char sha256[65], uint64_t *bytes);

void intake_close(struct intake *in);

#endif
