/*
 * Magnet links (BEP 9, BEP 52, BEP 53 ignored) and bare infohashes.
 */
#ifndef WIRE_MAGNET_H
#define WIRE_MAGNET_H

#include "endpoint.h"

#define MAGNET_MAX 65536u		/* longer links are refused */

struct magnet {
	bool v1, v2;
	uint8_t hash_v1[20];
	uint8_t hash_v2[32];
	struct span link;
	bool unsupported;	/* had parameters we do not know */
};

/*
 * Reads "magnet:?xt=urn:btih:..." (40 hex or 32 base32 digits), "urn:btmh:1220
 * ...", both, or a bare infohash of 40 or 64 hex digits. OK, or BAD with *err.
 */
enum wire_status magnet_read(struct span link, struct magnet *m,
    struct wire_error *err);

/* The i-th value of parameter key ("dn", "tr", "x.pe"), percent-decoded into
 * buf (at most n bytes, no NUL); its full length, or -1 if there is none. */
long magnet_param(const struct magnet *m, const char *key, unsigned i,
    char *buf, size_t n);

/* The values of a key one after the other, from a zeroed *it on; else alike.
 * A link may have thousands. */
struct magnet_values {
	bool begun;
	struct cur c;
};
long magnet_next(const struct magnet *m, struct magnet_values *it,
    const char *key, char *buf, size_t n);

#endif
