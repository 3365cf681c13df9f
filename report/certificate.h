/*
 * Drafts that go with a report: certificates under US FRE 902(13) and (14)
 * with facts and digests filled in and blanks for what a person must swear,
 * and a checklist for whoever testifies (Rule 26, CPR 35).
 */
#ifndef REPORT_CERTIFICATE_H
#define REPORT_CERTIFICATE_H

#include <stdio.h>

#include "report/manifest.h"
#include "report/page.h"

/* The process that made the records. */
int certificate_process(FILE *f, const struct subject *s);
/* The copies: digests of the case's files and of what m holds so far. -1
 * logged. */
int certificate_copies(FILE *f, const struct subject *s,
    const struct manifest *m);
int certificate_checklist(FILE *f, const struct subject *s);

#endif
