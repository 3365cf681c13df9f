/* One code point of text that may be no UTF-8 at all (RFC 3629). */
#ifndef SCHEMA_UTF8_H
#define SCHEMA_UTF8_H

#include "wire/cur.h"

/*
 * The code point that text (not empty) begins with, and its length: shortest
 * form, no surrogates, at most U+10FFFF. 0 if the bytes are none; *point is
 * then the first of them.
 */
size_t utf8_next(struct span text, uint32_t *point);

#endif
