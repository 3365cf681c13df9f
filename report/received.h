/*
 * Which bytes of which files an endpoint delivered in pieces that matched:
 * from its `piece` records, each piece counted once.
 */
#ifndef REPORT_RECEIVED_H
#define REPORT_RECEIVED_H

#include "report/statement.h"

struct received_file {
	char *path;		/* as the record gives it; hostile */
	bool pad;		/* padding: no file of anybody's */
	int64_t bytes;
	int64_t size;		/* of the file, -1 unknown */
	char *ranges;		/* "0-16383, 65536-81919": both ends included */
	char *records;		/* seqs, comma-separated */
	int64_t end;		/* while merging: end of the last range */
};

struct received {
	struct received_file *at;
	size_t n;
	int64_t bytes;		/* without padding */
	char *sql;		/* selects the rows this was made of; NULL: none */
};

/* -1 logged. */
int received_make(struct received *out, const struct scope *s);
void received_free(struct received *out);

#endif
