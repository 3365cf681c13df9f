/*
 * Text from strangers, one code point at a time: which of them could do more
 * than be read. Torrent names, client names, paths, URLs.
 */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include "wire/cur.h"

struct text {
	struct span left;
	unsigned marks;		/* combining marks since the last base */
};

/*
 * The next code point; false at the end. *odd: it must be shown by its number
 * and not be let through, because it is a control, invisible, changes the
 * direction of what follows, is no character at all, or piles on a third
 * combining mark. Bytes that are no UTF-8 are U+FFFD, and odd, one by one.
 */
bool text_next(struct text *t, uint32_t *point, bool *odd);

/* What stands next of printable ASCII that neither HTML nor CSV takes for
 * anything but itself, at most `most` bytes: taken at once, none of it odd. */
struct span text_run(struct text *t, size_t most);

/* The code point in UTF-8; its length. */
size_t text_utf8(uint32_t point, char out[4]);

#endif
