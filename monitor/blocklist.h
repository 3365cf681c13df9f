/*
 * Addresses that are never contacted, read from files.
 */
#ifndef MONITOR_BLOCKLIST_H
#define MONITOR_BLOCKLIST_H

#include <stddef.h>

#include "wire/endpoint.h"

struct blocklist {
	struct blocklist_range {
		uint8_t from[16], to[16];	/* both ends included; IPv4 as
						 * ::ffff:a.b.c.d */
	} *range;		/* once ready: sorted, none overlapping */
	size_t ranges;
	int64_t withheld, refused;	/* the callers': addresses not dialled,
					 * connections not accepted */
};

/*
 * Adds what a file lists, one entry a line: an address, ADDR/BITS, FROM-TO,
 * NAME:FROM-TO (P2P format, IPv4), or FROM - TO , LEVEL , NAME (DAT format, of
 * which levels of 128 and more are none). Empty lines and those that begin with # or
 * ; are passed over. -1: every bad line is named with its number.
 */
int blocklist_read(struct blocklist *b, const char *file);
/* Sorts and joins; before the first blocklist_has. */
void blocklist_ready(struct blocklist *b);
bool blocklist_has(const struct blocklist *b, const struct endpoint *at);
void blocklist_fini(struct blocklist *b);

#endif
