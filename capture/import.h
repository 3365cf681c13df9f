/*
 * An import: savefiles that others recorded become records of a run of their
 * own, and are copied into the case (docs/evidence-format.md, "Imported
 * captures").
 */
#ifndef CAPTURE_IMPORT_H
#define CAPTURE_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

struct import_conf {
	const char *case_path;
	char *const *files;
	size_t count;
	const char *const *torrents;
	size_t torrent_count;
	const char *secrets;	/* a file of MSE secrets, or NULL */
	const char *key;	/* of the signature; NULL: the default */
	const char *operator, *purpose;
	bool no_sandbox;
	int argc;		/* for the `run` record */
	char **argv;
};

/* Exit status: 0 all was read, 1 it was not, with the reasons logged. */
int import_run(const struct import_conf *conf);

/* The same records, one line each, on standard output, without any case. */
int import_print(const struct import_conf *conf);

#endif
