/*
 * OUT/case-uco.jsonld: a case as a graph of CASE 1.x and UCO 1.x, in JSON-LD:
 * runs as investigative actions with tool, performer and provenance record;
 * addresses, conversations, delivered pieces and files as observables. What
 * these ontologies have no word for (levels, bounds, record numbers) is in a
 * namespace of ours, `sw:`.
 */
#ifndef REPORT_CASEUCO_H
#define REPORT_CASEUCO_H

#include "report/page.h"

/* -1 logged. */
int caseuco_write(FILE *f, const struct subject *s);

#endif
