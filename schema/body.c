#include "schema/body.h"

#include <stdlib.h>
#include <string.h>

#include "schema/log.h"

#define LEAST 4096u

void body_add(struct body *b, const void *p, size_t n)
{
	size_t room = b->room ? b->room : LEAST;

	if (n > b->most - b->n) {
		n = b->most - b->n;
		b->over = true;
	}
	while (room < b->n + n)
		room *= 2;
	if (room > b->room) {
		b->p = realloc(b->p, room);
		if (b->p == NULL)
			log_die("out of memory");
		b->room = room;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}
