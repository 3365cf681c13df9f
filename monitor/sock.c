#include "monitor/sock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <unistd.h>

#include "schema/draw.h"
#include "schema/now.h"

socklen_t sock_addr(const struct endpoint *e, struct sockaddr_storage *ss)
{
	*ss = (struct sockaddr_storage){ 0 };
	if (e->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->addr, 16);
	return sizeof(*in6);
}

bool sock_endpoint(const struct sockaddr *sa, struct endpoint *e)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		*e = endpoint_of(span_of(&in.sin_addr, 4),
		    ntohs(in.sin_port));
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		*e = endpoint_of(span_of(&in6.sin6_addr, 16),
		    ntohs(in6.sin6_port));
		return true;
	}
	*e = (struct endpoint){ 0 };
	return false;
}

/*
 * Ports of [from, to] in an order of chance, each once before one comes again
 * (a full period modulo a power of two; what lies beyond the range is passed
 * over). Drawn one by one they would meet: sockets share a port, but two that
 * share it cannot connect to one tracker, and connect() fails at once.
 */
static uint16_t next_port(uint16_t from, uint16_t to)
{
	static _Thread_local struct {
		uint16_t from, to;
		uint32_t x, times, plus, mask;
	} w;
	uint32_t width = (uint32_t)to - from + 1, drawn[3];

	if (w.from != from || w.to != to) {
		draw_bits(drawn, sizeof(drawn));
		w.from = from;
		w.to = to;
		w.times = (drawn[0] & ~3u) | 1;
		w.plus = drawn[1] | 1;
		for (w.mask = 0; w.mask < width - 1; w.mask = 2 * w.mask + 1)
			;
		w.x = drawn[2] & w.mask;
	}
	do {
		w.x = (w.x * w.times + w.plus) & w.mask;
	} while (w.x >= width);
	return (uint16_t)(from + w.x);
}

/* Ports that are not shared are drawn: whoever would forge an answer is not to
 * know them. */
static int bind_into(int fd, struct endpoint at, bool shared, uint16_t from,
    uint16_t to)
{
	uint32_t width = (uint32_t)to - from + 1, start = 0;
	struct sockaddr_storage ss;

	if (!shared)
		draw_bits(&start, sizeof(start));
	start %= width;
	for (uint32_t i = 0; i < width; i++) {
		at.port = (uint16_t)(from + (start + i) % width);
		if (shared)
			at.port = next_port(from, to);
		if (bind(fd, (struct sockaddr *)&ss, sock_addr(&at, &ss)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
	}
	return -1;
}

int sock_inline(int fd)
{
	int one = 1;

	return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
}

int sock_open(int family, int type, const struct endpoint *bind_to,
    uint16_t from, uint16_t to)
{
	struct endpoint at = { .family = (uint8_t)family };
	struct sockaddr_storage ss;
	int one = 1, why;
	int fd = socket(family == 4 ? AF_INET : AF_INET6,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
	    sizeof(one)) < 0)
		goto fail;
	if (bind_to != NULL && bind_to->family == family)
		memcpy(at.addr, bind_to->addr, sizeof(at.addr));
	/* Then a port serves as many connections as there are peers; without,
	 * the range's width would be the most there can be, those that the
	 * kernel still waits for included. Of datagrams it would be theft. */
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR,
	    &one, sizeof(one)) < 0)
		goto fail;
	if (type == SOCK_STREAM && sock_inline(fd) < 0)
		goto fail;
	if (from != 0 && from <= to) {
		if (bind_into(fd, at, type == SOCK_STREAM, from, to) < 0)
			goto fail;
	} else if (bind_to != NULL && bind_to->family == family) {
		if (bind(fd, (struct sockaddr *)&ss, sock_addr(&at, &ss)) < 0)
			goto fail;
	}
	return fd;
fail:
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

static bool taken(uint16_t port)
{
	static const int family[] = { 4, 6 }, type[] = { SOCK_STREAM,
		SOCK_DGRAM };
	bool found = false;

	for (int i = 0; i < 4 && !found; i++) {
		int fd = sock_open(family[i / 2], type[i % 2], NULL, port,
		    port);

		found = fd < 0 && errno == EADDRINUSE;
		if (fd >= 0)
			close(fd);
	}
	return found;
}

uint16_t sock_free_port(uint16_t from, uint16_t to)
{
	uint16_t port;

	do {
		draw_bits(&port, sizeof(port));
		port = (uint16_t)(1024 + port % (32768 - 1024));
	} while ((port >= from && port <= to) || taken(port));
	return port;
}

/* --- datagrams ----------------------------------------------------------- */

void sock_want_stamps(int fd)
{
	int one = 1;

	/* Refused: sock_recv then stamps on reading. */
	(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
}

void sock_want_drops(int fd)
{
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
}

/* Room for the kernel's notes on one datagram: of whole cmsghdrs. */
#define NOTES_ROOM (16 * sizeof(struct cmsghdr))
#define NOTES_ALIGNED _Alignas(struct cmsghdr)

static void read_notes(struct msghdr *m, struct stamp now,
    struct sock_datagram *d)
{
	struct timespec t;

	d->utc_ns = now.utc_ns;
	d->mono_ns = now.mono_ns;
	d->cut = (m->msg_flags & MSG_TRUNC) != 0;
	sock_endpoint(m->msg_name, &d->from);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
	    c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&d->dropped, CMSG_DATA(c), sizeof(d->dropped));
		if (c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		d->utc_ns = (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
		/* The same moment on the other clock: what has passed since,
		 * unless the wall clock was set meanwhile. */
		if (d->utc_ns <= now.utc_ns &&
		    now.utc_ns - d->utc_ns < 60 * NS_PER_S)
			d->mono_ns = now.mono_ns - (now.utc_ns - d->utc_ns);
	}
}

bool sock_recv(int fd, void *buf, size_t n, struct sock_datagram *d)
{
	struct sockaddr_storage from = { 0 };
	NOTES_ALIGNED char notes[NOTES_ROOM];
	struct iovec iov = { buf, n };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from),
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = notes,
	    .msg_controllen = sizeof(notes) };
	ssize_t got;

	do {
		got = recvmsg(fd, &m, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	*d = (struct sock_datagram){ .bytes = span_of(buf, (size_t)got) };
	read_notes(&m, stamp_now(), d);
	return true;
}

size_t sock_recv_many(int fd, uint8_t *buf, size_t each,
    struct sock_datagram d[SOCK_MANY])
{
	struct sockaddr_storage from[SOCK_MANY] = { 0 };
	NOTES_ALIGNED char notes[SOCK_MANY][NOTES_ROOM];
	struct iovec iov[SOCK_MANY];
	struct mmsghdr m[SOCK_MANY] = { 0 };
	struct stamp now;
	int got;

	for (size_t i = 0; i < SOCK_MANY; i++) {
		iov[i] = (struct iovec){ buf + i * each, each };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
		    .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i],
		    .msg_iovlen = 1, .msg_control = notes[i],
		    .msg_controllen = sizeof(notes[i]) };
	}
	do {
		got = recvmmsg(fd, m, SOCK_MANY, MSG_DONTWAIT, NULL);
	} while (got < 0 && errno == EINTR);
	now = stamp_now();
	for (int i = 0; i < got; i++) {
		d[i] = (struct sock_datagram){ .bytes = span_of(buf +
		    (size_t)i * each, m[i].msg_len) };
		read_notes(&m[i].msg_hdr, now, &d[i]);
	}
	return got < 0 ? 0 : (size_t)got;
}

/* What the kernel tells of an error: who sent it stands behind it. */
static bool read_error(struct msghdr *m, struct sock_icmp *e)
{
	struct sock_extended_err *ee;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
	    c = CMSG_NXTHDR(m, c)) {
		if (!(c->cmsg_level == IPPROTO_IP &&
		    c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_RECVERR))
			continue;
		ee = (struct sock_extended_err *)CMSG_DATA(c);
		if (ee->ee_origin != SO_EE_ORIGIN_ICMP &&
		    ee->ee_origin != SO_EE_ORIGIN_ICMP6)
			return false;
		e->why = (int)ee->ee_errno;
		sock_endpoint(SO_EE_OFFENDER(ee), &e->from);
		e->from.port = 0;
		return sock_endpoint(m->msg_name, &e->to);
	}
	return false;
}

void sock_want_icmp(int fd, int family)
{
	int one = 1;

	/* Refused: what they would say shows as a time-out. */
	if (family == 4)
		(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one,
		    sizeof(one));
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one,
		    sizeof(one));
}

bool sock_icmp(int fd, void *buf, size_t n, struct sock_icmp *e)
{
	struct sockaddr_storage to = { 0 };
	NOTES_ALIGNED char notes[NOTES_ROOM];
	struct iovec iov = { buf, n };
	ssize_t got;

	for (;;) {
		struct msghdr m = { .msg_name = &to, .msg_namelen = sizeof(to),
		    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = notes,
		    .msg_controllen = sizeof(notes) };

		got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_ERRQUEUE);
		if (got < 0 && errno != EINTR)
			return false;
		*e = (struct sock_icmp){ .quoted = span_of(buf,
		    got < 0 ? 0 : (size_t)got) };
		if (got >= 0 && read_error(&m, e))
			return true;
	}
}

bool sock_send(int fd, const struct endpoint *to, struct span bytes)
{
	struct sockaddr_storage ss;
	socklen_t n = sock_addr(to, &ss);
	ssize_t put;

	/* The second time it is about this datagram. */
	for (int tries = 0; tries < 2; tries++) {
		do {
			put = sendto(fd, bytes.p, bytes.n, MSG_DONTWAIT |
			    MSG_NOSIGNAL, (struct sockaddr *)&ss, n);
		} while (put < 0 && errno == EINTR);
		if (put >= 0 || errno == EAGAIN || errno == ENOBUFS)
			break;
	}
	return put == (ssize_t)bytes.n;
}
