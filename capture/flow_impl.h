/*
 * Inside the flows: what the table, delivery, TCP and uTP share. Only the
 * files named flow*.c.
 */
#ifndef CAPTURE_FLOW_IMPL_H
#define CAPTURE_FLOW_IMPL_H

#include "capture/flow.h"
#include "capture/fragment.h"
#include "capture/hold.h"
#include "capture/packet.h"
#include "capture/recent.h"
#include "wire/utppacket.h"

#define FLOW_MOST 81920u	/* at once, ended ones that linger included */
#define FLOW_HOLD_SIDE (12u << 20)
#define FLOW_HOLD_ALL (20u << 20)
#define FLOW_QUIET_NS (300LL * 1000000000)	/* nothing told yet */
#define FLOW_LINGER_NS (60LL * 1000000000)	/* ended */
#define FLOW_WAIT_PACKETS 3u
#define FLOW_WAIT_MOST 200u	/* where stamps tell nothing */
#define FLOW_AHEAD (1 << 30)	/* TCP: no window is wider (RFC 7323) */

/*
 * One direction. A key is a place in its stream: TCP's sequence number, uTP's
 * seq_nr made 32 bits wide. FIN takes a unit.
 */
struct flow_side {
	struct hold *hold;	/* NULL: nothing waits */
	uint64_t offset;	/* bytes told, those of gaps too */
	uint64_t recent;	/* chain in flows.recent */
	int64_t wait_ns;	/* when what waits now began to */
	uint32_t next;		/* key of the next unit, if known */
	uint32_t start;		/* TCP: key after the SYN, if begun */
	uint32_t acked;		/* two packets in a row acknowledge up to it */
	uint32_t ack_last;
	uint32_t end;		/* key of the FIN, if fin */
	uint8_t waits;		/* packets since wait_ns, at most 255 */
	bool known, begun, acks, fin, done;
};

enum flow_stage {
	STAGE_PROOF,	/* uTP: shape alone, nothing told */
	STAGE_QUIET,	/* nothing told yet */
	STAGE_TOLD,
	STAGE_OVER	/* lingers, so that stragglers begin nothing */
};

struct flow {
	struct flow *chain;	/* in its bucket */
	struct flow *newer, *older;	/* in its list, by the last packet */
	struct flow *holds_newer, *holds_older;
	void *user;
	struct endpoint end[2];
	struct flow_side side[2];
	struct flow_at first, answered, last;
	uint32_t again_key;	/* TCP: a SYN of other numbers came, which may
				 * begin a new flow */
	uint32_t bucket;
	uint16_t id[2];		/* uTP: what each side's packets bear */
	uint16_t seen_seq, seen_ack;	/* uTP, STAGE_PROOF: of the first */
	enum flow_transport transport;
	enum flow_stage stage;
	uint8_t list;		/* enum flow_list_name */
	uint8_t again_side;
	uint8_t fin_first;	/* whose FIN was told first */
	bool opened, again_syn, holding, unwanted;
	bool reset;		/* by reset_side; whether it is heeded will show */
	uint8_t reset_side;
};

enum flow_list_name {
	LIST_OVER,		/* least missed first */
	LIST_RESET,
	LIST_QUIET,
	LIST_TOLD,
	LISTS
};

struct flow_list {
	struct flow *newest, *oldest;
};

struct flow_chunk;

struct flows {
	struct flow_sink sink;
	struct flow_counts counts;
	struct recent recent;
	struct fragments *fragments;
	struct flow **bucket;
	struct flow *spare;
	struct flow_chunk *chunks;
	size_t nflows, nchunks, held, most;
	struct flow_list list[LISTS];
	struct flow *holds_newest, *holds_oldest;
	uint64_t key[ENDPOINT_KEYS + 2];	/* of the hash: nobody can aim at a bucket */
	int64_t now_ns, before_ns;
	struct flow_at at;	/* of the packet at hand */
	uint64_t offset;	/* of its frame in the file; 0: none */
	const uint8_t *frame;	/* its bytes, to find a payload's offset */
	uint8_t *compare;	/* 64 KiB */
};

/* --- flowtable.c: which flows there are --- */

int flowtable_init(struct flows *f);
void flowtable_fini(struct flows *f);

/* The bucket of two endpoints in either order. */
uint32_t flowtable_bucket(const struct flows *f, enum flow_transport t,
    const struct endpoint *a, const struct endpoint *b);

/* Whether from and to are its ends; *side is from's. */
bool flow_between(const struct flow *w, const struct endpoint *from,
    const struct endpoint *to, unsigned *side);

/* A new one; makes room by ending another if it must. */
struct flow *flowtable_add(struct flows *f, enum flow_transport t,
    uint32_t bucket, const struct endpoint *a, const struct endpoint *b);

/* Its packet has come, or its stage changed: last of its list. */
void flowtable_touch(struct flows *f, struct flow *w);

/* Forgets it; nothing is told. */
void flowtable_drop(struct flows *f, struct flow *w);

/* Ends what was silent for too long. */
void flowtable_expire(struct flows *f);

/* --- flowtell.c: what is told, and in which order --- */

/* The side's next unit is key. */
void flow_know(struct flow *w, unsigned side, uint32_t key);

/* A segment came. Tells it, holds it or passes over it. */
void flow_offer(struct flows *f, struct flow *w, unsigned side,
    const struct segment *s);

/* Side sends a FIN at key. */
void flow_fin(struct flow *w, unsigned side, uint32_t key);

/* The other end says that it has everything of side before key. */
void flow_ack(struct flow *w, unsigned side, uint32_t key);

/* Whether anything waits or is about to end; then flow_settle is due. */
bool flow_waits(const struct flow *w);

/* Counts the packet for what waits; tells what can be told now, the end too. */
void flow_settle(struct flows *f, struct flow *w);

/* The side resets it: it ends now, or once that proves to be heeded. */
void flow_reset(struct flows *f, struct flow *w, unsigned side);

/* Tells all that is held, with gaps, then that it ended. It lingers. */
void flow_close(struct flows *f, struct flow *w, enum flow_end end,
    unsigned by);

/* Nothing more of it is held. */
void flow_release(struct flows *f, struct flow *w);

/* --- flowtcp.c, flowutp.c --- */

void flow_tcp(struct flows *f, const struct packet *p);

/* False: the datagram is no uTP packet. */
bool flow_utp(struct flows *f, const struct packet *p);

#endif
