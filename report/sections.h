/*
 * Parts that several pages of a report have in common.
 */
#ifndef REPORT_SECTIONS_H
#define REPORT_SECTIONS_H

#include <stdio.h>

#include "report/page.h"

struct queries;		/* what the page cites, see queries.h */

/* The ledger's size, seal and erasures. */
void section_ledger(FILE *f, const struct facts *c, struct queries *cited);
/* Run i: who, when, with what program; its clock, packets, stalls, key. */
void section_run(FILE *f, const struct facts *c, size_t i,
    struct queries *cited);
/* A section of both and of what each run did, for pages that are not the case
 * report. -1 logged. */
int section_runs(FILE *f, const struct facts *c, struct queries *cited);
/* What each caution means. */
void section_cautions(FILE *f);
/* Network databases: which, how old, known to the ledger or not. */
void section_databases(FILE *f, const struct subject *s);
/* How to check the report and the case, with commands. */
void section_checking(FILE *f);

#endif
