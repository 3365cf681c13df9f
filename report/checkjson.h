/* Whether text is one JSON object (RFC 8259), told fast and without keeping
 * anything. Nested at most CHECKJSON_DEPTH deep. */
#ifndef REPORT_CHECKJSON_H
#define REPORT_CHECKJSON_H

#include <stdbool.h>
#include <stddef.h>

#define CHECKJSON_DEPTH 256

bool checkjson_object(const char *text, size_t n);

#endif
