/*
 * A savefile being written: hidden until whole, its digest taken of the very
 * bytes that go to disk.
 */
#ifndef CAPTURE_SAVEFILE_H
#define CAPTURE_SAVEFILE_H

#include <pcap/pcap.h>

#include "capture/recorder.h"

struct savefile;

#define SAVEFILE_NUMBER_MAX 999999

/* Makes .NNNNNN.pcap.part in folder (an open descriptor). NULL with errno. */
struct savefile *savefile_open(int folder, int number, pcap_t *live);

/* False with errno once a write has failed. */
bool savefile_add(struct savefile *s, const struct pcap_pkthdr *h,
    const unsigned char *bytes);
bool savefile_flush(struct savefile *s);

/* What has been put, whether on disk yet or not. */
int64_t savefile_bytes(const struct savefile *s);

/* Syncs, renames to NNNNNN.pcap, describes (all but the drops) and frees. 0, or
 * -1 with errno, the file still hidden. */
int savefile_close(struct savefile *s, struct recorder_file *f);

#endif
