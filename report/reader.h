/*
 * What a command that reads cases, savefiles and tables of others may still do:
 * whoever takes it over through such a file gets no socket, no program, and
 * none of the reader's own files.
 */
#ifndef REPORT_READER_H
#define REPORT_READER_H

#include "capture/sandbox.h"

/*
 * Confines this process (SANDBOX_FILES) to paths, those that are NULL or not
 * there passed over, and to the folder of temporary files (TMPDIR, else
 * /var/tmp or /tmp), which SQLite is told of. Before there are threads. none:
 * --no-sandbox, which is said. 0, or -1 logged.
 */
int reader_confine(const struct sandbox_path *paths, size_t n, bool none);

/* The folder that file, which is to be made, lies in; to be freed. */
char *reader_folder(const char *file);

/* Whether a run is writing to this case, or was cut short: then even a reader
 * writes the index of SQLite's log beside it. */
bool reader_writes(const char *case_path);

#endif
