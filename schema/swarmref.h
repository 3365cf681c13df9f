/*
 * A swarm as its peers name it, whether its metadata is known or not yet.
 */
#ifndef SCHEMA_SWARMREF_H
#define SCHEMA_SWARMREF_H

#include "schema/torrent.h"

struct proven;

struct swarmref {
	char swarm[65];		/* what its records bear, from the first */
	uint8_t wire_hash[2][20];	/* what its peers' handshakes bear */
	int wire_hashes;
	const struct torrent *torrent;	/* lent; NULL: not known yet */
	struct proven *proven;	/* hashes that its peers proved, shared by its
				 * conversations; NULL: each keeps its own */
};

void swarmref_init(struct swarmref *s, const struct torrent *t);
/* By infohash alone: v1, v2 or both; NULL for one that is not known. */
void swarmref_init_hashes(struct swarmref *s, const uint8_t v1[20],
    const uint8_t v2[32]);

bool swarmref_is(const struct swarmref *s, const uint8_t infohash[20]);

#endif
