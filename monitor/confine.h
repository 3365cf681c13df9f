/*
 * The sandbox of a monitor, and of `stamp`: which files a run still needs.
 */
#ifndef MONITOR_CONFINE_H
#define MONITOR_CONFINE_H

#include "capture/sandbox.h"
#include "monitor/options.h"
#include "monitor/swarm.h"
#include "schema/casedir.h"

/*
 * Confines this process to the case, its key and that key's log of runs, the
 * folders that --list and what it names now lie in, --watch's folder and that
 * of --metrics; to be called before there are threads. With --no-sandbox it
 * only says what that means. 0, or -1 logged.
 */
int confine(const struct options *o, const struct casedir *dir,
    const char *keyfile, const struct swarm *loaded, struct sandbox *got);

/* `stamp`: the network, and of files the case alone; its key is read by then.
 * none: --no-sandbox, which is said. 0, or -1 logged. */
int confine_stamp(const char *case_path, bool none);

#endif
