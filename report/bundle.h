/*
 * The files of a report, and their manifest: of cases the case report, a page
 * and lists for each swarm, tables, drafts; of an address its record.
 */
#ifndef REPORT_BUNDLE_H
#define REPORT_BUNDLE_H

#include "report/page.h"

/* Into the folder out (see manifest.h). -1 logged. */
int bundle_write(const char *out, const struct subject *s);

#endif
