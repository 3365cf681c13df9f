/*
 * SNTP (RFC 4330): the question of a client and what a server answers. Pure:
 * sockets and clocks are the caller's. Times are ns since 1970, UTC.
 */
#ifndef WIRE_SNTP_H
#define WIRE_SNTP_H

#include "cur.h"

#define SNTP_BYTES 48u
#define SNTP_TOKEN 8u

/*
 * The question. Its transmit time is a random token and not our clock: the
 * server returns it unread, it proves that the answer is one to us, and it
 * tells nobody what our clock says.
 */
void sntp_ask(uint8_t out[SNTP_BYTES], const uint8_t token[SNTP_TOKEN]);

struct sntp_reply {
	unsigned leap;		/* 3: the server's clock is not set */
	unsigned version;
	unsigned stratum;	/* 0: kiss-o'-death, kiss says why */
	char kiss[5];		/* "RATE", "DENY"; not letters: "?" */
	int64_t precision_ns;
	int64_t root_delay_ns, root_dispersion_ns;
	int64_t receive_ns, transmit_ns;
};

/*
 * OK, or BAD: too short, not a server's answer (mode 4), not to this token, or
 * without the times it must have. near_ns: our clock, which only decides the
 * 136-year era of the answer's times.
 */
enum wire_status sntp_read(struct span datagram,
    const uint8_t token[SNTP_TOKEN], int64_t near_ns, struct sntp_reply *r,
    struct wire_error *err);

/* Why this answer says nothing about the time, or NULL if it does. */
const char *sntp_unusable(const struct sntp_reply *r);

struct sntp_offset {
	int64_t offset_ns;	/* server's clock minus ours */
	int64_t delay_ns;	/* there and back, less the server's own time */
	int64_t dispersion_ns;	/* the server's root dispersion and precision */
	int64_t bound_ns;	/* |our clock - UTC| is at most this, if the
				 * server and its sources hold to what they say:
				 * |offset| + delay / 2 + root delay / 2 +
				 * dispersion */
};
/* sent, came: our clock at both ends. False: the times contradict each other
 * (the answer left before it came, or lasted longer than we waited). */
bool sntp_offset(const struct sntp_reply *r, int64_t sent_ns, int64_t came_ns,
    struct sntp_offset *o);

#endif
