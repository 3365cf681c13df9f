#include "schema/swarmref.h"

void swarmref_init(struct swarmref *s, const struct torrent *t)
{
	*s = (struct swarmref){ .wire_hashes = t->wire_hashes, .torrent = t };
	memcpy(s->swarm, t->swarm, sizeof(s->swarm));
	memcpy(s->wire_hash, t->wire_hash, sizeof(s->wire_hash));
}

void swarmref_init_hashes(struct swarmref *s, const uint8_t v1[20],
    const uint8_t v2[32])
{
	*s = (struct swarmref){ 0 };
	if (v1)
		memcpy(s->wire_hash[s->wire_hashes++], v1, 20);
	if (v2)
		memcpy(s->wire_hash[s->wire_hashes++], v2, 20);
	if (v1)
		hex_of(v1, 20, s->swarm);
	else if (v2)
		hex_of(v2, 32, s->swarm);
}

bool swarmref_is(const struct swarmref *s, const uint8_t infohash[20])
{
	for (int i = 0; i < s->wire_hashes; i++)
		if (memcmp(s->wire_hash[i], infohash, 20) == 0)
			return true;
	return false;
}
