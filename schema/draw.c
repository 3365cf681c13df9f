#include "schema/draw.h"

#include <sys/random.h>

#include "schema/log.h"

void draw_bits(void *p, size_t n)
{
	/* Up to 256 bytes come whole or not at all: getrandom(2). */
	if (n > 256 || getrandom(p, n, 0) != (ssize_t)n)
		log_die("no random numbers from the kernel");
}
