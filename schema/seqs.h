/*
 * A list of record numbers.
 */
#ifndef SCHEMA_SEQS_H
#define SCHEMA_SEQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seqs {
	int64_t *seq;
	size_t n, room;
};

void seqs_add(struct seqs *s, int64_t seq);	/* dies on out of memory */
void seqs_free(struct seqs *s);

/* Makes it rise: sorted, each number once. */
void seqs_sort(struct seqs *s);
/* Whether a list that rises has it. */
bool seqs_has(const struct seqs *s, int64_t seq);

/* Decimal, comma-separated, to be freed. */
char *seqs_text(const struct seqs *s);
/* Adds the numbers of such a text; false if it is anything else, or does not
 * rise. */
bool seqs_read(const char *text, struct seqs *s);

#endif
