/*
 * One finding's section in an address record: its level, what was observed and
 * what speaks against it, what it delivered, its conversations.
 */
#ifndef REPORT_PAGE_FINDING_H
#define REPORT_PAGE_FINDING_H

#include <stdio.h>

#include "report/address.h"
#include "report/queries.h"

/* number: of the finding in the page, from 1; first: of its first statement.
 * -1 logged. */
int page_finding(FILE *f, const struct address *a, const struct finding *w,
    int number, int first, struct queries *cited);

#endif
