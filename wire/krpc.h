/*
 * The DHT's messages (BEP 5, 32, 33, 42, 43): the queries we send, and every
 * datagram that others send. A read-only node answers nothing, so no reply is
 * ever written.
 */
#ifndef WIRE_KRPC_H
#define WIRE_KRPC_H

#include "bencode.h"
#include "nodeid.h"

#define KRPC_SENT_MAX 1024u		/* a datagram of ours, BEP 32 */
#define KRPC_NODE4 26u			/* an id and an endpoint */
#define KRPC_NODE6 38u

/* What a query may ask for, BEP 32. */
#define KRPC_WANT4 1u
#define KRPC_WANT6 2u

#define KRPC_METHODS(X) \
	X(PING, "ping") \
	X(FIND_NODE, "find_node") \
	X(GET_PEERS, "get_peers") \
	X(ANNOUNCE_PEER, "announce_peer")

enum krpc_method {
#define X(id, name) KRPC_##id,
	KRPC_METHODS(X)
#undef X
	KRPC_OTHER
};

struct krpc_ask {
	enum krpc_method method;	/* not KRPC_OTHER */
	struct span t;		/* transaction, echoed by the answer */
	struct span v;		/* our program and version, or empty */
	uint8_t id[NODEID_BYTES];	/* ours */
	uint8_t target[20];	/* find_node: id; the others: infohash */
	unsigned want;		/* find_node, get_peers */
	bool read_only;		/* BEP 43 */
	bool scrape;		/* get_peers: bloom filters, BEP 33 */
	struct span token;	/* announce_peer, as its receiver gave it */
	uint16_t port;		/* announce_peer */
	bool implied_port;	/* announce_peer: take the UDP source port */
};
/* Bytes written to out, 0 if room does not suffice. */
size_t krpc_put(uint8_t *out, size_t room, const struct krpc_ask *ask);

enum krpc_type {
	KRPC_QUERY,
	KRPC_REPLY,
	KRPC_ERROR
};

/* Oddities met, as bits. */
enum krpc_odd {
	KRPC_ODD_TYPE = 1,	/* a key we read had another type, or was
				 * given twice */
	KRPC_ODD_NODES = 2,	/* nodes or nodes6 not of whole entries */
	KRPC_ODD_IP = 4,	/* ip is no endpoint */
	KRPC_ODD_BLOOM = 8,	/* a filter not of 256 bytes */
	KRPC_ODD_PORT = 16	/* a port beyond 1 to 65535 */
};

struct krpc_msg {
	enum krpc_type type;
	struct span t;
	struct span v;			/* sender's version, as claimed */
	struct endpoint ip;		/* BEP 42: the receiver's address as
					 * the sender saw it; family 0: none */
	bool read_only;
	uint8_t id[NODEID_BYTES];	/* query, reply: the sender's claim */
	/* query */
	enum krpc_method method;
	struct span name;		/* of the method, as sent */
	uint8_t target[20];		/* find_node: id; get_peers and
					 * announce_peer: infohash */
	unsigned want;
	bool scrape, seed, implied_port;
	uint16_t port;			/* announce_peer; 0: none */
	/* query, reply */
	struct span token;		/* .p NULL: none */
	/* reply */
	struct span nodes, nodes6;	/* walk: krpc_node */
	struct span values;		/* inside of the list: krpc_value;
					 * .p NULL: none */
	struct span bloom_seeds, bloom_peers;	/* 256 bytes, or none */
	/* error */
	int64_t code;			/* -1: none */
	struct span text;
	unsigned odd;			/* krpc_odd bits */
	unsigned notes;			/* ben_note bits */
};

/* Reads one datagram. OK, or BAD with *err. Spans point into the datagram. */
enum wire_status krpc_read(struct span datagram, struct krpc_msg *m,
    struct wire_error *err);

/* The next node named in a reply, of either family; false at the end. Start
 * zeroed. An IPv4-mapped entry of nodes6 has family 4. */
struct krpc_nodes {
	struct cur n4, n6;
	bool begun;
};
struct krpc_named {
	uint8_t id[NODEID_BYTES];
	struct endpoint at;
};
bool krpc_node(const struct krpc_msg *m, struct krpc_nodes *it,
    struct krpc_named *n);

/* The next peer of values, 6 and 18 bytes mixed (BEP 32); whatever is of
 * another size or no string is skipped and counted. Start zeroed. */
struct krpc_values {
	struct cur c;
	uint32_t skipped;
	bool begun;
};
bool krpc_value(const struct krpc_msg *m, struct krpc_values *it,
    struct endpoint *peer);

/* "get_peers"; "other". */
const char *krpc_method_name(enum krpc_method method);

#endif
