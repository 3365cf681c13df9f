/*
 * Whether a case has packets already that a savefile brings, whatever the file
 * was made into: another format or link, a part, merged with others, its times
 * shifted, its packets cut. What the two ends sent is evidence once.
 */
#ifndef CAPTURE_TWICE_H
#define CAPTURE_TWICE_H

#include <sqlite3.h>
#include <stddef.h>

#define TWICE_LOOK 10000u	/* packets of a file that are looked for */
#define TWICE_SURE 3u		/* found ones that are no chance */

/*
 * fds: the files, which stay the caller's and stand at their fronts again;
 * names: for messages. Reads the savefiles of the case at path, whose ledger is
 * db. A packet is known by its first 64 bytes from the IP header on, with what
 * every node on its way changes; so the same conversation captured elsewhere is
 * another. 0; -1 if there are such packets, or they could not be looked for
 * (logged).
 */
int twice_refuse(sqlite3 *db, const char *path, const int *fds,
    char *const *names, size_t n);

#endif
