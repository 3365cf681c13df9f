/*
 * What is said to one peer in the extension protocol (BEP 10): that we exist,
 * which metadata we want (BEP 9), and that we give none. Peer exchange (BEP 11)
 * is heard and never answered. Pure.
 */
#ifndef MONITOR_EXTEND_H
#define MONITOR_EXTEND_H

#include "wire/talk.h"

#define EXTEND_ROOM 256u	/* what one call may write */

struct extend {
	uint8_t metadata_id;	/* the peer's for ut_metadata; 0: none */
	bool asked;		/* for a block of the metadata */
	bool gossip;		/* its last peer exchange came when it might */
	int64_t gossip_ns;	/* when that one came; 0: none yet */
	unsigned hasty;		/* those that came too early */
};

struct extend_offer {
	uint16_t port;
	const char *version;
	bool metadata;		/* we want it */
	bool again;		/* not the first time: we have it now */
	bool pex;		/* we hear it */
};

/* Each writes to out, which has EXTEND_ROOM, and returns how much. */

/* The handshake before it; dht: we take part in the DHT. */
size_t extend_handshake(const uint8_t infohash[20], const uint8_t peer_id[20],
    bool v2, bool dht, uint8_t *out);
size_t extend_hello(const struct extend_offer *o, uint8_t *out);
/* 0 if the peer has none to give. */
size_t extend_fetch(struct extend *x, uint32_t block, uint8_t *out);

/* Whether this is the metadata that was asked for. */
bool extend_asked(const struct extend *x, const struct event *ev);

/* The peer's extended message. NULL, or why we leave. */
const char *extend_event(struct extend *x, const struct event *ev,
    int64_t now_ns, uint8_t *out, size_t *n);

#endif
