#include "report/reader.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/log.h"

static const char *temporary(void)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp && *tmp)
		return tmp;
	return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

int reader_confine(const struct sandbox_path *paths, size_t n, bool none)
{
	struct sandbox_path *given = calloc(n + 1, sizeof(*given));
	struct sandbox got;
	size_t k = 0;
	int rc;

	if (!given)
		log_die("out of memory");
	if (none) {
		log_warn("--no-sandbox: whoever takes this program over "
		    "through what it reads can do what its user can: read and "
		    "change files, start programs, send");
		free(given);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (paths[i].path && access(paths[i].path, F_OK) == 0)
			given[k++] = paths[i];
	given[k++] = (struct sandbox_path){ temporary(), true };
	setenv("TMPDIR", temporary(), 1);
	setenv("SQLITE_TMPDIR", temporary(), 1);
	rc = sandbox_confine(SANDBOX_FILES, given, k, &got);
	free(given);
	return rc;
}

char *reader_folder(const char *file)
{
	char *copy = strdup(file), *folder;

	if (!copy || !(folder = strdup(dirname(copy))))
		log_die("out of memory");
	free(copy);
	return folder;
}

bool reader_writes(const char *case_path)
{
	char *wal;
	bool there;

	if (asprintf(&wal, "%s/evidence.db-wal", case_path) < 0)
		log_die("out of memory");
	there = access(wal, F_OK) == 0;
	free(wal);
	return there;
}
