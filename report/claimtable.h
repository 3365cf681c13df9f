/*
 * A table of somebody else's, row by row: CSV of RFC 4180, and what people
 * make of it. Encoding, separator and line ends are found out and can be
 * stated. The reader owns one copy of the text and lends its cells.
 */
#ifndef REPORT_CLAIMTABLE_H
#define REPORT_CLAIMTABLE_H

#include "wire/cur.h"

#define CLAIMTABLE_MOST (64u << 20)	/* bytes of a file */
#define CLAIMTABLE_CELLS 100
#define CLAIMTABLE_CELL 65536u		/* bytes; a quote must end by then */

struct claimtable {
	char *text;		/* UTF-8 */
	size_t n, at;
	int64_t line;		/* the next row's, from 1 */
	char separator;		/* , ; tab or | */
	const char *encoding;	/* "UTF-8", "Latin-1", "UTF-16LE" ... */
	const char *ends;	/* "CRLF", "LF", "CR" */
	bool bom;
};

struct claimrow {
	int64_t line;
	struct span cell[CLAIMTABLE_CELLS];	/* UTF-8, white space trimmed */
	size_t cells;
	const char *fault;	/* why it is no row; the cells then end */
};

/* Takes a copy. False: out of memory or larger than CLAIMTABLE_MOST. */
bool claimtable_init(struct claimtable *t, struct span file);
void claimtable_fini(struct claimtable *t);

/* The next row that is not empty; false at the end. */
bool claimtable_next(struct claimtable *t, struct claimrow *r);

#endif
