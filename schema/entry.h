/*
 * A record on its way into evidence.db: the caller's struct record copied into
 * one block, then completed with salts, digests, named rows and the leaf hash.
 */
#ifndef SCHEMA_ENTRY_H
#define SCHEMA_ENTRY_H

#include "schema/merkle.h"
#include "schema/record.h"
#include "schema/shelf.h"

struct entry_named {
	struct endpoint at;
	uint8_t salt[RECORD_SALT];
};

struct entry {
	struct entry *next;
	struct shelf_block *block;	/* it lies in; NULL: malloc's */
	size_t bytes;		/* of all of it, in one piece */
	bool complete;
	bool index;		/* an index record, its detail still to come */
	int64_t seq, utc_ns, mono_ns, conn;	/* -1: NULL */
	int32_t port;				/* -1: NULL */
	size_t detail_n;
	bool has_ip, has_swarm, has_raw, has_digest, has_named;
	char kind[32], swarm[65], ip[ENDPOINT_IP_MAX];
	char raw_sha256[65], salt[2 * RECORD_SALT + 1];
	struct hash leaf;
	char *detail;		/* in that piece, with room for what named
				 * appends; so are raw and named */
	uint8_t *raw;
	size_t raw_n;
	struct entry_named *named;
	size_t names;
};

/* A copy of r under seq, on the shelf, or with NULL in memory of its own. What
 * the format cannot hold is our own fault: dies. */
struct entry *entry_new(const struct record *r, int64_t seq,
    const uint8_t salt[RECORD_SALT], struct shelf *shelf);
/* Given up; of those on the shelf in their order. */
void entry_free(struct entry *e, struct shelf *shelf);

/* A line's room, reused from entry to entry. */
struct entry_scratch {
	char *line;
	size_t room;
};
/* Computes what entry_new left open; once. */
void entry_complete(struct entry *e, struct entry_scratch *s);

#endif
