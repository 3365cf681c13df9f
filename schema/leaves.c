#include "schema/leaves.h"

#include <stdlib.h>

#include "schema/log.h"
#include "schema/spill.h"

#define ROOM (4u << 20)

struct leaves {
	struct spill *nodes;
	struct sparse_empty empty;
};

/* key, most significant byte first; depth; hash: sorts as sparse_put wants. */
struct item {
	uint8_t key[8], depth, hash[32];
};

struct leaves *leaves_new(const char *folder)
{
	struct leaves *l = malloc(sizeof(*l));

	if (l == NULL)
		log_die("out of memory");
	l->nodes = spill_new(folder, sizeof(struct item), ROOM);
	sparse_empty_init(&l->empty);
	return l;
}

void leaves_free(struct leaves *l)
{
	if (l == NULL)
		return;
	spill_free(l->nodes);
	free(l);
}

int leaves_add(struct leaves *l, const struct sparse_node *n)
{
	struct item i = { .depth = (uint8_t)n->depth };

	for (int k = 0; k < 8; k++)
		i.key[k] = (uint8_t)(n->key >> (56 - 8 * k));
	memcpy(i.hash, n->hash.b, sizeof(i.hash));
	return spill_add(l->nodes, &i);
}

int leaves_root(struct leaves *l, void (*each)(void *ctx,
    const struct sparse_node *n), void *ctx, struct hash *root)
{
	const struct item *i;
	struct sparse_node n;
	struct sparse s;
	bool bad = false;

	if (spill_rewind(l->nodes) < 0)
		return -1;
	sparse_init(&s, &l->empty);
	while ((i = spill_next(l->nodes, &bad)) != NULL) {
		n = (struct sparse_node){ .depth = i->depth };
		for (int k = 0; k < 8; k++)
			n.key = n.key << 8 | i->key[k];
		memcpy(n.hash.b, i->hash, sizeof(i->hash));
		if (!sparse_put(&s, &n)) {
			log_warn("index: a node of its tree lies within "
			    "another");
			return -1;
		}
		if (each)
			each(ctx, &n);
	}
	*root = sparse_root(&s, 0);
	return bad ? -1 : 0;
}
