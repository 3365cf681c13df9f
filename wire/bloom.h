/*
 * The bloom filters of a DHT scrape (BEP 33): each node gives one of seeds and
 * one of other peers. What they add up to is an estimate and nothing more;
 * beyond 6000 addresses, says BEP 33, it means little.
 */
#ifndef WIRE_BLOOM_H
#define WIRE_BLOOM_H

#include "cur.h"

#define BLOOM_BYTES 256u

/* Adds what one node gave to the union of several. */
void bloom_merge(uint8_t into[BLOOM_BYTES], const uint8_t from[BLOOM_BYTES]);

/* How many addresses went into it: 0 for an empty one, -1 for a full one,
 * which says nothing. */
double bloom_estimate(const uint8_t filter[BLOOM_BYTES]);

#endif
