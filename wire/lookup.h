/*
 * One iterative DHT lookup (BEP 5) in one family: asks ever nearer nodes until
 * the eight nearest that live have answered. Pure: says whom to ask and takes
 * what they answered; time, in ms of any clock that does not step, is handed
 * in. What answers hold beside nodes (peers, filters) is the caller's to keep.
 *
 * Forged nodes are met so: a reply counts for at most 16 nodes, an address
 * (that is not local) is asked at most three times and counts once, an id is
 * the one that its holder answered with, and besides the eight nearest of all,
 * the eight nearest whose ids obey BEP 42 are sought, so that made-up ids
 * around the target cannot crowd them out.
 */
#ifndef WIRE_LOOKUP_H
#define WIRE_LOOKUP_H

#include "krpc.h"

#define LOOKUP_K 8u
#define LOOKUP_ALPHA 3u			/* asked at a time */
#define LOOKUP_NODES 256u
#define LOOKUP_QUERIES_MAX 200u
#define LOOKUP_NAMED_MAX 16u		/* nodes taken from one reply */
#define LOOKUP_PER_IP 3u
#define LOOKUP_TOKEN_MAX 64u
#define LOOKUP_SLOW_MS 1500	/* after it another is asked beside it */
#define LOOKUP_WAIT_MS 8000	/* after it the node counts as silent */

enum lookup_state {
	LOOKUP_FRESH,		/* named, not asked */
	LOOKUP_ASKED,
	LOOKUP_ANSWERED,
	LOOKUP_LOST		/* silent, or it answered with an error */
};

#define LOOKUP_GIVEN UINT16_MAX		/* .from: by the caller */

struct lookup_node {
	enum lookup_state state;
	bool has_id;		/* bootstrap nodes have none until they
				 * answer */
	bool obeys;		/* BEP 42, or exempt, or not known yet */
	bool renamed;		/* answered with another id than it was named
				 * with: old_id */
	uint8_t id[NODEID_BYTES], old_id[NODEID_BYTES];
	struct endpoint at;
	uint16_t from;		/* slot of the node that named it */
	int64_t asked_ms;
	uint8_t token_n;	/* 0: none */
	uint8_t token[LOOKUP_TOKEN_MAX];
};

struct lookup {
	uint8_t target[NODEID_BYTES];
	uint8_t family;
	bool allow_local;
	bool exhausted;		/* ended by LOOKUP_QUERIES_MAX */
	unsigned asked, answered;
	unsigned n;
	struct lookup_node node[LOOKUP_NODES];	/* a slot once asked stays */
	uint16_t order[LOOKUP_NODES];		/* slots, nearest first */
};

void lookup_init(struct lookup *l, const uint8_t target[NODEID_BYTES],
    uint8_t family, bool allow_local);

/* A node to start from; id NULL if it is not known. False: known already, of
 * the other family, not to be asked (endpoint_forbidden), or no room. */
bool lookup_add(struct lookup *l, const uint8_t *id,
    const struct endpoint *at);

enum lookup_step {
	LOOKUP_ASK,		/* send the query to .node[*slot] */
	LOOKUP_SILENT,		/* .node[*slot] did not answer in time */
	LOOKUP_WAIT,		/* until *wake_ms or an answer */
	LOOKUP_DONE
};
enum lookup_step lookup_next(struct lookup *l, int64_t now_ms,
    unsigned *slot, int64_t *wake_ms);

/*
 * The node of a slot answered (late is fine), or with failed could not be
 * asked or answered with an error. *fresh: how many nodes its reply added.
 * False, and nothing changed, if it was not asked or has answered before.
 */
bool lookup_answered(struct lookup *l, unsigned slot,
    const struct krpc_msg *reply, unsigned *fresh);
bool lookup_failed(struct lookup *l, unsigned slot);

/* The i-th nearest that answered, from 0; NULL past the last. The first
 * LOOKUP_K are those to announce to, where they gave a token. */
const struct lookup_node *lookup_nearest(const struct lookup *l, unsigned i);

#endif
