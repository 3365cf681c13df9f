/* CSV (RFC 4180) of a query: its column names, then its rows. */
#ifndef REPORT_CSV_H
#define REPORT_CSV_H

#include <stdio.h>

#include "report/rows.h"

/*
 * Writes the rest of q. Numbers as they are, NULL as nothing. Text that a
 * spreadsheet would take for a formula (it begins with = + - @, tab or
 * carriage return; or what stands behind a semicolon in it does) gets an
 * apostrophe before it; controls and other odd code
 * points are written \uXXXX. -1 if the rows failed; the file's own errors are
 * its closer's.
 */
int csv_write(FILE *f, struct rows *q);

/* One text cell, so treated. */
void csv_text(FILE *f, const char *s);

#endif
