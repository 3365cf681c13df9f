#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/recorder.h"
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

/* The least number, from this one on, of a savefile that is hidden or not. */
static int find(const char *folder, bool want_hidden, int from)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	bool hidden;
	int least = -1, n;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		n = read_name(e->d_name, &hidden);
		if (n >= from && hidden == want_hidden &&
		    (least < 0 || n < least))
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

/* Describes folder/name, not a byte changed. 1, or -1 logged. */
static int describe(const char *folder, const char *name,
    struct recorder_file *f)
{
	char *path;
	int got;

	*f = (struct recorder_file){ .dropped_kernel = -1,
	    .dropped_interface = -1 };
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		log_die("out of memory");
	count_packets(path, f);
	snprintf(f->file, sizeof(f->file), "packets/%s", name);
	got = casedir_digest(path, f->sha256, &f->bytes) < 0 ? -1 : 1;
	free(path);
	return got;
}

int recorder_salvage(const char *folder, struct recorder_file *f)
{
	int number = find(folder, true, 0), dir, got = -1;
	char hidden[32], name[16];

	if (number < 0)
		return 0;
	snprintf(name, sizeof(name), "%06d.pcap", number % 1000000);
	snprintf(hidden, sizeof(hidden), ".%s.part", name);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || make_durable(dir, hidden) < 0 || renameat2(dir, hidden,
	    dir, name, RENAME_NOREPLACE) < 0 || fsync(dir) < 0)
		log_warn("%s/%s: %s", folder, hidden, strerror(errno));
	else
		got = describe(folder, name, f);
	if (dir >= 0)
		close(dir);
	return got;
}

int recorder_left(const char *folder, int *after, struct recorder_file *f)
{
	int number = find(folder, false, *after + 1);
	char name[16];

	if (number < 0)
		return 0;
	*after = number;
	snprintf(name, sizeof(name), "%06d.pcap", number % 1000000);
	return describe(folder, name, f);
}

int recorder_recorded(const char *case_path)
{
	static const char newest[] = "SELECT CAST(substr(json_extract(detail, "
	    "'$.file'), 9, 6) AS INTEGER) FROM record WHERE kind = 'packets' "
	    "ORDER BY seq DESC LIMIT 1";
	sqlite3 *db = casedir_read(case_path);
	sqlite3_stmt *s = NULL;
	int number = -1, step;

	if (db && sqlite3_prepare_v2(db, newest, -1, &s, NULL) == SQLITE_OK) {
		step = sqlite3_step(s);
		number = step == SQLITE_ROW ? sqlite3_column_int(s, 0) :
		    step == SQLITE_DONE ? 0 : -1;
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return number;
}
