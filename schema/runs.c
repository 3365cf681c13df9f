#include "schema/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

#define LINE_MAX_BYTES 256

static void digest(const char *line, size_t n, char out[65])
{
	uint8_t sum[32];

	SHA256((const uint8_t *)line, n, sum);
	hex_of(sum, sizeof(sum), out);
}

/* Whether line (n bytes, no newline) is run number and names prev. */
static bool follows(const char *line, size_t n, const struct run_link *last)
{
	char want[24];
	int head = snprintf(want, sizeof(want), "%" PRId64 " ", last->number);

	return n > (size_t)head + 65 && n < LINE_MAX_BYTES &&
	    memchr(line, '\0', n) == NULL &&
	    strncmp(line, want, (size_t)head) == 0 &&
	    line[n - 65] == ' ' && memcmp(line + n - 64, last->prev, 64) == 0;
}

/*
 * Walks the chain: *link becomes what the next line must hold, *end where it
 * goes. A last line without its newline was torn by a crash before its run was
 * told its number: it is not counted.
 */
static int walk(FILE *f, const char *path, struct run_link *link, off_t *end)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	*end = 0;
	while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		if (!follows(line, (size_t)n - 1, link)) {
			log_warn("%s: run %" PRId64 " does not chain to the "
			    "one before; the log was changed", path,
			    link->number);
			free(line);
			return -1;
		}
		digest(line, (size_t)n - 1, link->prev);
		link->number++;
		*end += n;
	}
	free(line);
	if (ferror(f)) {
		log_warn("%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

static int add(const char *path, int fd, const char *case_id,
    int64_t first_seq, int64_t utc_ns, struct run_link *link)
{
	char line[LINE_MAX_BYTES], when[32];
	time_t s = (time_t)(utc_ns / 1000000000);
	struct tm tm;
	off_t end;
	FILE *f;
	int n, ok;

	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			goto fail;
	f = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "r");
	if (f == NULL)
		goto fail;
	*link = (struct run_link){ .number = 1 };
	memset(link->prev, '0', 64);
	ok = walk(f, path, link, &end);
	fclose(f);
	if (ok < 0)
		return -1;
	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		errno = ERANGE;
		goto fail;
	}
	n = snprintf(line, sizeof(line), "%" PRId64 " %s %s %" PRId64 " %s\n",
	    link->number, when, case_id, first_seq, link->prev);
	if (n >= (int)sizeof(line)) {
		errno = EINVAL;
		goto fail;
	}
	if (ftruncate(fd, end) < 0 || pwrite(fd, line, (size_t)n, end) != n ||
	    fsync(fd) < 0)
		goto fail;
	return 0;
fail:
	log_warn("%s: %s", path, strerror(errno));
	return -1;
}

int runs_add(const char *keyfile, const char *case_id, int64_t first_seq,
    int64_t utc_ns, struct run_link *link)
{
	char *path = NULL;
	int fd, got;

	if (asprintf(&path, "%s.runs", keyfile) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		log_warn("%s: %s", path, strerror(errno));
		free(path);
		return -1;
	}
	got = add(path, fd, case_id, first_seq, utc_ns, link);
	close(fd);
	free(path);
	return got;
}
