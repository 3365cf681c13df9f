/*
 * A chart and its numbers: the same rows as bars beside a table, or as columns
 * over time above one, and as a CSV. Static SVG, no script; colours come from
 * the page, and differ in lightness, so that grey print keeps them apart.
 */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "report/queries.h"

#define CHART_SERIES 6

struct chart {
	const char *name;		/* of its CSV: [a-z]+ */
	const char *title, *says;	/* what it is; what to know of it */
	const char *what;		/* the rows' heading, one word */
	bool columns;			/* over time; else bars, one series */
	bool below;			/* the last series hangs below zero */
	bool shares;			/* per cent of the sum make sense */
	const char *series[CHART_SERIES];
	size_t n_series;
	char **label;			/* of each row; hostile */
	int64_t *value;			/* rows x n_series */
	size_t rows;
	char *sql;			/* the query behind it; owned */
};

/* Adds a row of zeros; label is copied. Its values, until the next row. */
int64_t *chart_row(struct chart *c, const char *label);
void chart_fini(struct chart *c);

/* A <figure> that cites its query; prefix makes ids unique. */
void chart_html(FILE *f, const struct chart *c, const char *prefix,
    struct queries *q);
int chart_csv(FILE *f, const struct chart *c);

#endif
