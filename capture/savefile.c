#include "capture/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/json.h"

#define BUFFER (256u << 10)

struct savefile {
	int folder, fd;
	char hidden[48], name[32];
	pcap_dumper_t *dump;
	SHA256_CTX sha;
	int64_t written;
	int failed;		/* errno of the first write that failed */
	struct recorder_file file;
};

/* libpcap writes through stdio, and stdio through this. */
static ssize_t to_disk(void *cookie, const char *p, size_t n)
{
	struct savefile *s = cookie;
	size_t done = 0;

	while (done < n && s->failed == 0) {
		ssize_t put = write(s->fd, p + done, n - done);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			s->failed = errno;
	}
	SHA256_Update(&s->sha, p, done);
	s->written += (int64_t)done;
	return (ssize_t)done;
}

static void abandon(struct savefile *s)
{
	int why = errno;

	if (s->dump != NULL)
		pcap_dump_close(s->dump);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	errno = why;
}

struct savefile *savefile_open(int folder, int number, pcap_t *live)
{
	struct savefile *s = calloc(1, sizeof(*s));
	FILE *f;

	if (s == NULL)
		return NULL;
	s->folder = folder;
	s->fd = -1;
	SHA256_Init(&s->sha);
	if (number < 0 || number > SAVEFILE_NUMBER_MAX) {
		errno = ERANGE;
		goto fail;
	}
	snprintf(s->name, sizeof(s->name), "%06d.pcap", number);
	snprintf(s->hidden, sizeof(s->hidden), ".%s.part", s->name);
	s->fd = openat(folder, s->hidden,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd < 0)
		goto fail;
	f = fopencookie(s, "w", (cookie_io_functions_t){ .write = to_disk });
	if (f == NULL)
		goto fail;
	setvbuf(f, NULL, _IOFBF, BUFFER);
	s->dump = pcap_dump_fopen(live, f);
	if (s->dump == NULL) {
		fclose(f);
		errno = ENOTSUP;
		goto fail;
	}
	if (savefile_flush(s))
		return s;
fail:
	abandon(s);
	return NULL;
}

bool savefile_add(struct savefile *s, const struct pcap_pkthdr *h,
    const unsigned char *bytes)
{
	/* The handle's precision is nanoseconds: tv_usec holds them. */
	int64_t at = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec;

	pcap_dump((unsigned char *)s->dump, h, bytes);
	/* Packets of several processors come slightly out of order. */
	if (s->file.packets == 0 || at < s->file.first_utc_ns)
		s->file.first_utc_ns = at;
	if (s->file.packets == 0 || at > s->file.last_utc_ns)
		s->file.last_utc_ns = at;
	s->file.packets++;
	s->file.bytes += 16 + (int64_t)h->caplen;
	errno = s->failed;
	return s->failed == 0;
}

bool savefile_flush(struct savefile *s)
{
	if (pcap_dump_flush(s->dump) < 0 && s->failed == 0)
		s->failed = EIO;
	errno = s->failed;
	return s->failed == 0;
}

int64_t savefile_bytes(const struct savefile *s)
{
	return s->file.bytes;
}

int savefile_close(struct savefile *s, struct recorder_file *f)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	if (!savefile_flush(s) || fsync(s->fd) < 0 ||
	    renameat2(s->folder, s->hidden, s->folder, s->name,
	    RENAME_NOREPLACE) < 0 || fsync(s->folder) < 0) {
		abandon(s);
		return -1;
	}
	*f = s->file;
	snprintf(f->file, sizeof(f->file), "packets/%s", s->name);
	SHA256_Final(digest, &s->sha);
	hex_of(digest, sizeof(digest), f->sha256);
	f->bytes = s->written;
	abandon(s);
	return 0;
}
