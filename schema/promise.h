/*
 * A record whose place in the order is settled while digests that it states are
 * still being taken.
 */
#ifndef SCHEMA_PROMISE_H
#define SCHEMA_PROMISE_H

#include "schema/json.h"

struct promise {
	/* Whether keeping it takes no time. */
	bool (*ready)(struct promise *p);
	/* Waits; puts the record's detail, and its raw_sha256 or NULL, lent
	 * until the drop. Once. */
	const uint8_t *(*keep)(struct promise *p, struct json *j);
	/* Frees it, kept or not. */
	void (*drop)(struct promise *p);
};

#endif
