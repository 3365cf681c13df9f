/*
 * A thread of the recorder's that makes written savefiles durable and visible,
 * one after the other: a disk that takes its time holds up no packet.
 */
#ifndef CAPTURE_SETTLE_H
#define CAPTURE_SETTLE_H

#include "capture/savefile.h"

#define SETTLE_MOST 8u	/* files at once: then giving one waits */

struct settle;

/*
 * begin runs on the thread before anything else, and may refuse (with errno);
 * done for each file, there too: error is 0 or an errno, the file then still
 * hidden. NULL with errno.
 */
struct settle *settle_new(bool (*begin)(void *ctx), void (*done)(void *ctx,
    const struct recorder_file *f, int error), void *ctx);

/* Takes s over; the drops are those of its time. */
void settle_give(struct settle *t, struct savefile *s, int64_t dropped_kernel,
    int64_t dropped_interface);

/* Waits until all are done. NULL is allowed. */
void settle_free(struct settle *t);

#endif
