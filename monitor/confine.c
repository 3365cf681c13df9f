#include "monitor/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/catrust.h"
#include "schema/log.h"

struct paths {
	struct sandbox_path *at;
	size_t n;
};

static void add(struct paths *p, char *path, bool write)
{
	struct sandbox_path *more = realloc(p->at, (p->n + 1) * sizeof(*more));

	if (!more || !path)
		log_die("out of memory");
	more[p->n++] = (struct sandbox_path){ path, write };
	p->at = more;
}

static void add_folder_of(struct paths *p, const char *file, bool write)
{
	char *copy = strdup(file);

	if (!copy)
		log_die("out of memory");
	add(p, strdup(dirname(copy)), write);
	free(copy);
}

/* The log of runs is made now: a rule names a file that is there. */
static int add_runs(struct paths *p, const char *keyfile)
{
	char *runs;
	int fd;

	if (asprintf(&runs, "%s.runs", keyfile) < 0)
		log_die("out of memory");
	add(p, runs, true);
	fd = open(runs, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		log_warn("%s: %s", runs, strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

static void drop(struct paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free((char *)p->at[i].path);
	free(p->at);
}

int confine_stamp(const char *case_path, bool none)
{
	struct sandbox_path paths[] = { { case_path, true },
		{ catrust_file(), false } };
	struct sandbox got;

	if (none) {
		log_warn("--no-sandbox: whoever takes this program over "
		    "through what an authority or the case says can do what "
		    "its user can: read and change files, start programs");
		return 0;
	}
	setenv("SQLITE_TMPDIR", case_path, 1);
	setenv("TMPDIR", case_path, 1);
	return sandbox_confine(SANDBOX_NETWORK, paths,
	    paths[1].path ? 2 : 1, &got);
}

int confine(const struct options *o, const struct casedir *dir,
    const char *keyfile, const struct swarm *loaded, struct sandbox *got)
{
	struct paths p = { 0 };
	int rc;

	*got = (struct sandbox){ 0 };
	if (o->no_sandbox) {
		log_warn("--no-sandbox: whoever takes this program over "
		    "through bytes from a peer can do what its user can: read "
		    "and change files, start programs");
		return 0;
	}
	/* SQLite's temporary files must lie where it may write. */
	setenv("SQLITE_TMPDIR", dir->path, 1);
	add(&p, strdup(dir->path), true);
	add(&p, strdup(keyfile), false);
	if (catrust_file())
		add(&p, strdup(catrust_file()), false);
	for (size_t i = 0; i < o->geos; i++)
		add(&p, strdup(o->geo[i]), false);
	if (o->watch)
		add(&p, strdup(o->watch), false);
	if (o->metrics)
		add_folder_of(&p, o->metrics, true);
	if (o->list) {
		add_folder_of(&p, o->list, false);
		for (const struct swarm *s = loaded; s; s = s->next)
			if (s->origin == SWARM_LISTED && s->torrent)
				add_folder_of(&p, s->path, false);
	}
	rc = add_runs(&p, keyfile);
	if (rc == 0)
		rc = sandbox_confine(SANDBOX_NETWORK, p.at, p.n, got);
	drop(&p);
	return rc;
}
