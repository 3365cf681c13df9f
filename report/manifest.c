#include "report/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/log.h"

#define MANIFEST "MANIFEST.sha256"

static char *path_of(const struct manifest *m, const char *name)
{
	char *s;

	if (asprintf(&s, "%s/%s", m->folder, name) < 0)
		log_die("out of memory");
	return s;
}

bool manifest_ours(const char *name)
{
	static const char *const table[] = { "swarm.csv", "sighting.csv",
	    "contact.csv", "piece_check.csv", "endpoint.csv",
	    "coverage.csv", "decoy_source.csv", "decoy_endpoint.csv" };
	static const char *const single[] = { "index.html", "report.json",
	    "address.html", "address.json", "address.csv", MANIFEST };
	size_t n = strspn(name, "0123456789");

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (!strcmp(name, single[i]))
			return true;
	if (n && name[n] == '-')
		name += n + 1;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i]))
			return true;
	return false;
}

/* remove: those names; else only counts them, -1 at one that is not ours. */
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
		if (removing && unlink(path) < 0) {
			log_warn("%s: %s", path, strerror(errno));
			n = -1;
		} else if (!removing && !manifest_ours(e->d_name)) {
			log_warn("%s: holds %s, which no report wrote; give "
			    "an empty or new folder", m->folder, e->d_name);
			n = -1;
		}
		free(path);
	}
	closedir(d);
	return n;
}

int manifest_open(struct manifest *m, const char *folder)
{
	char *path;
	int n, former;

	*m = (struct manifest){ .folder = strdup(folder) };
	if (m->folder == NULL)
		log_die("out of memory");
	if (mkdir(folder, 0777) == 0)
		return 0;
	if (errno != EEXIST) {
		log_warn("%s: %s", folder, strerror(errno));
		return -1;
	}
	n = each(m, false);
	if (n <= 0)
		return n;
	path = path_of(m, MANIFEST);
	former = access(path, F_OK);
	free(path);
	if (former < 0) {
		log_warn("%s: not empty, and no former report (no " MANIFEST
		    ")", folder);
		return -1;
	}
	return each(m, true) < 0 ? -1 : 0;
}

FILE *manifest_file(struct manifest *m, const char *name)
{
	char **more = realloc(m->name, (m->names + 1) * sizeof(*more));
	char *path = path_of(m, name);

	if (more == NULL)
		log_die("out of memory");
	m->name = more;
	m->name[m->names] = strdup(name);
	if (m->name[m->names++] == NULL)
		log_die("out of memory");
	m->f = fopen(path, "wxe");
	if (m->f == NULL)
		log_warn("%s: %s", path, strerror(errno));
	free(path);
	return m->f;
}

int manifest_put(struct manifest *m)
{
	bool bad = ferror(m->f) != 0;

	if (fclose(m->f) != 0)
		bad = true;
	m->f = NULL;
	if (bad)
		log_warn("%s/%s: %s", m->folder, m->name[m->names - 1],
		    strerror(errno));
	return bad ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int manifest_write(struct manifest *m)
{
	size_t n = m->names;
	FILE *f;

	qsort(m->name, n, sizeof(*m->name), by_name);
	f = manifest_file(m, MANIFEST);
	if (f == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char *path = path_of(m, m->name[i]), hex[65];
		int r = casedir_digest(path, hex, NULL);

		free(path);
		if (r < 0)
			return -1;
		fprintf(f, "%s  %s\n", hex, m->name[i]);
	}
	return manifest_put(m);
}

void manifest_close(struct manifest *m)
{
	if (m->f)
		fclose(m->f);
	for (size_t i = 0; i < m->names; i++)
		free(m->name[i]);
	free(m->name);
	free(m->folder);
	*m = (struct manifest){ 0 };
}
