/*
 * CASE/checkpoint.txt: the checkpoint that was signed last, written behind
 * every commit. SQLite drops the tail of a log whose checksums are broken
 * without a word, and whoever can write to a case can cut it; where
 * checkpoint.txt stayed, it says that more was there.
 */
#ifndef SCHEMA_LASTHEAD_H
#define SCHEMA_LASTHEAD_H

#include "schema/casedir.h"

struct lasthead {
	bool there, reads;	/* a file; and it is a checkpoint */
	struct checkpoint is;	/* if it reads; its signature is not checked */
	char note[NOTE_MAX + 1];
	size_t n;
};

/* Before the database is opened: a run may be writing to it, and then what is
 * read of that later is no less than what was signed. */
void lasthead_read(struct lasthead *h, const char *case_path);
/* Whether it covers more than these records of this case, or is another's. */
bool lasthead_lost(const struct lasthead *h, const char *case_id,
    int64_t records);
/* One line of what is lost, logged. */
void lasthead_warn(const struct lasthead *h, const char *case_path,
    int64_t records);
/* The same, asked of a database that is open for reading; false: nothing. */
bool lasthead_look(const struct lasthead *h, const char *case_path,
    sqlite3 *db);

/* Behind a commit; sync: it reaches the disk now. Where it cannot be written (no
 * descriptor is left, say), the next commit's is. */
void lasthead_put(const struct casedir *c, const char *note, bool sync);
/* The last: -1 logged. */
int lasthead_end(const struct casedir *c, const char *note);

#endif
