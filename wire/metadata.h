/*
 * The messages of ut_metadata (BEP 9), after the extended id. We ask and
 * refuse; we never write one that carries data.
 */
#ifndef WIRE_METADATA_H
#define WIRE_METADATA_H

#include "bencode.h"

#define METADATA_BLOCK 16384u
#define METADATA_SENT_MAX 64u

enum metadata_type {
	METADATA_REQUEST,	/* numbered as BEP 9 */
	METADATA_DATA,
	METADATA_REJECT,
	METADATA_UNKNOWN	/* to be ignored, BEP 9 */
};

struct metadata_msg {
	enum metadata_type type;
	int64_t wire_type;	/* as sent */
	uint32_t piece;		/* not of METADATA_UNKNOWN */
	int64_t total_size;	/* -1: absent */
	struct span data;	/* what follows the dict, METADATA_DATA */
	bool odd;		/* keys unsorted, repeated or of a wrong type,
				 * bytes after a dict that should have none */
};
/* OK, or BAD with *err: no dict with msg_type and, of a known type, piece; or
 * data of no bytes or more than a block. */
enum wire_status metadata_read(struct span payload, struct metadata_msg *m,
    struct wire_error *err);

/* A request or a reject; 0 for any other type or if room does not suffice. */
size_t metadata_put(uint8_t *out, size_t room, enum metadata_type type,
    uint32_t piece);

#endif
