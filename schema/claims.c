#include "schema/claims.h"

#include <stdlib.h>

#include "schema/log.h"
#include "wire/talk.h"

static size_t room(const struct claims *c)
{
	return ((size_t)c->pieces + 7) / 8;
}

static bool allocate(struct claims *c)
{
	if (c->pieces == 0)
		return false;
	if (c->bits)
		return true;
	c->bits = calloc(1, room(c));
	if (!c->bits)
		log_die("out of memory for what a peer claims");
	if (c->count) {
		memset(c->bits, 0xff, room(c));
		if (c->pieces % 8)
			c->bits[room(c) - 1] =
			    (uint8_t)(0xff00u >> c->pieces % 8);
	}
	return true;
}

/* --- before the number of pieces is known ----------------------------------- */

#define EARLY_BYTES (CLAIMS_EARLY_PIECES / 8)

/* A set of pieces that grows with its largest. */
struct grown {
	uint8_t *bits;
	size_t n;
};

/* (everything, or the bitfield, or nothing) and plus, without minus. */
struct claims_early {
	bool all, bitfield;
	struct grown field;	/* empty: it was longer than is kept */
	size_t field_n;		/* bytes it had */
	struct grown plus, minus;
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for what a peer claims");
	return p;
}

static void early_fini(struct claims *c)
{
	if (!c->early)
		return;
	free(c->early->field.bits);
	free(c->early->plus.bits);
	free(c->early->minus.bits);
	free(c->early);
	c->early = NULL;
}

static bool grown_any(const struct grown *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->bits[i])
			return true;
	return false;
}

bool claims_any(const struct claims *c)
{
	const struct claims_early *e = c->early;

	return c->count > 0 || (e && (e->all || grown_any(&e->field) ||
	    grown_any(&e->plus)));
}

/* Forgets what was said early: what is said now replaces it. */
static struct claims_early *early_anew(struct claims *c)
{
	early_fini(c);
	c->early = must(calloc(1, sizeof(*c->early)));
	return c->early;
}

static void grown_set(struct grown *g, uint32_t piece, bool on)
{
	size_t at = piece / 8, n;

	if (at >= g->n) {
		if (!on)
			return;
		n = at + 1 > 2 * g->n ? at + 1 : 2 * g->n;
		n = n < EARLY_BYTES ? n : EARLY_BYTES;
		g->bits = must(realloc(g->bits, n));
		memset(g->bits + g->n, 0, n - g->n);
		g->n = n;
	}
	if (on)
		g->bits[at] |= (uint8_t)(0x80u >> piece % 8);
	else
		g->bits[at] &= (uint8_t)~(0x80u >> piece % 8);
}

/* Most of what grew is empty: it is passed over by bytes. */
static void early_each(struct claims *c, const struct grown *g,
    void (*f)(struct claims *c, uint32_t piece))
{
	for (size_t i = 0; i < g->n; i++)
		for (uint32_t k = 0; g->bits[i] && k < 8; k++)
			if (g->bits[i] & 0x80u >> k)
				f(c, (uint32_t)i * 8 + k);
}

static void early_say(struct claims *c, uint32_t piece, bool holds)
{
	struct claims_early *e;

	if (piece >= CLAIMS_EARLY_PIECES)
		return;
	e = c->early ? c->early : early_anew(c);
	grown_set(&e->plus, piece, holds);
	grown_set(&e->minus, piece, !holds);
}

static void early_bitfield(struct claims *c, struct span bits)
{
	struct claims_early *e = early_anew(c);

	e->bitfield = true;
	e->field_n = bits.n;
	if (bits.n == 0 || bits.n > EARLY_BYTES)
		return;
	e->field.bits = must(malloc(bits.n));
	memcpy(e->field.bits, bits.p, bits.n);
	e->field.n = bits.n;
}

static const char *early_settle(struct claims *c, struct claims_early *e)
{
	const char *fault = NULL;

	if (e->bitfield && e->field_n > EARLY_BYTES)
		fault = "bitfield longer than is kept before the metadata";
	else if (e->bitfield)
		fault = talk_bitfield_fault(span_of(e->field.bits,
		    e->field.n), c->pieces);
	if (e->all)
		claims_all(c);
	else if (e->bitfield && !fault)
		claims_bitfield(c, span_of(e->field.bits, e->field.n));
	early_each(c, &e->plus, claims_add);
	early_each(c, &e->minus, claims_remove);
	return fault;
}

/* --- and after ---------------------------------------------------------------- */

void claims_fini(struct claims *c)
{
	early_fini(c);
	free(c->bits);
	*c = (struct claims){ 0 };
}

const char *claims_pieces(struct claims *c, uint32_t pieces)
{
	struct claims before = { .early = c->early };
	const char *fault = NULL;

	c->early = NULL;
	claims_fini(c);
	c->pieces = pieces;
	if (before.early && pieces)
		fault = early_settle(c, before.early);
	claims_fini(&before);
	return fault;
}

void claims_all(struct claims *c)
{
	if (c->pieces == 0) {
		early_anew(c)->all = true;
		return;
	}
	free(c->bits);
	c->bits = NULL;
	c->count = c->pieces;
}

void claims_none(struct claims *c)
{
	if (c->pieces == 0)
		early_anew(c);
	free(c->bits);
	c->bits = NULL;
	c->count = 0;
}

void claims_bitfield(struct claims *c, struct span bits)
{
	if (c->pieces == 0) {
		early_bitfield(c, bits);
		return;
	}
	if (bits.n != room(c) || !allocate(c))
		return;
	memcpy(c->bits, bits.p, bits.n);
	c->count = 0;
	for (size_t i = 0; i < bits.n; i++)
		c->count += (uint32_t)__builtin_popcount(bits.p[i]);
}

void claims_add(struct claims *c, uint32_t piece)
{
	if (c->pieces == 0)
		early_say(c, piece, true);
	if (piece >= c->pieces || claims_has(c, piece) || !allocate(c))
		return;
	c->bits[piece / 8] |= (uint8_t)(0x80u >> piece % 8);
	c->count++;
}

void claims_remove(struct claims *c, uint32_t piece)
{
	if (c->pieces == 0)
		early_say(c, piece, false);
	if (!claims_has(c, piece) || !allocate(c))
		return;
	c->bits[piece / 8] &= (uint8_t)~(0x80u >> piece % 8);
	c->count--;
}

size_t claims_memory(const struct claims *c)
{
	size_t n = c->bits ? room(c) : 0;

	if (c->early)
		n += sizeof(*c->early) + c->early->field.n +
		    c->early->plus.n + c->early->minus.n;
	return n;
}
