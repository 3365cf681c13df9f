#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/recorder.h"
#include "capture/savefile.h"
#include "schema/casedir.h"
#include "schema/log.h"

/* The number in "NNNNNN.pcap" or, hidden, ".NNNNNN.pcap.part"; -1: neither. */
static int read_name(const char *name, bool *hidden)
{
	const char *tail = ".pcap";
	int n = 0;

	*hidden = name[0] == '.';
	if (*hidden) {
		name++;
		tail = ".pcap.part";
	}
	for (int i = 0; i < 6; i++, name++) {
		if (*name < '0' || *name > '9')
			return -1;
		n = 10 * n + (*name - '0');
	}
	return strcmp(name, tail) == 0 ? n : -1;
}

int recorder_number(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	bool hidden;
	int most = 0, n;

	if (d == NULL)
		return 1;
	while ((e = readdir(d)) != NULL) {
		n = read_name(e->d_name, &hidden);
		if (n > most)
			most = n;
	}
	closedir(d);
	return most + 1;
}

static int find_hidden(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	bool hidden;
	int least = -1, n;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		n = read_name(e->d_name, &hidden);
		if (n >= 0 && hidden && (least < 0 || n < least))
			least = n;
	}
	closedir(d);
	return least;
}

static void count_packets(const char *file, struct recorder_file *f)
{
	char err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const unsigned char *bytes;
	pcap_t *p = pcap_open_offline_with_tstamp_precision(file,
	    PCAP_TSTAMP_PRECISION_NANO, err);

	if (p == NULL)
		return;		/* it ends within its header */
	while (pcap_next_ex(p, &h, &bytes) == 1) {
		int64_t at = (int64_t)h->ts.tv_sec * 1000000000 +
		    h->ts.tv_usec;

		if (f->packets == 0 || at < f->first_utc_ns)
			f->first_utc_ns = at;
		if (f->packets == 0 || at > f->last_utc_ns)
			f->last_utc_ns = at;
		f->packets++;
	}
	pcap_close(p);
}

static int make_durable(int folder, const char *hidden)
{
	int fd = openat(folder, hidden, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int got = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	return got;
}

int recorder_salvage(const char *folder, struct recorder_file *f)
{
	int number = find_hidden(folder), dir, got = -1;
	char hidden[32], name[16], *path = NULL;

	if (number < 0)
		return 0;
	*f = (struct recorder_file){ .dropped_kernel = -1,
	    .dropped_interface = -1 };
	snprintf(name, sizeof(name), "%06d.pcap", number % 1000000);
	snprintf(hidden, sizeof(hidden), ".%s.part", name);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || make_durable(dir, hidden) < 0 || renameat2(dir, hidden,
	    dir, name, RENAME_NOREPLACE) < 0 || fsync(dir) < 0) {
		log_warn("%s/%s: %s", folder, hidden, strerror(errno));
		goto out;
	}
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		log_die("out of memory");
	count_packets(path, f);
	snprintf(f->file, sizeof(f->file), "packets/%s", name);
	if (casedir_digest(path, f->sha256, &f->bytes) < 0)
		goto out;
	got = 1;
out:
	if (dir >= 0)
		close(dir);
	free(path);
	return got;
}
