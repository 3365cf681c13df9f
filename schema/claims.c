#include "schema/claims.h"

#include <stdlib.h>

#include "schema/log.h"

static size_t room(const struct claims *c)
{
	return ((size_t)c->pieces + 7) / 8;
}

static bool allocate(struct claims *c)
{
	if (c->pieces == 0)
		return false;
	if (!c->bits)
		c->bits = calloc(1, room(c));
	if (!c->bits)
		log_die("out of memory for what a peer claims");
	return true;
}

void claims_fini(struct claims *c)
{
	free(c->bits);
	*c = (struct claims){ 0 };
}

void claims_pieces(struct claims *c, uint32_t pieces)
{
	bool all = c->all;

	claims_fini(c);
	c->pieces = pieces;
	if (all)
		claims_all(c);
}

void claims_all(struct claims *c)
{
	if (!allocate(c)) {
		c->all = true;
		return;
	}
	memset(c->bits, 0xff, room(c));
	if (c->pieces % 8)
		c->bits[room(c) - 1] = (uint8_t)(0xff00u >> c->pieces % 8);
	c->count = c->pieces;
}

void claims_none(struct claims *c)
{
	free(c->bits);
	c->bits = NULL;
	c->count = 0;
	c->all = false;
}

void claims_bitfield(struct claims *c, struct span bits)
{
	if (bits.n != room(c) || !allocate(c))
		return;
	memcpy(c->bits, bits.p, bits.n);
	c->count = 0;
	for (size_t i = 0; i < bits.n; i++)
		c->count += (uint32_t)__builtin_popcount(bits.p[i]);
}

void claims_add(struct claims *c, uint32_t piece)
{
	if (piece >= c->pieces || claims_has(c, piece) || !allocate(c))
		return;
	c->bits[piece / 8] |= (uint8_t)(0x80u >> piece % 8);
	c->count++;
}

void claims_remove(struct claims *c, uint32_t piece)
{
	if (!claims_has(c, piece))
		return;
	c->bits[piece / 8] &= (uint8_t)~(0x80u >> piece % 8);
	c->count--;
}
