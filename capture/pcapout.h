/* A nanosecond pcap being written from packets that were read of others. */
#ifndef CAPTURE_PCAPOUT_H
#define CAPTURE_PCAPOUT_H

#include "capture/source.h"

struct pcapout;

/* A new file of one link type. NULL, logged. */
struct pcapout *pcapout_open(const char *path, uint32_t link);
/* The packet from its skip-th byte on. */
void pcapout_put(struct pcapout *o, const struct source_packet *p,
    size_t skip);
/* Syncs and closes; digest (may be NULL) gets the SHA-256. -1 logged, and the
 * file removed: it could not be written. */
int pcapout_close(struct pcapout *o, char digest[65], int64_t *bytes,
    int64_t *packets);

#endif
