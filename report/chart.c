#include "report/chart.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/csv.h"
#include "report/html.h"
#include "report/markup.h"
#include "schema/log.h"

#define W 720			/* of the drawing, in its own units */
#define LEFT 48
#define TOP 10
#define DAY 10		/* characters of a date */
#define LABEL 130	/* the longest label is not wider */
#define HIGH 180		/* of the plot */

int64_t *chart_row(struct chart *c, const char *label)
{
	size_t n = c->n_series;
	char **labels = realloc(c->label, (c->rows + 1) * sizeof(*labels));
	int64_t *values = realloc(c->value, (c->rows + 1) * n *
	    sizeof(*values));

	if (labels == NULL || values == NULL)
		log_die("out of memory");
	c->label = labels;
	c->value = values;
	labels[c->rows] = strdup(label);
	if (labels[c->rows] == NULL)
		log_die("out of memory");
	memset(values + c->rows * n, 0, n * sizeof(*values));
	return values + c->rows++ * n;
}

void chart_fini(struct chart *c)
{
	for (size_t i = 0; i < c->rows; i++)
		free(c->label[i]);
	free(c->label);
	free(c->value);
	free(c->sql);
	c->sql = NULL;
	c->label = NULL;
	c->value = NULL;
	c->rows = 0;
}

static int64_t at(const struct chart *c, size_t row, size_t series)
{
	return c->value[row * c->n_series + series];
}

/* The next of 1, 2, 5, 10, 20 ... times what makes four steps of most. */
static int64_t step_of(int64_t most)
{
	int64_t step = 1;

	for (int i = 0; step * 4 < most; i++)
		step = i % 3 == 1 ? step / 2 * 5 : step * 2;
	return step;
}

/* --- bars: the table holds them ------------------------------------------------- */

static void write_bars(FILE *f, const struct chart *c)
{
	int64_t most = 1, sum = 0;

	for (size_t i = 0; i < c->rows; i++) {
		most = at(c, i, 0) > most ? at(c, i, 0) : most;
		sum += at(c, i, 0);
	}
	fprintf(f, "<table class=bars>\n<thead><tr><th scope=col>%s</th>"
	    "<th scope=col class=n>%s</th>%s<td></td></tr></thead>\n<tbody>\n",
	    c->what, c->series[0], c->shares ? "<th scope=col class=n>Share"
	    "</th>" : "");
	for (size_t i = 0; i < c->rows; i++) {
		fputs("<tr><th scope=row>", f);
		html_clip(f, c->label[i], 60);
		fputs("</th>", f);
		markup_cell(f, at(c, i, 0));
		if (c->shares) {
			fputs("<td class=n>", f);
			markup_percent(f, at(c, i, 0), sum);
			fputs("</td>", f);
		}
		fprintf(f, "<td><svg class=bar viewBox=\"0 0 1000 10\" "
		    "preserveAspectRatio=none aria-hidden=true><rect class=s0 "
		    "width=\"%" PRId64 "\" height=10 /></svg></td></tr>\n",
		    at(c, i, 0) * 1000 / most);
	}
	fputs("</tbody></table>\n", f);
}

/* --- columns ----------------------------------------------------------------------- */

/* Heights above and below zero, of the highest columns. */
static void extremes(const struct chart *c, int64_t *up, int64_t *down)
{
	*up = *down = 0;
	for (size_t i = 0; i < c->rows; i++) {
		int64_t sum = 0;

		for (size_t k = 0; k < c->n_series; k++)
			if (c->below && k + 1 == c->n_series)
				*down = at(c, i, k) > *down ? at(c, i, k) :
				    *down;
			else
				sum += at(c, i, k);
		*up = sum > *up ? sum : *up;
	}
}

static void write_grid(FILE *f, int64_t up, int64_t down, int64_t step)
{
	int64_t whole = up + down;

	for (int64_t v = -(down / step) * step; v <= up; v += step) {
		int64_t y = TOP + (up - v) * HIGH / whole;

		fprintf(f, "<line class=%s x1=%d x2=%d y1=%" PRId64 " y2=%"
		    PRId64 " /><text x=%d y=%" PRId64 " text-anchor=end>%"
		    PRId64 "</text>\n", v ? "grid" : "zero", LEFT, W, y, y,
		    LEFT - 6, y + 4, v < 0 ? -v : v);
	}
}

static void write_column(FILE *f, const struct chart *c, size_t row,
    int64_t up, int64_t whole)
{
	int64_t x = LEFT + (int64_t)row * (W - LEFT) / (int64_t)c->rows;
	int64_t x2 = LEFT + (int64_t)(row + 1) * (W - LEFT) / (int64_t)c->rows;
	int64_t sum = 0;

	x2 -= x2 - x > 4 ? 2 : 0;
	for (size_t k = 0; k < c->n_series; k++) {
		int64_t v = at(c, row, k), y, y2;

		if (v == 0)
			continue;
		if (c->below && k + 1 == c->n_series) {
			y = TOP + up * HIGH / whole;
			y2 = TOP + (up + v) * HIGH / whole;
		} else {
			y2 = TOP + (up - sum) * HIGH / whole;
			sum += v;
			y = TOP + (up - sum) * HIGH / whole;
		}
		fprintf(f, "<rect class=s%zu x=%" PRId64 " y=%" PRId64
		    " width=%" PRId64 " height=%" PRId64 " />", k, x, y,
		    x2 > x ? x2 - x : 1, y2 > y ? y2 - y : 1);
	}
}

/* Five of the rows' labels at most, each under its column; a day is named where
 * it begins. */
static void write_labels(FILE *f, const struct chart *c)
{
	size_t every = (c->rows + 4) / 5;
	const char *before = "";

	for (size_t i = 0; i < c->rows; i += every) {
		const char *label = c->label[i];
		bool same_day = strlen(label) > DAY && label[DAY] == ' ' &&
		    strncmp(label, before, DAY + 1) == 0;
		int64_t x = LEFT + (int64_t)i * (W - LEFT) /
		    (int64_t)c->rows;

		fprintf(f, "<text x=%" PRId64 " y=%d%s>", x < W - LABEL ? x : W,
		    TOP + HIGH + 18, x < W - LABEL ? "" : " text-anchor=end");
		html_plain(f, same_day ? label + DAY + 1 : label);
		fputs("</text>\n", f);
		before = label;
	}
}

static void write_legend(FILE *f, const struct chart *c)
{
	fputs("<p class=legend>", f);
	for (size_t k = 0; k < c->n_series; k++)
		fprintf(f, "<span><svg class=key viewBox=\"0 0 10 10\" "
		    "aria-hidden=true><rect class=s%zu width=10 height=10 />"
		    "</svg>%s</span> ", k, c->series[k]);
	fputs("</p>\n", f);
}

static void write_numbers(FILE *f, const struct chart *c)
{
	fputs("<details open><summary>The numbers</summary>\n", f);
	markup_table(f, NULL, "%s, in numbers", c->title);
	fprintf(f, "<thead><tr><th scope=col>%s</th>", c->what);
	for (size_t k = 0; k < c->n_series; k++)
		fprintf(f, "<th scope=col class=n>%s</th>", c->series[k]);
	fputs("</tr></thead>\n<tbody>\n", f);
	for (size_t i = 0; i < c->rows; i++) {
		fputs("<tr><th scope=row>", f);
		html_plain(f, c->label[i]);
		fputs("</th>", f);
		for (size_t k = 0; k < c->n_series; k++)
			markup_cell(f, at(c, i, k));
		fputs("</tr>\n", f);
	}
	markup_table_end(f);
	fputs("</details>\n", f);
}

static void write_columns(FILE *f, const struct chart *c, const char *prefix)
{
	int64_t up, down, step;

	extremes(c, &up, &down);
	step = step_of(up > down ? up : down);
	up = up ? (up + step - 1) / step * step : step;
	down = (down + step - 1) / step * step;
	fprintf(f, "<div class=wide tabindex=0 role=region aria-label=\"%s, "
	    "drawn\">\n<svg class=columns viewBox=\"0 0 %d %d\" role=img "
	    "aria-labelledby=\"%s%s-t %s%s-d\">\n<title id=%s%s-t>%s</title>\n"
	    "<desc id=%s%s-d>Columns over time; the highest is %" PRId64
	    ". The numbers are in the table below.</desc>\n", c->title, W,
	    TOP + HIGH + 28, prefix, c->name, prefix, c->name, prefix, c->name,
	    c->title, prefix, c->name, up);
	write_grid(f, up, down, step);
	for (size_t i = 0; i < c->rows; i++)
		write_column(f, c, i, up, up + down);
	fputs("\n", f);
	write_labels(f, c);
	fputs("</svg>\n</div>\n", f);
	write_legend(f, c);
	write_numbers(f, c);
}

void chart_html(FILE *f, const struct chart *c, const char *prefix,
    struct queries *q)
{
	fprintf(f, "<figure>\n<figcaption><strong>%s.</strong> %s", c->title,
	    c->says);
	queries_cite(q, f, c->title, c->sql);
	fputs("</figcaption>\n", f);
	if (c->rows == 0)
		fputs("<p>There is nothing to show.</p>\n", f);
	else if (c->columns)
		write_columns(f, c, prefix);
	else
		write_bars(f, c);
	if (c->rows)
		fprintf(f, "<p class=file>Also in %s%s.csv</p>\n", prefix,
		    c->name);
	fputs("</figure>\n", f);
}

int chart_csv(FILE *f, const struct chart *c)
{
	csv_text(f, c->what);
	for (size_t k = 0; k < c->n_series; k++) {
		fputc(',', f);
		csv_text(f, c->series[k]);
	}
	fputs("\r\n", f);
	for (size_t i = 0; i < c->rows; i++) {
		if (c->columns)		/* of time: ISO 8601 */
			fprintf(f, "%.*sT%sZ", DAY, c->label[i], c->label[i] +
			    DAY + 1);
		else
			csv_text(f, c->label[i]);
		for (size_t k = 0; k < c->n_series; k++)
			fprintf(f, ",%" PRId64, at(c, i, k));
		fputs("\r\n", f);
	}
	return 0;
}
