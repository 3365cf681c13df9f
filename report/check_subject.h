/* Part of the check of an excerpt: what every index committed to for its
 * address. */
#ifndef REPORT_CHECK_SUBJECT_H
#define REPORT_CHECK_SUBJECT_H

#include "report/checkpart.h"
#include "schema/indexfile.h"
#include "wire/endpoint.h"

/*
 * size: records of the case. ip gets the address, mine its records as the
 * indexes have them, rising. Told: an index missing, a list or an absence that
 * does not lead to its root, a record of a list that is neither here nor said
 * to be left out or erased.
 */
void check_subjects(struct check *c, sqlite3 *db, int64_t size,
    char ip[ENDPOINT_IP_MAX], struct seqs *mine);

#endif
