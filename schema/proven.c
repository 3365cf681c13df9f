#include "schema/proven.h"

#include <stdlib.h>

#include "schema/log.h"

/* Consecutive hashes of one layer. */
struct range {
	struct range *next;	/* older */
	uint8_t root[32];
	uint32_t base, at, count;
	uint8_t hashes[];
};

struct proven {
	struct range *newest;
	uint32_t hashes, ranges;
};

struct proven *proven_new(void)
{
	return calloc(1, sizeof(struct proven));
}

void proven_free(struct proven *p)
{
	while (p && p->newest) {
		struct range *r = p->newest;

		p->newest = r->next;
		free(r);
	}
	free(p);
}

/* Count hashes of the layer, from at on, if one range has them all. */
static const uint8_t *find(const struct proven *p, struct span root,
    uint32_t base, uint64_t at, uint32_t count)
{
	for (const struct range *r = p->newest; r; r = r->next)
		if (r->base == base && at >= r->at &&
		    at + count <= (uint64_t)r->at + r->count &&
		    memcmp(r->root, root.p, 32) == 0)
			return r->hashes + 32 * (size_t)(at - r->at);
	return NULL;
}

static void drop_old(struct proven *p)
{
	struct range **end = &p->newest;
	uint32_t kept = 0;

	while (*end && kept + (*end)->count <= PROVEN_HASHES_MAX) {
		kept += (*end)->count;
		end = &(*end)->next;
	}
	while (*end) {
		struct range *r = *end;

		*end = r->next;
		p->hashes -= r->count;
		p->ranges--;
		free(r);
	}
}

void proven_add(struct proven *p, const struct pw_msg *m)
{
	size_t bytes = 32 * (size_t)m->count;
	struct range *r;

	if (find(p, m->root, m->base, m->at, m->count))
		return;
	r = malloc(sizeof(*r) + bytes);
	if (!r)
		log_die("out of memory for hashes");
	*r = (struct range){ .next = p->newest, .base = m->base, .at = m->at,
		.count = m->count };
	memcpy(r->root, m->root.p, 32);
	memcpy(r->hashes, m->payload.p, bytes);
	p->newest = r;
	p->hashes += m->count;
	p->ranges++;
	if (p->hashes > PROVEN_HASHES_MAX)
		drop_old(p);
}

const uint8_t *proven_block(const struct proven *p, struct span root,
    uint64_t block)
{
	return find(p, root, 0, block, 1);
}

bool proven_piece(const struct proven *p, struct span root, uint64_t nth,
    uint32_t piece_blocks, uint8_t out[32])
{
	static const uint8_t zero[32];

	for (uint32_t base = 0; piece_blocks >> base; base++) {
		uint32_t count = piece_blocks >> base;
		const uint8_t *h = find(p, root, base, nth * count, count);

		if (!h)
			continue;
		mi_merkle_root(h, count, zero, out);
		return true;
	}
	return false;
}

size_t proven_memory(const struct proven *p)
{
	return p ? sizeof(*p) + p->ranges * sizeof(struct range) +
	    32 * (size_t)p->hashes : 0;
}
