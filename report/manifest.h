/*
 * The folder a report is written into, and MANIFEST.sha256: what `sha256sum
 * -c` checks. Files are written one by one; the manifest last.
 */
#ifndef REPORT_MANIFEST_H
#define REPORT_MANIFEST_H

#include <stddef.h>
#include <stdio.h>

struct manifest {
	char *folder;
	char **name;		/* in the order written */
	char **digest;		/* SHA-256 of each, hex; NULL: being written */
	char **what;		/* what it is, for a list of exhibits */
	size_t names;
	FILE *f;		/* the file being written */
	int mark;		/* locked while the folder is being written */
};

/*
 * Makes the folder, or takes one that is empty or holds a former report and
 * nothing else: its MANIFEST.sha256, or UNFINISHED-REPORT, with which a run
 * that was cut short left it, and files named as reports name them, which are
 * removed. Anything else in it, or another run that writes there: refused.
 * -1 logged.
 */
int manifest_open(struct manifest *m, const char *folder);

/* The next file; what, a few words on it, is copied. NULL logged. Closed and
 * digested by manifest_put, -1 logged. */
FILE *manifest_file(struct manifest *m, const char *name, const char *what);
int manifest_put(struct manifest *m);

/* What stands between the folder and a file's name: "/", or "" where it ends in
 * one. */
const char *manifest_slash(const char *folder);

/* Writes MANIFEST.sha256, in order of names, and takes UNFINISHED-REPORT away;
 * the last call but the close. */
int manifest_write(struct manifest *m);
void manifest_close(struct manifest *m);

#endif
