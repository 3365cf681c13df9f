/*
 * HTML that stays inert whatever strangers wrote. Markup is printed by us as
 * constants and numbers; every other text goes through html_text.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Element content: escaped, directions isolated (<bdi>), controls and other
 * odd code points shown by number, cut after 400 code points. NULL: a dash. */
void html_text(FILE *f, const char *s);

/* Likewise, cut after so many code points. */
void html_clip(FILE *f, const char *s, size_t points);

/* Escaped only, line ends kept, uncut: for text made by this program. */
void html_plain(FILE *f, const char *s);

/* 1234567 as "1 234 567" with thin, unbreakable spaces. */
void html_number(FILE *f, long long n);

/* n and its noun: "1 peer", "2 peers". */
void html_count(FILE *f, long long n, const char *one, const char *many);

#endif
