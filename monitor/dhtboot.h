/*
 * DHT nodes known by name or address before any has answered: those given on
 * the command line, and those that torrents name (BEP 5).
 */
#ifndef MONITOR_DHTBOOT_H
#define MONITOR_DHTBOOT_H

#include <uv.h>

#include "wire/endpoint.h"

#define DHTBOOT_MOST 64u
#define DHTBOOT_ADDRS 4u		/* of one name, per family */
#define DHTBOOT_AGAIN_S 900		/* names are looked up at most so often */

struct dht_boots;

/* NULL on out of memory. */
struct dht_boots *dht_boots_new(uv_loop_t *loop);

/* False: there is no room. What is there already is not added again. */
bool dht_boots_add(struct dht_boots *b, struct span host, uint16_t port);

/* Looks up the names whose addresses are not known, or old. */
void dht_boots_resolve(struct dht_boots *b, int64_t now_s);

/* The i-th endpoint of this family, from 0; false past the last. */
bool dht_boots_get(const struct dht_boots *b, int family, size_t i,
    struct endpoint *at);

/* Forgets all; freed when the loop is done with what it looks up. */
void dht_boots_close(struct dht_boots *b);

#endif
