/*
 * Books for the tests of the address book, and who is heard of in them.
 */
#ifndef TESTS_UNIT_BOOK_CASE_H
#define TESTS_UNIT_BOOK_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/book.h"

#define S 1000000000ll
#define DAY (86400 * S)

static size_t allocations, allowed = SIZE_MAX;

static inline void *memory(void *old, size_t bytes)
{
	if (bytes == 0) {
		free(old);
		return NULL;
	}
	if (allocations >= allowed)
		return NULL;
	allocations++;
	return realloc(old, bytes);
}

static inline struct book *make(bool local, unsigned rate, unsigned half_open,
    unsigned connections, unsigned per_swarm)
{
	struct book_conf conf = { .allow_local = local,
		.half_open = half_open, .dial_rate = rate,
		.connections = connections, .per_swarm = per_swarm,
		.key = "sixteen bytes..", .memory = memory };
	struct book *b = book_new(&conf);

	assert_non_null(b);
	return b;
}

static inline struct endpoint at(uint32_t host, uint16_t port)
{
	struct endpoint e = { .port = port, .family = 4 };

	put_u32(e.addr, 0x08000000u + host);	/* 8.0.0.0 on: global */
	return e;
}

static inline const char *hear(struct book *b, uint32_t swarm, struct endpoint e,
    int64_t now)
{
	return book_hear(b, swarm, &e, BOOK_TRACKER, now);
}

static inline uint32_t heard(struct book *b)
{
	struct book_state s;

	book_state(b, &s);
	return s.heard;
}

#endif
