#include "lookup.h"

void lookup_init(struct lookup *l, const uint8_t target[NODEID_BYTES],
    uint8_t family, bool allow_local)
{
	memset(l, 0, sizeof(*l));
	memcpy(l->target, target, NODEID_BYTES);
	l->family = family;
	l->allow_local = allow_local;
}

/* --- order ----------------------------------------------------------------- */

/* Nodes without an id are the farthest. */
static bool nearer(const struct lookup *l, const struct lookup_node *a,
    const struct lookup_node *b)
{
	if (!a->has_id || !b->has_id)
		return a->has_id && !b->has_id;
	return nodeid_nearer(l->target, a->id, b->id) < 0;
}

/* Puts slot in its place among the first n of the order, which are sorted. */
static void order_in(struct lookup *l, unsigned n, unsigned slot)
{
	unsigned at = n;

	for (; at > 0 && nearer(l, &l->node[slot],
	    &l->node[l->order[at - 1]]); at--)
		l->order[at] = l->order[at - 1];
	l->order[at] = (uint16_t)slot;
}

static void reorder(struct lookup *l, unsigned slot)
{
	unsigned at = 0;

	while (l->order[at] != slot)
		at++;
	for (; at + 1 < l->n; at++)
		l->order[at] = l->order[at + 1];
	order_in(l, l->n - 1, slot);
}

static void set_id(struct lookup_node *n, const uint8_t *id)
{
	n->has_id = id != NULL;
	if (id)
		memcpy(n->id, id, NODEID_BYTES);
	n->obeys = !id || nodeid_check(id, &n->at) != NODEID_WRONG;
}

/* --- entering -------------------------------------------------------------- */

/* Somebody names a node that is known: of two ids for one endpoint the nearer
 * is tried, so that nobody can hide a node behind a far id. */
static void named_again(struct lookup *l, unsigned slot, const uint8_t *id)
{
	struct lookup_node *n = &l->node[slot];

	if (n->state != LOOKUP_FRESH || !id || (n->has_id &&
	    nodeid_nearer(l->target, n->id, id) <= 0))
		return;
	set_id(n, id);
	reorder(l, slot);
}

/* A slot for a new node: unused, or the farthest fresh one's if the new one is
 * nearer. False: none. */
static bool find_slot(struct lookup *l, const struct lookup_node *new,
    unsigned *slot)
{
	if (l->n < LOOKUP_NODES) {
		*slot = l->n++;
		l->order[*slot] = (uint16_t)*slot;
		return true;
	}
	for (unsigned at = l->n; at-- > 0;) {
		*slot = l->order[at];
		if (l->node[*slot].state == LOOKUP_FRESH)
			return nearer(l, new, &l->node[*slot]);
	}
	return false;
}

static bool add(struct lookup *l, const uint8_t *id, const struct endpoint *at,
    unsigned from)
{
	bool one = !nodeid_exempt(at);
	struct lookup_node new = { .at = *at, .from = (uint16_t)from };
	unsigned slot, same_ip = 0;

	if (at->family != l->family || endpoint_forbidden(at, l->allow_local))
		return false;
	for (unsigned i = 0; i < l->n; i++) {
		if (!endpoint_same_ip(&l->node[i].at, at))
			continue;
		if (l->node[i].at.port == at->port) {
			named_again(l, i, id);
			return false;
		}
		same_ip++;
	}
	if (one && same_ip >= LOOKUP_PER_IP)
		return false;
	set_id(&new, id);
	if (!find_slot(l, &new, &slot))
		return false;
	l->node[slot] = new;
	reorder(l, slot);
	return true;
}

bool lookup_add(struct lookup *l, const uint8_t *id, const struct endpoint *at)
{
	return add(l, id, at, LOOKUP_GIVEN);
}

/* --- asking ---------------------------------------------------------------- */

static bool ip_taken(const struct lookup *l, const struct lookup_node *n)
{
	if (nodeid_exempt(&n->at))
		return false;
	for (unsigned i = 0; i < l->n; i++)
		if ((l->node[i].state == LOOKUP_ASKED ||
		    l->node[i].state == LOOKUP_ANSWERED) &&
		    endpoint_same_ip(&l->node[i].at, &n->at))
			return true;
	return false;
}

/* The nearest fresh node that may still be among the eight nearest of all, or
 * of those that obey BEP 42. */
static struct lookup_node *pick(struct lookup *l)
{
	unsigned all = 0, obeying = 0;

	for (unsigned i = 0; i < l->n && obeying < LOOKUP_K; i++) {
		struct lookup_node *n = &l->node[l->order[i]];

		if (n->state == LOOKUP_LOST)
			continue;
		if (n->state == LOOKUP_FRESH) {
			if ((n->obeys || all < LOOKUP_K) && !ip_taken(l, n))
				return n;
			continue;
		}
		all++;
		obeying += n->obeys;
	}
	return NULL;
}

enum lookup_step lookup_next(struct lookup *l, int64_t now_ms,
    unsigned *slot, int64_t *wake_ms)
{
	unsigned waiting = 0, quick = 0;
	struct lookup_node *n;

	*wake_ms = INT64_MAX;
	for (unsigned i = 0; i < l->n; i++) {
		int64_t wake;

		n = &l->node[i];
		if (n->state != LOOKUP_ASKED)
			continue;
		if (now_ms - n->asked_ms >= LOOKUP_WAIT_MS) {
			n->state = LOOKUP_LOST;
			*slot = i;
			return LOOKUP_SILENT;
		}
		wake = n->asked_ms + LOOKUP_WAIT_MS;
		if (now_ms - n->asked_ms < LOOKUP_SLOW_MS) {
			wake = n->asked_ms + LOOKUP_SLOW_MS;
			quick++;
		}
		waiting++;
		if (wake < *wake_ms)
			*wake_ms = wake;
	}
	n = quick < LOOKUP_ALPHA ? pick(l) : NULL;
	if (n && l->asked < LOOKUP_QUERIES_MAX) {
		n->state = LOOKUP_ASKED;
		n->asked_ms = now_ms;
		l->asked++;
		*slot = (unsigned)(n - l->node);
		return LOOKUP_ASK;
	}
	if (waiting)
		return LOOKUP_WAIT;
	l->exhausted = n != NULL;
	return LOOKUP_DONE;
}

/* --- answers --------------------------------------------------------------- */

bool lookup_answered(struct lookup *l, unsigned slot,
    const struct krpc_msg *reply, unsigned *fresh)
{
	struct krpc_nodes it = { 0 };
	struct krpc_named named;
	struct lookup_node *n;

	*fresh = 0;
	if (slot >= l->n || reply->type != KRPC_REPLY)
		return false;
	n = &l->node[slot];
	if (n->state != LOOKUP_ASKED && n->state != LOOKUP_LOST)
		return false;
	n->state = LOOKUP_ANSWERED;
	l->answered++;
	if (reply->token.n <= LOOKUP_TOKEN_MAX && reply->token.n > 0) {
		n->token_n = (uint8_t)reply->token.n;
		memcpy(n->token, reply->token.p, reply->token.n);
	}
	if (n->has_id && memcmp(n->id, reply->id, NODEID_BYTES)) {
		n->renamed = true;
		memcpy(n->old_id, n->id, NODEID_BYTES);
	}
	set_id(n, reply->id);
	reorder(l, slot);
	for (unsigned i = 0; i < LOOKUP_NAMED_MAX &&
	    krpc_node(reply, &it, &named);) {
		if (named.at.family != l->family)
			continue;
		i++;
		*fresh += add(l, named.id, &named.at, slot);
	}
	return true;
}

bool lookup_failed(struct lookup *l, unsigned slot)
{
	if (slot >= l->n || l->node[slot].state != LOOKUP_ASKED)
		return false;
	l->node[slot].state = LOOKUP_LOST;
	return true;
}

const struct lookup_node *lookup_nearest(const struct lookup *l, unsigned i)
{
	for (unsigned k = 0; k < l->n; k++) {
		const struct lookup_node *n = &l->node[l->order[k]];

		if (n->state == LOOKUP_ANSWERED && i-- == 0)
			return n;
	}
	return NULL;
}
