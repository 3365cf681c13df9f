/*
 * The folder a report is written into, and MANIFEST.sha256: what `sha256sum
 * -c` checks. Files are written one by one; the manifest last.
 */
#ifndef REPORT_MANIFEST_H
#define REPORT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct manifest {
	char *folder;
	char **name;		/* in the order written */
	size_t names;
	FILE *f;		/* the file being written */
};

/*
 * Makes the folder, or takes one that is empty or holds a former report and
 * nothing else: its MANIFEST.sha256 and files named as reports name them,
 * which are removed. Anything else in it: refused. -1 logged.
 */
int manifest_open(struct manifest *m, const char *folder);

/* The next file; NULL logged. Closed by manifest_put, -1 logged. */
FILE *manifest_file(struct manifest *m, const char *name);
int manifest_put(struct manifest *m);

/* Digests what was put, in order of names; writes MANIFEST.sha256. */
int manifest_write(struct manifest *m);
void manifest_close(struct manifest *m);

/* index.html, report.json, MANIFEST.sha256, [N-]TABLE.csv. */
bool manifest_ours(const char *name);

#endif
