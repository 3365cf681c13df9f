/*
 * A cursor over bytes somebody else wrote. Running out is remembered and zero
 * is returned, so a decoder reads all its fields and asks once. Lengths are
 * compared with what is left; no pointer is ever formed beyond the end.
 */
#ifndef WIRE_CUR_H
#define WIRE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. */
struct span {
	const uint8_t *p;
	size_t n;
};

struct cur {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

/* What a decoder found: a whole thing, the start of one, or nonsense. */
enum wire_status {
	WIRE_OK,
	WIRE_MORE,
	WIRE_BAD
};

/* Why input was refused: a constant sentence and where, from the start. */
struct wire_error {
	const char *reason;
	size_t offset;
};

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){ p, n };
}

static inline struct span span_str(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

static inline struct cur cur_of(struct span s)
{
	return (struct cur){ s.p, s.n ? s.p + s.n : s.p, false };
}

static inline size_t cur_left(const struct cur *c)
{
	return (size_t)(c->end - c->p);
}

static inline struct span cur_take(struct cur *c, size_t n)
{
	struct span s = { c->p, n };

	if (c->bad || n > cur_left(c)) {
		c->bad = true;
		return (struct span){ NULL, 0 };
	}
	if (n)
		c->p += n;
	return s;
}

static inline struct span cur_rest(struct cur *c)
{
	return cur_take(c, cur_left(c));
}

static inline uint8_t cur_u8(struct cur *c)
{
	struct span s = cur_take(c, 1);

	return s.n ? s.p[0] : 0;
}

static inline uint16_t cur_u16(struct cur *c)
{
	struct span s = cur_take(c, 2);

	return s.n ? (uint16_t)((unsigned)s.p[0] << 8 | s.p[1]) : 0;
}

static inline uint32_t cur_u32(struct cur *c)
{
	struct span s = cur_take(c, 4);

	return s.n ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 |
	    (uint32_t)s.p[2] << 8 | s.p[3] : 0;
}

static inline uint64_t cur_u64(struct cur *c)
{
	uint64_t hi = cur_u32(c);

	return hi << 32 | cur_u32(c);
}

/* Big-endian stores, for what we send. */
static inline void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)(v >> 32));
	put_u32(p + 4, (uint32_t)v);
}

#endif
