#include "report/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/composition.h"
#include "schema/casedir.h"
#include "schema/log.h"

#define MANIFEST "MANIFEST.sha256"
/* Stands in a folder from before its first file until all are written, locked
 * by whoever writes. What a run that was cut short leaves is known by it. */
#define MARK "UNFINISHED-REPORT"

const char *manifest_slash(const char *folder)
{
	size_t n = strlen(folder);

	return n > 0 && folder[n - 1] == '/' ? "" : "/";
}

static char *path_of(const struct manifest *m, const char *name)
{
	char *s;

	if (asprintf(&s, "%s%s%s", m->folder, manifest_slash(m->folder),
	    name) < 0)
		log_die("out of memory");
	return s;
}

/* "swarm-12-" and what follows it, or NULL. */
static const char *of_swarm(const char *name)
{
	size_t n;

	if (strncmp(name, "swarm-", 6))
		return NULL;
	n = strspn(name + 6, "0123456789");
	return n ? name + 6 + n : NULL;
}

/* Whether reports write files of that name. */
static bool ours(const char *name)
{
	static const char *const table[] = { "swarm.csv", "sighting.csv",
	    "contact.csv", "piece_check.csv", "endpoint.csv",
	    "coverage.csv", "decoy_source.csv", "decoy_endpoint.csv" };
	static const char *const single[] = { "index.html", "report.json",
	    "address.html", "address.json", "address.csv", "audit.csv",
	    "audit.json", "certificate-902-13.html", "certificate-902-14.html",
	    "checklist.html", "reference.html", "reference.csv",
	    "reference-received.csv", "reference-time.csv",
	    "reference-received-time.csv", "case-uco.jsonld", MANIFEST, MARK };
	const char *swarm = of_swarm(name);
	size_t n = strspn(name, "0123456789");

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (!strcmp(name, single[i]))
			return true;
	if (swarm)
		return !strcmp(swarm, ".html") || composition_file(swarm) ||
		    (!strncmp(swarm, "-endpoints-", 11) &&
		    strspn(swarm + 11, "0123456789") &&
		    !strcmp(swarm + 11 + strspn(swarm + 11, "0123456789"),
		    ".html"));
	if (strncmp(name, "claim-", 6) == 0) {
		n = strspn(name + 6, "0123456789");
		return n >= 4 && strcmp(name + 6 + n, ".html") == 0;
	}
	if (n && name[n] == '-')
		name += n + 1;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i]))
			return true;
	return false;
}

/* removing: all but the mark; else only counts them, -1 at one that is not
 * ours. */
static int each(struct manifest *m, bool removing)
{
	DIR *d = opendir(m->folder);
	struct dirent *e;
	int n = 0;

	if (d == NULL) {
		log_warn("%s: %s", m->folder, strerror(errno));
		return -1;
	}
	while (n >= 0 && (e = readdir(d)) != NULL) {
		char *path;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n++;
		path = path_of(m, e->d_name);
		if (removing && strcmp(e->d_name, MARK) && unlink(path) < 0) {
			log_warn("%s: %s", path, strerror(errno));
			n = -1;
		} else if (!removing && !ours(e->d_name)) {
			log_warn("%s: holds %s, which no report wrote; give "
			    "an empty or new folder", m->folder, e->d_name);
			n = -1;
		}
		free(path);
	}
	closedir(d);
	return n;
}

static bool holds(const struct manifest *m, const char *name)
{
	char *path = path_of(m, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Puts the mark there, or takes over the one of a run that is no more. */
static int begin(struct manifest *m)
{
	static const char says[] = "The report in this folder is not whole: "
	    "it is being written, or the program was stopped.\n";
	char *path = path_of(m, MARK);
	bool busy = false;
	struct stat st;
	int r = -1;

	do {	/* until it is the one that stands there: its owner may end */
		if (m->mark >= 0)
			close(m->mark);
		m->mark = open(path, O_RDWR | O_CREAT | O_NOFOLLOW |
		    O_CLOEXEC, 0666);
		busy = m->mark >= 0 &&
		    flock(m->mark, LOCK_EX | LOCK_NB) < 0 &&
		    errno == EWOULDBLOCK;
	} while (m->mark >= 0 && !busy && fstat(m->mark, &st) == 0 &&
	    st.st_nlink == 0);
	if (busy)
		log_warn("%s: another report is being written into it",
		    m->folder);
	else if (m->mark < 0 || write(m->mark, says, sizeof(says) - 1) < 0)
		log_warn("%s: %s", path, strerror(errno));
	else
		r = 0;
	free(path);
	return r;
}

static int end(struct manifest *m)
{
	char *path = path_of(m, MARK);
	int r = unlink(path);

	if (r < 0)
		log_warn("%s: %s", path, strerror(errno));
	free(path);
	return r;
}

int manifest_open(struct manifest *m, const char *folder)
{
	bool cut_short;
	int n;

	*m = (struct manifest){ .folder = strdup(folder), .mark = -1 };
	if (m->folder == NULL)
		log_die("out of memory");
	if (mkdir(folder, 0777) == 0)
		return begin(m);
	if (errno != EEXIST) {
		log_warn("%s: %s", folder, strerror(errno));
		return -1;
	}
	n = each(m, false);
	if (n < 0)
		return -1;
	cut_short = holds(m, MARK);
	if (n > 0 && !cut_short && !holds(m, MANIFEST)) {
		log_warn("%s: not empty, and no former report (no " MANIFEST
		    ")", folder);
		return -1;
	}
	if (begin(m))
		return -1;
	if (cut_short)
		log_info("%s: a report that was cut short is replaced", folder);
	return each(m, true) < 0 ? -1 : 0;
}

static char *copy(const char *text)
{
	char *s = strdup(text);

	if (s == NULL)
		log_die("out of memory");
	return s;
}

static char **grown(char **list, size_t n)
{
	list = realloc(list, (n + 1) * sizeof(*list));
	if (list == NULL)
		log_die("out of memory");
	return list;
}

FILE *manifest_file(struct manifest *m, const char *name, const char *what)
{
	char *path = path_of(m, name);
	size_t n = m->names++;

	m->name = grown(m->name, n);
	m->digest = grown(m->digest, n);
	m->what = grown(m->what, n);
	m->name[n] = copy(name);
	m->what[n] = copy(what);
	m->digest[n] = NULL;
	m->f = fopen(path, "wxe");
	if (m->f == NULL)
		log_warn("%s: %s", path, strerror(errno));
	free(path);
	return m->f;
}

int manifest_put(struct manifest *m)
{
	char *path = path_of(m, m->name[m->names - 1]), hex[65];
	bool bad = ferror(m->f) != 0;

	if (fclose(m->f) != 0)
		bad = true;
	m->f = NULL;
	if (bad)
		log_warn("%s: %s", path, strerror(errno));
	else if (casedir_digest(path, hex, NULL) < 0)
		bad = true;
	else
		m->digest[m->names - 1] = copy(hex);
	free(path);
	return bad ? -1 : 0;
}

static int by_line(const void *a, const void *b)
{
	/* behind the digest and two blanks */
	return strcmp(*(char *const *)a + 66, *(char *const *)b + 66);
}

int manifest_write(struct manifest *m)
{
	size_t n = m->names;
	char **line = calloc(n + 1, sizeof(*line));
	FILE *f;

	if (line == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < n; i++)
		if (asprintf(&line[i], "%s  %s", m->digest[i], m->name[i]) < 0)
			log_die("out of memory");
	qsort(line, n, sizeof(*line), by_line);
	f = manifest_file(m, MANIFEST, "digests of all files");
	for (size_t i = 0; i < n; i++) {
		if (f)
			fprintf(f, "%s\n", line[i]);
		free(line[i]);
	}
	free(line);
	return f == NULL || manifest_put(m) ? -1 : end(m);
}

void manifest_close(struct manifest *m)
{
	if (m->f)
		fclose(m->f);
	if (m->mark >= 0)
		close(m->mark);
	for (size_t i = 0; i < m->names; i++) {
		free(m->name[i]);
		free(m->digest[i]);
		free(m->what[i]);
	}
	free(m->name);
	free(m->digest);
	free(m->what);
	free(m->folder);
	*m = (struct manifest){ 0 };
}
