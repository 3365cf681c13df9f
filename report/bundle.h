/*
 * The files of a report, and their manifest: of cases the case report, a page
 * and lists for each swarm, tables, drafts; of an address its record.
 */
#ifndef REPORT_BUNDLE_H
#define REPORT_BUNDLE_H

#include "report/page.h"

/* Into the folder out (see manifest.h). -1 logged. */
int bundle_write(const char *out, const struct subject *s);

/* Whether there is a derived table of that name among a report's. */
bool bundle_has(const char *name);
/* That table of the first case, as CSV. -1 logged. */
int bundle_table(FILE *f, const struct subject *s, const char *name);

#endif
