/*
 * A blocklist of a million lines of three kinds: processor time to read it,
 * what it holds, and a look-up of a random IPv4 address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "monitor/blocklist.h"

#define LINES 1000000u
#define LOOKS 10000000u

static uint32_t next(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x;
}

static void write_list(FILE *f)
{
	uint32_t x = 1;

	for (unsigned i = 0; i < LINES; i++) {
		uint32_t a = next(&x);
		unsigned b[] = { a >> 24, a >> 16 & 255, a >> 8 & 255,
			a & 255 };

		if (i % 3 == 0)
			fprintf(f, "%u.%u.%u.%u\n", b[0], b[1], b[2], b[3]);
		else if (i % 3 == 1)
			fprintf(f, "%u.%u.%u.%u/%u\n", b[0], b[1], b[2], b[3],
			    20 + i % 13);
		else
			fprintf(f, "some firm:%u.%u.%u.%u-%u.%u.%u.255\n",
			    b[0], b[1], b[2], b[3], b[0], b[1], b[2]);
	}
}

static double since(clock_t began)
{
	return (double)(clock() - began) / CLOCKS_PER_SEC;
}

int main(void)
{
	char name[] = "/tmp/bench_blocklist.XXXXXX";
	int fd = mkstemp(name);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct blocklist b = { 0 };
	size_t lines, hits = 0;
	uint32_t x = 7;
	clock_t began;
	double took;
	int rc;

	if (!f)
		return 1;
	write_list(f);
	fclose(f);
	began = clock();
	rc = blocklist_read(&b, name);
	unlink(name);
	if (rc < 0)
		return 1;
	lines = b.ranges;
	blocklist_ready(&b);
	took = since(began);
	printf("read: %.2f s for %zu lines; %zu ranges are left, %zu KiB\n",
	    took, lines, b.ranges, b.ranges * sizeof(*b.range) >> 10);
	began = clock();
	for (unsigned i = 0; i < LOOKS; i++) {
		struct endpoint e = { .family = 4 };

		put_u32(e.addr, next(&x));
		hits += blocklist_has(&b, &e);
	}
	printf("look-up: %.0f ns, of %u random addresses %zu are in it\n",
	    since(began) * 1e9 / LOOKS, LOOKS, hits);
	blocklist_fini(&b);
	return 0;
}
