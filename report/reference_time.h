/*
 * The time in a copy's bytes, as parts of what reference_put writes: of those
 * that agree with the torrent, and of those that each connection delivered.
 */
#ifndef REPORT_REFERENCE_TIME_H
#define REPORT_REFERENCE_TIME_H

#include <stdio.h>

#include "report/page.h"
#include "report/reference.h"

/* nth: of the copy, from 1, as the page counts. */
void reference_time_page(FILE *f, const struct reference *r, size_t nth);
void reference_time_csv(FILE *f, const struct references *all);
/* "time":{...} into an object that is open. What was put goes to f. */
void reference_time_json(FILE *f, struct json *j, const struct reference *r);

/* -1 logged: a case cannot be read. */
int reference_time_received_page(FILE *f, const struct subject *s);
int reference_time_received_csv(FILE *f, const struct subject *s);
/* "references_received_time":[...], likewise. */
int reference_time_received_json(FILE *f, struct json *j,
    const struct subject *s);

#endif
