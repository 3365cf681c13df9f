/*
 * What a report has to say of one endpoint on one day: queries, and the
 * sentences worded from their one row. Words that begin with $ are replaced by
 * literals before a query runs: $swarm $ip $port, $from $to (the day), $talk
 * (the conversations, as VALUES). The last column is the records behind it.
 */
#ifndef REPORT_RULE_H
#define REPORT_RULE_H

#include <stdio.h>

#include "report/rows.h"

struct rule {
	const char *sql;
	/* Writes the sentences, each to its side. A side that nothing is
	 * written for has no statement. */
	void (*say)(const struct rows *q, FILE *observed, FILE *limits);
};

extern const struct rule rule_named;	/* also without conversations */
extern const struct rule rules[];
extern const size_t rules_n;

/* Of one conversation. */
extern const char rule_challenge_sql[];
void rule_challenge(const struct rows *q, FILE *observed, FILE *limits,
    int64_t conn);

#endif
