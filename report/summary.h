/* report.json: what the page says, for machines. Its keys are documented in
 * docs/derived-tables.md. */
#ifndef REPORT_SUMMARY_H
#define REPORT_SUMMARY_H

#include "report/page.h"

/* -1 logged. */
int summary_write(FILE *f, const struct subject *s);

#endif
