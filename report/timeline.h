/*
 * Which time of a media file lies in which of its bytes: the packets of its
 * streams as ffprobe (FFmpeg) lists them, and the spans of presentation time
 * whose packets lie wholly in given bytes. Files in MP4 or QuickTime (ISO/IEC
 * 14496-12) and in Matroska or WebM (RFC 9559) alone: of these it is known
 * where a packet that ffprobe lists ends.
 */
#ifndef REPORT_TIMELINE_H
#define REPORT_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/cur.h"

#define TIMELINE_STREAMS 64u
#define TIMELINE_PACKETS 4194304u	/* 50 bytes of memory each */
#define TIMELINE_LINE 8192u

enum timeline_container {
	TIMELINE_OTHER,
	TIMELINE_MP4,
	TIMELINE_MATROSKA
};

struct timeline_packet {
	int64_t pts_us;		/* presented from then on */
	int64_t for_us;		/* -1: the file does not say */
	uint64_t from, to;	/* it lies within; from == to: not known where */
	uint32_t rank;		/* in shown */
	uint8_t stream;
};

struct timeline_stream {
	bool told;
	char type[16], codec[32];	/* "video", "h264" */
	uint32_t packets;	/* that are presented, at a time that is known */
	uint32_t undated;	/* at a time that is not */
	uint32_t hidden;	/* that the file says are not presented */
	const char *why;	/* no time range is stated of it; NULL: they are */
};

struct timeline {
	char why[160];		/* nothing is determined; "": it is */
	char version[64];	/* ffprobe's; "": it was not run */
	enum timeline_container container;
	struct timeline_stream stream[TIMELINE_STREAMS];
	size_t streams;
	struct timeline_packet *packet;	/* as listed */
	size_t n, room, most;
	uint32_t *shown;	/* dated packets, by stream and time */
	uint32_t *placed;	/* all packets, by place */
	size_t nshown;
};

/*
 * Runs ffprobe, found by PATH, on an open regular file of so many bytes; no
 * name of the file reaches it. most: packets, at most TIMELINE_PACKETS. What
 * hinders is said in .why and is no error. Free in any case.
 */
void timeline_read(struct timeline *t, int fd, uint64_t bytes, size_t most,
    int limit_s);
void timeline_free(struct timeline *t);

/* The container in words; "" if there is none. */
const char *timeline_container(const struct timeline *t);

/*
 * What timeline_read is made of. A line that ffprobe wrote, without its end;
 * false with .why if it cannot be read. Then, once, what they come to.
 */
bool timeline_line(struct timeline *t, struct span line);
void timeline_settle(struct timeline *t, uint64_t bytes);

/* Bytes [from, to) of the file. */
struct timeline_bytes {
	uint64_t from, to;
};

/* Every packet of the stream whose presentation begins in [from, to) lies
 * wholly in the bytes asked for, and so many do. */
struct timeline_run {
	uint32_t stream, packets;
	int64_t from_us, to_us;
};

/* at: in order, apart. The runs by stream and time; *out is the caller's to
 * free, NULL if there are none. */
size_t timeline_find(const struct timeline *t, const struct timeline_bytes *at,
    size_t n, struct timeline_run **out);

/* "1:02:03.456", cut to the millisecond (towards the past); "-0:00:00.021". */
#define TIMELINE_TEXT 32
const char *timeline_clock(int64_t us, char buf[TIMELINE_TEXT]);
/* "3723.456789" */
const char *timeline_seconds(int64_t us, char buf[TIMELINE_TEXT]);

#endif
