/*
 * DHT node ids: how far apart they are (BEP 5), and whether one is of the kind
 * that its holder's address allows (BEP 42).
 */
#ifndef WIRE_NODEID_H
#define WIRE_NODEID_H

#include "endpoint.h"

#define NODEID_BYTES 20u

enum nodeid_rule {
	NODEID_WRONG,		/* not an id that BEP 42 allows there */
	NODEID_OBEYS,
	NODEID_EXEMPT		/* a local address: BEP 42 asks nothing of it */
};
enum nodeid_rule nodeid_check(const uint8_t id[NODEID_BYTES],
    const struct endpoint *at);

/* Loopback, private and link-local addresses. */
bool nodeid_exempt(const struct endpoint *at);

/* An id that obeys BEP 42 at this address; all random where it asks nothing
 * (at->family 0: the address is not known). */
void nodeid_make(uint8_t id[NODEID_BYTES], const struct endpoint *at,
    const uint8_t random[NODEID_BYTES]);

/* Which of a and b is nearer to target by XOR: <0 a, 0 equal, >0 b. */
int nodeid_nearer(const uint8_t target[NODEID_BYTES],
    const uint8_t a[NODEID_BYTES], const uint8_t b[NODEID_BYTES]);

/* How many leading bits a and b have in common, 0 to 160. */
unsigned nodeid_shared(const uint8_t a[NODEID_BYTES],
    const uint8_t b[NODEID_BYTES]);

#endif
