/*
 * What sets a record of an exchange that was overheard in a capture apart from
 * one of our own asking: whom it was said to, and where it is in which savefile.
 */
#ifndef SCHEMA_OVERHEARD_H
#define SCHEMA_OVERHEARD_H

#include "schema/json.h"
#include "wire/endpoint.h"

struct overheard {
	struct endpoint to;
	const char *file;	/* a savefile of the case */
	uint64_t frame;		/* from 1 */
};

/* The last keys of such a record's detail; nothing for NULL. */
static inline void overheard_put(struct json *j, const struct overheard *o)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!o)
		return;
	json_str(j, "to", endpoint_text(&o->to, text));
	json_str(j, "file", o->file);
	json_uint(j, "frame", o->frame);
}

#endif
