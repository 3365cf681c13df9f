/* An address record for machines: address.json and address.csv. */
#ifndef REPORT_ADDRESS_OUT_H
#define REPORT_ADDRESS_OUT_H

#include <stdio.h>

#include "report/address.h"
#include "report/page.h"

/* a: one for each case of the subject. -1 logged. */
int address_json(FILE *f, const struct subject *s, const struct address *a);
int address_csv(FILE *f, const struct subject *s, const struct address *a);

#endif
