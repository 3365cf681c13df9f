/*
 * The case folder: where things lie in it, who may write, how it is sealed.
 */
#ifndef SCHEMA_CASEDIR_H
#define SCHEMA_CASEDIR_H

#include <sqlite3.h>
#include <sys/types.h>

#include "schema/note.h"

#define CASEDIR_NAME 128	/* of a file within its folder */

struct casedir {
	char *path;
	int lock;	/* fd of the lock while writing, -1 else */
	bool fresh;	/* nothing was ever committed to it */
};

/* Opens for writing: makes the folder (0700) and its sub-folders if missing,
 * takes the one writer's lock. -1 with the reason logged ("another run is
 * writing to ..."). A folder that holds other things but no evidence.db is
 * refused. What a killed writer left half-done is rolled back. */
int casedir_open(struct casedir *c, const char *path);
void casedir_close(struct casedir *c);

/* "CASE/name", to be freed; dies on out of memory. */
char *casedir_file(const struct casedir *c, const char *name);

/* Makes the names in the case folder durable. -1 logged. */
int casedir_sync(const struct casedir *c);

/* Writes a file whole: hidden, synced, renamed. -1 logged. */
int casedir_put(const struct casedir *c, const char *name, struct span bytes);
/* The same of what is soon written again: -1 is not logged. Unless sync the
 * disk is not waited for: whole, or as it was, after a crash of the program;
 * after one of the machine an older one, or empty. */
int casedir_put_soon(const struct casedir *c, const char *name,
    struct span bytes, bool sync);
/* The same of many files of one folder, which reach the disk together: for
 * thousands, one wait instead of thousands. each tells the i-th's name and
 * bytes, and is asked twice. -1 logged: some may be missing. */
int casedir_put_all(const struct casedir *c, const char *folder, size_t n,
    struct span (*each)(void *ctx, size_t i, char name[CASEDIR_NAME]),
    void *ctx);

/*
 * Opens CASE/evidence.db for reading only; immutable if nobody writes it and no
 * log or journal lies beside it, or an empty one (a sealed case, or one copied
 * without them), so that reading changes no byte; nor does reading what a
 * crashed run left. NULL with the reason logged if it is no case of ours
 * (application_id, user_version). A run must not begin on a case that is being
 * read so. For one thread at a time.
 */
sqlite3 *casedir_read(const char *path);

/* A "file:" URI of a path for SQLite, its reserved characters escaped, with a
 * query ("?mode=ro") behind it. To be freed. */
char *casedir_uri(const char *file, const char *query);

/* The query of such a URI with which evidence.db of the case at path is attached:
 * immutable only where SQLite would otherwise make files beside it, since it is
 * in WAL mode and has no log. */
const char *casedir_attached(const char *path, const char *evidence);

/* Whether a log or a journal lies beside that file, and holds anything. */
bool casedir_logged(const char *evidence);

/* Whether that file is in journal mode DELETE, as a sealed case's is, and not in
 * WAL mode, by its header; immutable, SQLite itself does not say. */
bool casedir_sealed(const char *evidence);

/*
 * Whoever made a case may have put anything into it: a pipe that never ends, a
 * link to a file of the reader's. casedir_fd opens a file of one for reading,
 * -1 with errno set if it is not there, or is no regular file (EINVAL; a link:
 * ELOOP). casedir_plain: whether it is one, or nothing is there at all, so that
 * SQLite may be given its name. casedir_slurp reads at most room bytes of one;
 * -1 with errno set.
 */
int casedir_fd(const char *file);
bool casedir_plain(const char *file);
ssize_t casedir_slurp(const char *file, void *buf, size_t room);
/* Whether name is one that a `packets` record may give: "packets/NAME". */
bool casedir_is_savefile(const char *name);

/* False if schema ("main", "evidence") has a view or a virtual table, which a
 * query could run into for ever: every table of ours is a plain one. */
bool casedir_tables(sqlite3 *db, const char *schema);

/* Hex SHA-256 of a regular file as it lies; -1 logged. bytes may be NULL. */
int casedir_digest(const char *file, char hex[65], int64_t *bytes);

#define EVIDENCE_APPLICATION_ID 0x53574531	/* "SWE1" */
#define EVIDENCE_VERSION 1

#endif
