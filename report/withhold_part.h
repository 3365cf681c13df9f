/* What the two files of withhold share: withhold.c keeps what is known of ends
 * and their messages, withhold_stream.c puts streams together. */
#ifndef REPORT_WITHHOLD_PART_H
#define REPORT_WITHHOLD_PART_H

#include "report/withhold.h"

#define WITHHOLD_BUCKETS 4096u

struct message {
	struct message *next;
	int64_t conn;		/* -1: not known */
	struct span raw;	/* ours; p NULL: not known */
	bool found;
};

struct talk {
	struct talk *next;
	int64_t conn;
	uint64_t n;
	uint8_t sha256[32];
	bool met;		/* its stream was found */
};

/* An address and port of which something is known. */
struct end {
	struct end *next;	/* of its bucket */
	struct endpoint at;
	struct message *message;
	struct talk *talk;
};

struct range {
	size_t from, to;
};

/* A uTP packet's place in its stream: by its extended number, once sorted. */
struct part {
	int64_t seq;
	size_t at, n;
};

/* One direction of one connection. */
struct stream {
	struct stream *next;	/* of its bucket: the one before it there */
	struct end *end;
	struct endpoint to;
	bool utp;
	uint16_t id;		/* uTP */
	uint32_t base;		/* TCP: sequence number of the first byte */
	int64_t last;		/* uTP: extended number seen last */
	uint8_t *bytes, *there;	/* there: a bit for each byte that came */
	size_t n, room, got;
	struct part *part;
	size_t parts, part_room;
	bool lost;		/* it cannot be put together: all of it */
	struct talk *talk;	/* strict: it is this one's */
	struct range *hidden;
	size_t hides;
	/* Packets with payload: looked at, until it was known whose it is (then
	 * its bytes were let go); and asked about. */
	size_t looked, known_at, asked;
};

struct withhold {
	struct end *end[WITHHOLD_BUCKETS];
	struct stream *stream[WITHHOLD_BUCKETS];
	size_t held;		/* bytes, of all streams */
	bool strict;
	bool again;		/* the second pass */
};

/* The stream that a packet is of; in the first pass made, if there is none. */
struct stream *stream_of(struct withhold *w, struct end *from,
    const struct packet *p);
void stream_add(struct withhold *w, struct stream *s, const struct packet *p);
/* Looks for its talk, in strict mode, and for what is to be hidden in it. */
void stream_settle(struct withhold *w, struct stream *s);
/* Once all is settled: the bytes that a packet carries may not be shown. */
bool stream_hides(const struct withhold *w, struct stream *s,
    const struct packet *p);
void stream_free(struct stream *s);

#endif
