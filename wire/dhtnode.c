#include "dhtnode.h"

#define PING_S 60

void dht_init(struct dht_table *t, const uint8_t id[NODEID_BYTES],
    uint8_t family)
{
	*t = (struct dht_table){ .family = family };
	memcpy(t->id, id, NODEID_BYTES);
}

enum dht_state dht_state(const struct dht_node *n, int64_t now_s)
{
	if (n->fails >= DHT_BAD_FAILS)
		return DHT_BAD;
	return n->heard && n->fails == 0 && now_s - n->answered_s < DHT_GOOD_S ?
	    DHT_GOOD : DHT_QUESTIONABLE;
}

static struct dht_bucket *bucket_of(struct dht_table *t,
    const uint8_t id[NODEID_BYTES])
{
	unsigned i = nodeid_shared(t->id, id);

	return &t->bucket[i < DHT_BUCKETS ? i : DHT_BUCKETS - 1];
}

static void drop(struct dht_bucket *b, unsigned i)
{
	b->node[i] = b->node[--b->n];
}

static bool breaks_rule(const struct dht_node *n)
{
	return nodeid_check(n->id, &n->at) == NODEID_WRONG;
}

/*
 * Makes way for a newcomer whose endpoint, address or id is in the table
 * already. False: it is not to be entered. A node that lives keeps its place,
 * or whoever shares its address or copies its id could push it out.
 */
static bool settle(struct dht_table *t, const struct dht_node *new,
    int64_t now_s)
{
	bool one = !nodeid_exempt(&new->at);

	for (unsigned k = 0; k < DHT_BUCKETS; k++) {
		struct dht_bucket *b = &t->bucket[k];

		for (unsigned i = b->n; i-- > 0;) {
			const struct dht_node *old = &b->node[i];
			bool same = endpoint_cmp(&old->at, &new->at) == 0;

			if (!same && memcmp(old->id, new->id, NODEID_BYTES) &&
			    !(one && endpoint_same_ip(&old->at, &new->at)))
				continue;
			/* Its own new id replaces a node's old one. */
			if (dht_state(old, now_s) == DHT_GOOD &&
			    !(same && new->heard))
				return false;
			drop(b, i);
		}
	}
	return true;
}

static bool enter(struct dht_table *t, const struct dht_node *new,
    int64_t now_s)
{
	struct dht_bucket *b = bucket_of(t, new->id);
	unsigned at = 0;

	if (b->n < DHT_K) {
		b->node[b->n++] = *new;
		return true;
	}
	while (at < DHT_K && dht_state(&b->node[at], now_s) != DHT_BAD)
		at++;
	if (at == DHT_K && !breaks_rule(new))
		for (at = 0; at < DHT_K && !breaks_rule(&b->node[at]); at++)
			;
	if (at == DHT_K)
		return false;
	b->node[at] = *new;
	return true;
}

static bool fits(const struct dht_table *t, const struct dht_node *n)
{
	return n->at.family == t->family && n->at.port != 0 &&
	    memcmp(n->id, t->id, NODEID_BYTES) != 0;
}

bool dht_answered(struct dht_table *t, const uint8_t id[NODEID_BYTES],
    const struct endpoint *at, int64_t now_s)
{
	struct dht_node new = { .at = *at, .heard = true, .answered_s = now_s };

	memcpy(new.id, id, NODEID_BYTES);
	if (!fits(t, &new))
		return false;
	struct dht_bucket *b = bucket_of(t, id);
	for (unsigned i = 0; i < b->n; i++) {
		struct dht_node *old = &b->node[i];

		if (endpoint_cmp(&old->at, at) ||
		    memcmp(old->id, id, NODEID_BYTES))
			continue;
		old->heard = true;
		old->answered_s = now_s;
		old->fails = 0;
		return true;
	}
	return settle(t, &new, now_s) && enter(t, &new, now_s);
}

void dht_failed(struct dht_table *t, const struct endpoint *at)
{
	for (unsigned k = 0; k < DHT_BUCKETS; k++)
		for (unsigned i = 0; i < t->bucket[k].n; i++) {
			struct dht_node *n = &t->bucket[k].node[i];

			if (endpoint_cmp(&n->at, at) == 0 &&
			    n->fails < DHT_BAD_FAILS)
				n->fails++;
		}
}

static size_t collect(const struct dht_table *t,
    const uint8_t target[NODEID_BYTES], int64_t now_s, bool bad,
    const struct dht_node **out, size_t n)
{
	size_t found = 0;

	for (unsigned k = 0; k < DHT_BUCKETS; k++)
		for (unsigned i = 0; i < t->bucket[k].n; i++) {
			const struct dht_node *one = &t->bucket[k].node[i];
			size_t at = found;

			if ((dht_state(one, now_s) == DHT_BAD) != bad)
				continue;
			while (at > 0 && nodeid_nearer(target, one->id,
			    out[at - 1]->id) < 0)
				at--;
			if (at == n)
				continue;
			if (found < n)
				found++;
			for (size_t m = found - 1; m > at; m--)
				out[m] = out[m - 1];
			out[at] = one;
		}
	return found;
}

size_t dht_closest(const struct dht_table *t,
    const uint8_t target[NODEID_BYTES], int64_t now_s,
    const struct dht_node **out, size_t n)
{
	size_t found = collect(t, target, now_s, false, out, n);

	/* All bad: more likely it is our own line that failed. */
	return found ? found : collect(t, target, now_s, true, out, n);
}

const struct dht_node *dht_stale(struct dht_table *t, int64_t now_s)
{
	struct dht_node *best = NULL;

	for (unsigned k = 0; k < DHT_BUCKETS; k++)
		for (unsigned i = 0; i < t->bucket[k].n; i++) {
			struct dht_node *n = &t->bucket[k].node[i];

			if (dht_state(n, now_s) != DHT_QUESTIONABLE ||
			    (n->pinged && now_s - n->pinged_s < PING_S))
				continue;
			/* Never pinged first, then the longest ago. */
			if (best == NULL || (best->pinged && (!n->pinged ||
			    n->pinged_s < best->pinged_s)))
				best = n;
		}
	if (best) {
		best->pinged = true;
		best->pinged_s = now_s;
	}
	return best;
}

/* An id in bucket i: our own first i bits, the next one turned. */
static void id_in(const struct dht_table *t, unsigned i,
    const uint8_t random[NODEID_BYTES], uint8_t id[NODEID_BYTES])
{
	uint8_t keep = (uint8_t)(0xff00u >> i % 8);
	uint8_t turn = (uint8_t)(0x80u >> i % 8);

	memcpy(id, random, NODEID_BYTES);
	memcpy(id, t->id, i / 8);
	id[i / 8] = (uint8_t)((t->id[i / 8] & keep) |
	    (~t->id[i / 8] & turn) |
	    (random[i / 8] & (uint8_t)~(keep | turn)));
}

bool dht_refresh(struct dht_table *t, int64_t now_s,
    const uint8_t random[NODEID_BYTES], uint8_t target[NODEID_BYTES])
{
	for (unsigned k = 0; k < DHT_BUCKETS; k++) {
		struct dht_bucket *b = &t->bucket[k];

		if ((b->n == 0 && k > 0) || (b->refreshed &&
		    now_s - b->refreshed_s < DHT_REFRESH_S))
			continue;
		b->refreshed = true;
		b->refreshed_s = now_s;
		id_in(t, k, random, target);
		return true;
	}
	return false;
}

size_t dht_count(const struct dht_table *t, int64_t now_s, size_t *good)
{
	size_t n = 0, fine = 0;

	for (unsigned k = 0; k < DHT_BUCKETS; k++) {
		n += t->bucket[k].n;
		for (unsigned i = 0; i < t->bucket[k].n; i++)
			fine += dht_state(&t->bucket[k].node[i], now_s) ==
			    DHT_GOOD;
	}
	if (good)
		*good = fine;
	return n;
}

size_t dht_save(const struct dht_table *t, int64_t now_s, uint8_t *out,
    size_t room)
{
	size_t ip = t->family == 4 ? 4 : 16, at = 0;

	for (unsigned k = 0; k < DHT_BUCKETS; k++)
		for (unsigned i = 0; i < t->bucket[k].n; i++) {
			const struct dht_node *n = &t->bucket[k].node[i];

			if (dht_state(n, now_s) == DHT_BAD ||
			    room - at < NODEID_BYTES + ip + 2)
				continue;
			memcpy(out + at, n->id, NODEID_BYTES);
			memcpy(out + at + NODEID_BYTES, n->at.addr, ip);
			put_u16(out + at + NODEID_BYTES + ip, n->at.port);
			at += NODEID_BYTES + ip + 2;
		}
	return at;
}

bool dht_load(struct dht_table *t, struct span saved)
{
	size_t each = NODEID_BYTES + (t->family == 4 ? 4 : 16) + 2;
	struct cur c = cur_of(saved);

	while (cur_left(&c) >= each) {
		struct dht_node n = { .heard = false };

		memcpy(n.id, cur_take(&c, NODEID_BYTES).p, NODEID_BYTES);
		n.at = t->family == 4 ? endpoint_take4(&c) :
		    endpoint_take6(&c);
		/* Time matters only to nodes heard in this run: there are
		 * none yet, or they are good and stay. */
		if (fits(t, &n) && settle(t, &n, 0))
			enter(t, &n, 0);
	}
	return cur_left(&c) == 0;
}
