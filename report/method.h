/*
 * The method of a case in plain words, made of what its runs recorded about
 * themselves; its limits; and the words a reader needs.
 */
#ifndef REPORT_METHOD_H
#define REPORT_METHOD_H

#include <stdio.h>

#include "report/page.h"

struct queries;		/* what the page cites, see queries.h */

/* One run: what it was told to do. -1 logged. */
int method_run(FILE *f, const struct facts *c, size_t i,
    struct queries *cited);
/* And what came of it, which takes a pass over its conversations. -1 logged. */
int method_outcome(FILE *f, const struct facts *c, size_t i,
    struct queries *cited);

/* Who named endpoints, and how many of those never answered. -1 logged. */
int method_sources(FILE *f, const struct subject *s, const struct facts *c,
    struct queries *cited);

/* Stamps of authorities. -1 logged. */
int method_stamps(FILE *f, const struct facts *c, struct queries *cited);

/* Known limits of the method, and of this case. */
void method_limits(FILE *f, const struct subject *s);

void method_glossary(FILE *f);

#endif
