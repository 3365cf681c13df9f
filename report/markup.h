/*
 * What every page of a report is made of: its frame, terms and their text,
 * times, record numbers, cells. No script, nothing fetched from anywhere.
 */
#ifndef REPORT_MARKUP_H
#define REPORT_MARKUP_H

#include <stdint.h>
#include <stdio.h>

#include "report/page.h"

/*
 * From the doctype to <main>. exhibit is the letter of the page in the bundle
 * ("A"), title is ours; case names and the custody of imported cases follow
 * from the subject. markup_foot closes what this opens.
 */
void markup_head(FILE *f, const struct subject *s, const char *exhibit,
    const char *title, const char *about);
void markup_foot(FILE *f);
/* sources: what the page was made from besides, ", the copies"; ours. */
void markup_foot_with(FILE *f, const char *sources);

/* <dt> and an open <dd>. */
void markup_term(FILE *f, const char *name);
/* A term whose text somebody else wrote; nothing if there is none. */
void markup_given(FILE *f, const char *name, const char *text);
void markup_code(FILE *f, const char *text);
void markup_moment(FILE *f, int64_t utc_ns, int64_t bound_ns);
void markup_bound(FILE *f, int64_t bound_ns);

/*
 * A table that may be wider than the page: a region of its own that scrolls,
 * also by keyboard. label tells it from the others of the page; class may be
 * NULL. markup_table_end closes its body, too.
 */
__attribute__((format(printf, 3, 4)))
void markup_table(FILE *f, const char *class, const char *label, ...);
void markup_table_end(FILE *f);

/* A right-aligned cell. */
void markup_cell(FILE *f, int64_t n);
/* part of whole in per cent, one decimal, truncated; nothing if whole is 0. */
void markup_percent(FILE *f, int64_t part, int64_t whole);

/* "#3, #14, #15 and 9 more" of comma-separated numbers; at most `most`. */
void markup_records(FILE *f, const char *list, int most);

/* A level's number in its box, and its name. */
void markup_level(FILE *f, int level);

#endif
