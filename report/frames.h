/*
 * Which packets of a case's savefiles belong to the conversations with one
 * address: found by the two ends and the time, numbered as Wireshark numbers
 * them. Savefiles that lie outside the conversations' time are not opened.
 */
#ifndef REPORT_FRAMES_H
#define REPORT_FRAMES_H

#include "report/endpoints.h"
#include "wire/endpoint.h"

#define FRAMES_MOST 1000000u	/* kept; what is beyond is said to be */

struct frame {
	int64_t utc_ns;
	uint64_t number;	/* from 1, in its file */
	uint32_t file;		/* index of frames.file */
	bool theirs;		/* sent by the address, not to it */
};

struct frames_talk {
	int64_t conn, from_utc_ns, to_utc_ns;
	uint16_t port;		/* of the address */
	struct frame *at;	/* in the savefiles' order */
	size_t n;
};

struct frames {
	char **file;		/* relative to the case, "packets/000001.pcap" */
	size_t files;
	struct frames_talk *talk;	/* by conn */
	size_t talks;
	size_t kept;
	bool cut;		/* FRAMES_MOST was reached */
	bool left_out;		/* no savefile was looked into */
	int64_t unread;		/* savefiles that could not be read */
};

/* of->ip is set. -1 logged: the case could not be read; savefiles that are
 * missing or damaged only count in .unread. */
int frames_read(struct frames *f, const struct facts *c,
    const struct endpoints_of *of, const char *swarm);
void frames_free(struct frames *f);

/* NULL: none of its packets is kept. */
const struct frames_talk *frames_of(const struct frames *f, int64_t conn);

/* The last packet of the conversation that the address sent no later than
 * this; NULL if none is kept. */
const struct frame *frames_before(const struct frames_talk *t, int64_t utc_ns);

/* The part of t that lies in the file of t->at[*from]: its first and last
 * packet and how many; *from moves behind it. False at the end. */
struct frames_span {
	uint32_t file;
	uint64_t first, last;
	size_t n;
};
bool frames_next(const struct frames_talk *t, size_t *from,
    struct frames_span *out);

#endif
