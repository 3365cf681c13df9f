/*
 * Peer exchange (BEP 11): which peers a peer says it has met and left. Hearsay
 * with a named witness. We read it and never send any.
 */
#ifndef WIRE_PEX_H
#define WIRE_PEX_H

#include "bencode.h"
#include "endpoint.h"

#define PEX_HEARD_MOST 200u	/* of one message; honest first ones have 100 */
#define PEX_USUAL 50u		/* added, and dropped, but in a first message */

/* What the sender says of a peer it added. */
enum pex_flag {
	PEX_ENCRYPTION = 1,
	PEX_SEED = 2,
	PEX_UTP = 4,
	PEX_HOLEPUNCH = 8,
	PEX_REACHABLE = 16
};

enum pex_odd {
	PEX_ODD_TYPE = 1,	/* a key we read had another type, or was
				 * given twice */
	PEX_ODD_BYTES = 2,	/* a list not of whole entries */
	PEX_ODD_FLAGS = 4,	/* not one flags byte per added peer; none at
				 * all is usual */
	PEX_ODD_MANY = 8	/* more than PEX_USUAL added or dropped */
};

struct pex_msg {
	struct span added, added6;		/* 6 and 18 bytes each */
	struct span flags, flags6;		/* of the added */
	struct span dropped, dropped6;
	uint32_t n_added, n_dropped;		/* whole entries */
	unsigned odd;				/* pex_odd bits */
	unsigned notes;				/* ben_note bits */
};
/* Reads the payload of a ut_pex message. OK, or BAD with *err. */
enum wire_status pex_read(struct span payload, struct pex_msg *m,
    struct wire_error *err);

/* The next peer: added IPv4, added IPv6, dropped IPv4, dropped IPv6. False at
 * the end, after n_added + n_dropped. Start zeroed. */
struct pex_peers {
	struct cur list[4], flags[2];
	unsigned at;
	bool begun;
};
struct pex_peer {
	struct endpoint at;
	bool dropped, has_flags;
	uint8_t flags;
};
bool pex_peer(const struct pex_msg *m, struct pex_peers *it,
    struct pex_peer *p);

#endif
