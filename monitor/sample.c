#include "monitor/sample.h"

#include <openssl/sha.h>

#include "wire/cur.h"

#define DRAWS_MOST 256		/* looked at in one go */

uint64_t sample_number(const uint8_t seed[SAMPLE_SEED],
    const struct endpoint *who, uint32_t k)
{
	uint8_t text[SAMPLE_SEED + 16 + 2 + 4] = { 0 };
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct cur c = cur_of(span_of(digest, sizeof(digest)));

	memcpy(text, seed, SAMPLE_SEED);
	if (who->family == 4) {
		memset(text + 26, 0xff, 2);
		memcpy(text + 28, who->addr, 4);
	} else {
		memcpy(text + 16, who->addr, 16);
	}
	put_u16(text + 32, who->port);
	put_u32(text + 34, k);
	SHA256(text, sizeof(text), digest);
	return cur_u64(&c);
}

static bool bit(const uint8_t *bits, uint32_t i)
{
	return (bits[i / 8] & 0x80u >> i % 8) != 0;
}

/* How many bits of the next eight bytes are set: each step adds neighbours. */
static uint32_t ones(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	x -= x >> 1 & 0x5555555555555555u;
	x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (uint32_t)(x * 0x0101010101010101u >> 56);
}

static bool is_claimed(const struct sample_offer *o, uint32_t i)
{
	return o->claimed ? bit(o->claimed, i) :
	    o->claimed_count == o->pieces;
}

/* The n-th piece claimed, from 0; pieces if there are not so many. */
static uint32_t nth_claimed(const struct sample_offer *o, uint32_t n)
{
	uint32_t i = 0;

	if (!o->claimed)
		return is_claimed(o, n) && n < o->pieces ? n : o->pieces;
	for (; i + 64 <= o->pieces; i += 64) {
		uint32_t here = ones(o->claimed + i / 8);

		if (n < here)
			break;
		n -= here;
	}
	for (; i < o->pieces; i++)
		if (bit(o->claimed, i) && n-- == 0)
			return i;
	return o->pieces;
}

bool sample_is_large(int want)
{
	return want < 0 || want > SAMPLE_KEPT_MAX;
}

static bool is_chosen(const struct sample *s, uint32_t piece)
{
	if (sample_is_large(s->want))
		return bit(s->map, piece);
	for (uint32_t i = 0; i < s->count; i++)
		if (s->chosen[i] == piece)
			return true;
	return false;
}

static bool usable(const struct sample *s, const struct sample_offer *o,
    uint32_t piece)
{
	return piece < o->pieces && is_claimed(o, piece) &&
	    !is_chosen(s, piece) && o->piece_bytes(o->ctx, piece) > 0;
}

bool sample_complete(const struct sample *s)
{
	return s->want >= 0 && s->count >= (uint32_t)s->want;
}

static bool open(const struct sample *s, const struct sample_offer *o)
{
	uint32_t taken = 0;

	if (o->claimed_count == 0 || sample_complete(s) ||
	    (sample_is_large(s->want) && !s->map))
		return false;
	/* A peer that claims no more than we chose is not looked through. */
	for (uint32_t i = 0; !sample_is_large(s->want) && i < s->count; i++)
		taken += s->chosen[i] < o->pieces &&
		    is_claimed(o, s->chosen[i]);
	return taken < o->claimed_count;
}

bool sample_may(const struct sample *s, const struct sample_offer *o,
    uint32_t piece)
{
	return open(s, o) && usable(s, o, piece);
}

bool sample_next(const struct sample *s, const struct sample_offer *o,
    struct sample_draw *d)
{
	if (!open(s, o))
		return false;
	if (s->want < 0) {
		/* All, in order: the draw count is where to look on. */
		for (uint32_t i = 0; i < o->pieces; i++) {
			d->piece = (s->draws + i) % o->pieces;
			d->draws = d->piece + 1;
			if (usable(s, o, d->piece))
				return true;
		}
		return false;
	}
	for (uint32_t k = s->draws; k - s->draws < DRAWS_MOST; k++) {
		d->piece = nth_claimed(o, (uint32_t)(sample_number(s->seed,
		    &s->who, k) % o->claimed_count));
		d->draws = k + 1;
		if (usable(s, o, d->piece))
			return true;
	}
	return false;
}

void sample_take(struct sample *s, uint32_t piece)
{
	if (sample_is_large(s->want))
		s->map[piece / 8] |= (uint8_t)(0x80u >> piece % 8);
	else
		s->chosen[s->count] = piece;
	s->count++;
}

void sample_drop(struct sample *s, uint32_t piece)
{
	if (!is_chosen(s, piece))
		return;
	s->count--;
	if (sample_is_large(s->want)) {
		s->map[piece / 8] &= (uint8_t)~(0x80u >> piece % 8);
		return;
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (s->chosen[i] == piece)
			s->chosen[i] = s->chosen[s->count];
}
