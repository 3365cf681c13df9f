/*
 * An address and port as the protocols carry them, and its one canonical
 * text. IPv4-mapped IPv6 addresses are IPv4 from the moment they are read.
 */
#ifndef WIRE_ENDPOINT_H
#define WIRE_ENDPOINT_H

#include "cur.h"

#define ENDPOINT_IP_MAX 46	/* longest address text with its NUL */
#define ENDPOINT_TEXT_MAX 54	/* "[address]:port" with its NUL */

struct endpoint {
	uint8_t addr[16];	/* network order; IPv4 in the first four */
	uint16_t port;
	uint8_t family;		/* 4, 6, or 0 for none */
};

/* From compact form (BEP 23, BEP 7): 4 or 16 address bytes, 2 of port. */
struct endpoint endpoint_take4(struct cur *c);
struct endpoint endpoint_take6(struct cur *c);

/* From 4 or 16 address bytes in network order; family 0 for other lengths. */
struct endpoint endpoint_of(struct span addr, uint16_t port);

/* The address as RFC 5952 (or dotted quad) text, without port or brackets. */
const char *endpoint_ip(const struct endpoint *e, char buf[ENDPOINT_IP_MAX]);

/* "1.2.3.4:6881" or "[2001:db8::1]:6881". */
const char *endpoint_text(const struct endpoint *e,
    char buf[ENDPOINT_TEXT_MAX]);

/* Reads an address text without port (endpoint_ip's forms and any other legal
 * spelling; no zone, no brackets). False, and *e untouched, if it is none. */
bool endpoint_parse_ip(struct span text, struct endpoint *e);

/* Reads "ip:port" or "[ip6]:port". */
bool endpoint_parse(struct span text, struct endpoint *e);

/* Order by family, address, port: <0, 0, >0. */
int endpoint_cmp(const struct endpoint *a, const struct endpoint *b);
bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b);

/* A part of a keyed hash, of address and port: see wire/mix.h. */
#define ENDPOINT_KEYS 5u
uint64_t endpoint_mix(const uint64_t key[ENDPOINT_KEYS],
    const struct endpoint *e);

/*
 * Why this address must not be dialled on the open Internet ("loopback",
 * "private", "multicast", "reserved", "embeds an IPv4 address" ...), or NULL
 * for a global unicast address. IANA special-purpose registries (RFC 6890);
 * NAT64 64:ff9b::/96 and 64:ff9b:1::/48, 6to4 2002::/16, Teredo 2001::/32 and
 * IPv4-compatible addresses count as embedding.
 */
const char *endpoint_special(const struct endpoint *e);

/* Why nothing must be sent to this endpoint, or NULL: no address, port 0,
 * never anything but a host (unspecified, multicast, broadcast), and special
 * addresses unless allow_local. */
const char *endpoint_forbidden(const struct endpoint *e, bool allow_local);

#endif
