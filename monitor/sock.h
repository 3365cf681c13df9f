/*
 * Sockets of the monitor: made by us, so that each is bound to the address
 * and into the port range that the packet filter takes.
 */
#ifndef MONITOR_SOCK_H
#define MONITOR_SOCK_H

#include <sys/socket.h>

#include "wire/endpoint.h"

/*
 * A non-blocking, close-on-exec socket of family 4 or 6 (6: IPv6 only), bound
 * to bind_to's address (its family 0: any) and to a port within [from, to];
 * from 0: the kernel's choice. Of datagrams a free one, from a random one on.
 * Streams share ports, and take each of the range before they take one again.
 * -1 with errno, EADDRINUSE if the whole range is taken.
 */
int sock_open(int family, int type, const struct endpoint *bind_to,
    uint16_t from, uint16_t to);

/* Urgent bytes stay where they are in the stream, as in the packets; else the
 * kernel takes them out. What a listener accepts inherits it. -1 with errno. */
int sock_inline(int fd);

/* A port that nobody listens on or has for UDP, at any address of this host,
 * drawn at random below 32768 and outside [from, to]. */
uint16_t sock_free_port(uint16_t from, uint16_t to);

/* An endpoint as the kernel wants it, and back (false: neither IPv4 nor 6). */
socklen_t sock_addr(const struct endpoint *e, struct sockaddr_storage *ss);
bool sock_endpoint(const struct sockaddr *sa, struct endpoint *e);

/* A received datagram, with the kernel's time of arrival. */
struct sock_datagram {
	struct span bytes;		/* in the caller's buffer */
	struct endpoint from;
	int64_t utc_ns, mono_ns;	/* of arrival */
	bool cut;			/* longer than the buffer */
	uint32_t dropped;		/* of the socket so far, for want of
					 * room, as its drop count is kept:
					 * sock_want_drops */
};

/*
 * Why a datagram of ours did not arrive, by the ICMP error that came back
 * (RFC 792, RFC 4443). Who routes the packets can say so, or whoever guesses
 * what was sent: the words of from, no more.
 */
struct sock_icmp {
	struct endpoint to;		/* where it was sent */
	struct endpoint from;		/* who says so; its port is 0 */
	int why;			/* as errno: ECONNREFUSED, ... */
	struct span quoted;		/* the datagram's first bytes, in the
					 * caller's buffer */
};

/* Asks the kernel to keep these errors of fd (IP_RECVERR). A send on it may
 * then fail with the error of an earlier one: sock_send tries again. */
void sock_want_icmp(int fd, int family);
/* The next one: false when there is none. */
bool sock_icmp(int fd, void *buf, size_t n, struct sock_icmp *e);

/* Asks the kernel to stamp arrivals on fd (SO_TIMESTAMPNS). */
void sock_want_stamps(int fd);
/* Asks the kernel to tell how many datagrams it dropped (SO_RXQ_OVFL). */
void sock_want_drops(int fd);
/* The next datagram of fd: false when there is none now. */
bool sock_recv(int fd, void *buf, size_t n, struct sock_datagram *d);
/* Up to SOCK_MANY at once, each with each bytes of buf: how many. */
#define SOCK_MANY 16u
size_t sock_recv_many(int fd, uint8_t *buf, size_t each,
    struct sock_datagram d[SOCK_MANY]);
/* Sends one; false if the kernel would not take it (errno). */
bool sock_send(int fd, const struct endpoint *to, struct span bytes);

#endif
