/*
 * Checkpoints where others can see them: each one that is kept is handed to a
 * command, on its standard input. The command is run by a process of its own,
 * forked before there are threads, that holds none of our descriptors; one at
 * a time, PUBLISH_LIMIT_S at most, and nobody waits for it.
 */
#ifndef SCHEMA_PUBLISH_H
#define SCHEMA_PUBLISH_H

#include "schema/note.h"
#include "schema/record.h"

#define PUBLISH_LIMIT_S 30
#define PUBLISH_WAITING 16u	/* older ones are left out, and counted */

struct publisher;

/* Forks. drop(-1) gives up privilege in the child (capture/privilege.h); may be
 * NULL. NULL, logged, if it cannot. */
struct publisher *publisher_start(const char *command, int (*drop)(int));

/* From here on checkpoints are handed out, and what became of each is added as
 * a `published` record. */
void publisher_begin(struct publisher *p, int64_t (*add)(void *ctx,
    const struct record *r), void *ctx);

/* Hands one out; any thread, never waits. (For ledger_conf.on_checkpoint; the
 * publisher may be NULL, here and below.) */
void publisher_put(void *publisher, const char *note);

/* No more records: what follows is logged alone. */
void publisher_quiet(struct publisher *p);

/* Waits until the newest is handed out, or its time is up; frees. */
void publisher_close(struct publisher *p);

#endif
