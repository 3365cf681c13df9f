/*
 * A folder of torrents that is looked at again and again (--watch): what is
 * put into it begins to be watched, what is taken out of it ends.
 */
#ifndef MONITOR_FOLDER_H
#define MONITOR_FOLDER_H

#include <uv.h>

#include "monitor/wanted.h"

struct folder;

struct folder_conf {
	uv_loop_t *loop;
	const char *path;
	void *ctx;
	/* Takes over what a look found, to be watched from here on unless it is
	 * already; the list is empty then. */
	void (*come)(void *ctx, struct wanted *came);
	/* The file that this infohash came from is gone, or holds another. */
	void (*gone)(void *ctx, const uint8_t infohash[20]);
};

/*
 * Looks at once, and from then on a second after each change and once a
 * minute: at names that end in .torrent, and in .magnet (whose first line is a
 * link or an infohash); hidden ones are passed over. A file that cannot be read
 * is named once, and what it held before is kept: it may be half written. A
 * file that lies as it did is not read again. NULL, logged, if the folder
 * cannot be read.
 */
struct folder *folder_open(const struct folder_conf *conf);
/* Ends; memory goes with the loop's handles. NULL is allowed. */
void folder_close(struct folder *f);

#endif
