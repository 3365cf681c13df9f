/*
 * The live packet recorder: a child process that holds the capture privilege
 * and nothing else, writing savefiles the parent records.
 */
#ifndef CAPTURE_RECORDER_H
#define CAPTURE_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

/* What the child may take to end, once it is asked to: a full ring on a busy
 * machine. What it then has not written it says that it does not know (-1). */
#define RECORDER_END_S 70

struct recorder;

struct recorder_conf {
	const char *interface;	/* NULL: "any" */
	const char *filter;	/* pcap-filter text, or NULL for none */
	const char *folder;	/* CASE/packets */
	int first;		/* number of the first savefile */
	int64_t rotate_bytes;	/* 0: 64 MiB */
	int rotate_s;		/* 0: 300 */
	bool promiscuous;	/* what is not for this host, too */
	bool no_sandbox;	/* the child is not confined */
	int buffer_mib;		/* kernel ring; 0: 64 */
};

/* A finished savefile, renamed into place. */
struct recorder_file {
	char file[64];		/* "packets/000001.pcap" */
	char sha256[65];
	int64_t bytes, packets;
	int64_t first_utc_ns, last_utc_ns;	/* 0 if no packet */
	int64_t dropped_kernel, dropped_interface;	/* since the one before;
							 * -1: not known */
};

/*
 * Forks the child before the caller opens a socket or starts a thread, and
 * waits until the capture is active or refused. NULL: not allowed or not
 * possible; why (at least 256 bytes) says so. The child drops all privilege
 * once active (capture/privilege.h), ignores SIGINT and SIGHUP (the parent
 * decides), and ends when the parent does: it then finishes its file. Every
 * savefile is kept, one without packets too.
 */
struct recorder *recorder_start(const struct recorder_conf *conf, char *why);

/* A descriptor that becomes readable when recorder_next has something. */
int recorder_fd(const struct recorder *r);

/* The next finished file: 1, 0 for none now, -1 when the child is gone (why it
 * ended is logged if it was not asked to). Does not block. */
int recorder_next(struct recorder *r, struct recorder_file *f);

/* The child's effective filter, link type name and interface, for the record. */
const char *recorder_describe(const struct recorder *r);

/* Packets seen and dropped so far, as last reported. */
void recorder_counts(const struct recorder *r, int64_t *packets,
    int64_t *dropped);

/* That the child ended, and why as far as it said; for the record. */
const char *recorder_end(const struct recorder *r);

/*
 * Asks the child to end after the packets it already has; then call
 * recorder_next until it returns -1. recorder_free reaps it.
 */
void recorder_stop(struct recorder *r);
void recorder_free(struct recorder *r);

/*
 * A savefile that a crashed run left hidden in folder: renames the next such
 * to its final name and describes it as it lies, not a byte changed (a packet
 * cut short at its end is not counted). 1, 0 for none, -1 logged. Its drop
 * counts are unknown: -1.
 */
int recorder_salvage(const char *folder, struct recorder_file *f);

/*
 * The same for the next finished savefile numbered above *after, which becomes
 * its number: a run that was killed may have finished one that its ledger does
 * not name. recorder_recorded: the number of the newest that it names, 0 for
 * none, -1 if that cannot be told.
 */
int recorder_left(const char *folder, int *after, struct recorder_file *f);
int recorder_recorded(const char *case_path);

/* One more than the highest number of a savefile in folder, hidden ones
 * included; 1 in an empty or unreadable one. For recorder_conf.first. */
int recorder_number(const char *folder);

#endif
