/*
 * The swarms that a dissector has met or was told of: their torrents, the names
 * that peers' handshakes use, and metadata put together from what peers gave
 * (BEP 9), which counts if its hash is the infohash.
 */
#ifndef CAPTURE_KNOWN_H
#define CAPTURE_KNOWN_H

#include "schema/swarmref.h"

#define KNOWN_METADATA_MAX (4u << 20)	/* of one swarm; more is not kept */
#define KNOWN_METADATA_ALL (12u << 20)	/* of all at once */
#define KNOWN_LEARNT_ALL (16u << 20)	/* torrents made of it */
#define KNOWN_SOURCE_MAX 4096u

struct known;
struct conv;

struct known_swarm {
	struct swarmref ref;	/* first, so that one gives the other */
	struct conv *users;	/* the dissector's list of conversations */
};

struct known *known_new(void);	/* dies when out of memory */
void known_free(struct known *k);

/* Takes the torrent over; false (and freed) if it was known. Not once a
 * conversation is under way. */
bool known_add(struct known *k, struct torrent *t);

/* The swarm of an infohash as peers say it, NULL if it is not known. */
struct known_swarm *known_find(const struct known *k, const uint8_t hash[20]);

/* The same, made if it is not known: known_drop gives it back. */
struct known_swarm *known_hold(struct known *k, const uint8_t hash[20]);
void known_drop(struct known *k, struct known_swarm *s);

/* Which torrent's swarm H('req2' SKEY) means (wire/mse.h). */
bool known_skey(const struct known *k, const uint8_t req2[20],
    uint8_t skey[20]);

/* What a record's swarm is for an infohash: the torrent's, else its hex. */
const char *known_text(const struct known *k, const uint8_t hash[20],
    char hex[41]);

/*
 * A block of metadata that a peer gave. True: it was the last that was missing,
 * the swarm's torrent is known from here on, and source says which peers gave
 * it ("IP:PORT (conn N), ...").
 */
bool known_metadata(struct known *k, struct known_swarm *s, uint32_t piece,
    int64_t total, struct span data, const char *from,
    char source[KNOWN_SOURCE_MAX]);

size_t known_memory(const struct known *k);	/* without given torrents */

#endif
