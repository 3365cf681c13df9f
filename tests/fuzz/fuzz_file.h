/* For targets that read files: the input as a file without a name; and what
 * they say to operators goes nowhere. */
#ifndef TESTS_FUZZ_FILE_H
#define TESTS_FUZZ_FILE_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static inline const char *fuzz_file(const uint8_t *data, size_t n)
{
	static char name[32];
	static int fd = -1;

	if (fd < 0) {
		FILE *null = fopen("/dev/null", "w");

		fd = memfd_create("input", 0);
		demand(fd >= 0 && null != NULL);
		stderr = null;
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	}
	demand(ftruncate(fd, 0) == 0 &&
	    pwrite(fd, data, n, 0) == (ssize_t)n);
	return name;
}

/* The input as a string of its own size. */
static inline char *fuzz_text(const uint8_t *data, size_t n)
{
	char *s = malloc(n + 1);

	demand(s != NULL);
	if (n)
		memcpy(s, data, n);
	s[n] = '\0';
	return s;
}

#endif
