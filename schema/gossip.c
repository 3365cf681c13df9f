#include "schema/gossip.h"

#include "schema/draw.h"

#define SLOTS 2048u		/* a power of two over GOSSIP_NAMES_MAX */

/* Names already given, by their hash; 0: free, else index + 1. */
struct seen {
	uint16_t slot[SLOTS];
	uint64_t key[ENDPOINT_KEYS];	/* of the hash: nobody can aim */
};

/* False if names has e already. n: how many there are. */
static bool add(struct seen *s, struct named *names, size_t n,
    const struct endpoint *e)
{
	uint32_t at = (uint32_t)(endpoint_mix(s->key, e) >> 32) % SLOTS;

	for (; s->slot[at]; at = (at + 1) % SLOTS)
		if (endpoint_cmp(&names[s->slot[at] - 1].at, e) == 0)
			return false;
	s->slot[at] = (uint16_t)(n + 1);
	names[n].at = *e;
	return true;
}

static void put_odd(const struct pex_msg *m, struct json *j)
{
	static const struct {
		unsigned bit;
		const char *text;
	} odd[] = {
		{ PEX_ODD_TYPE, "a key of the wrong type, or twice" },
		{ PEX_ODD_BYTES, "a list not of whole entries" },
		{ PEX_ODD_FLAGS, "not one flags byte for each added peer" },
		{ PEX_ODD_MANY, "more than 50 added or dropped" }
	};

	json_open(j, "odd", '[');
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (m->odd & odd[i].bit)
			json_str(j, NULL, odd[i].text);
	json_close(j, ']');
}

size_t gossip_pex(const struct pex_msg *m, const char *by, struct json *j,
    struct named names[GOSSIP_NAMES_MAX])
{
	uint8_t flags[GOSSIP_NAMES_MAX];
	struct pex_peers it = { 0 };
	struct seen seen = { .slot = { 0 } };
	size_t n = 0, added = 0, skipped = 0;
	bool any = false;
	struct pex_peer p;

	draw_bits(seen.key, sizeof(seen.key));
	while (pex_peer(m, &it, &p)) {
		if (n == GOSSIP_NAMES_MAX) {
			skipped++;
			continue;
		}
		if (p.at.family == 0 || !add(&seen, names, n, &p.at))
			continue;
		flags[n] = p.has_flags ? p.flags : 0;
		any |= p.has_flags;
		n++;
		if (!p.dropped)
			added = n;
	}
	json_open(j, NULL, '{');
	json_str(j, "by", by);
	json_uint(j, "added", m->n_added);
	json_uint(j, "dropped", m->n_dropped);
	json_uint(j, "named_added", added);
	if (any)
		json_hex(j, "flags", span_of(flags, added));
	else
		json_null(j, "flags");
	json_uint(j, "skipped", skipped);
	put_odd(m, j);
	json_close(j, '}');
	return n;
}
