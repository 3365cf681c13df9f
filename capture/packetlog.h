/*
 * What a live recorder kept, as records about its run: `packets`, `no_packets`.
 */
#ifndef CAPTURE_PACKETLOG_H
#define CAPTURE_PACKETLOG_H

#include "capture/recorder.h"
#include "schema/runlog.h"

/* A finished savefile; drops are warned of, too. filter NULL: all packets. Of
 * salvaged ones, which a run left that did not end, neither is known. */
void packetlog_file(struct runlog *r, const struct recorder_file *f,
    const char *interface, const char *filter, bool salvaged);

/* From here on nothing is recorded. */
void packetlog_none(struct runlog *r, const char *why);

#endif
