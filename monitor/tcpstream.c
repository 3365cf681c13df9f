#include "monitor/tcpstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/sock.h"
#include "schema/log.h"
#include "schema/now.h"

#define IN_ROOM 262144u		/* read at once: a peer's share of a turn */
#define EVENTS 512		/* before others have a turn */
#define BROKEN (EPOLLERR | EPOLLHUP)
/* Of one we dial: told once of whatever comes, so that its answer and its first
 * words need not be asked for one after the other. */
#define EDGES (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)
/* A read that took less than it might has taken all, unless it stopped before
 * one of these: an urgent byte, the end. */
#define STOPS (EPOLLPRI | EPOLLRDHUP | BROKEN)

struct tcpstream {
	struct stream stream;
	struct tcpset *set;
	struct tcpstream *next;	/* of those closed in this turn */
	struct endpoint at;
	int fd;			/* -1: closed */
	uint32_t events;	/* what it is in the set for; 0: it is not */
	bool connected, read, full;
};

struct tcpset {
	uv_poll_t poll;
	int fd;
	bool turning;		/* events may name streams that were closed */
	struct tcpstream *closed;
};

static void arm(struct tcpstream *t, uint32_t want)
{
	struct epoll_event e = { .events = want, .data.ptr = t };
	int how = t->events == 0 ? EPOLL_CTL_ADD : want == 0 ? EPOLL_CTL_DEL :
	    EPOLL_CTL_MOD;

	if (want == t->events)
		return;
	if (epoll_ctl(t->set->fd, how, t->fd, &e) < 0)
		log_die("cannot wait for a connection: %s", strerror(errno));
	t->events = want;
}

/* The set tells of it what there is to do. */
static void watch(struct tcpstream *t)
{
	if (t->events == EDGES && t->read && !t->full)
		return;		/* nothing is left undone */
	/* Who does not take what we say is not heard either. */
	arm(t, !t->connected || t->full ? EPOLLOUT : t->read ? EPOLLIN : 0);
}

static const char *failed_word(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timeout";
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return "unreachable";
	case ECONNRESET:
		return "reset";
	}
	return "other";
}

static void failed(struct tcpstream *t, int error, struct stamp at)
{
	t->stream.hooks->failed(t->stream.ctx, failed_word(error),
	    strerror(error), at);
}

static void on_connect(struct tcpstream *t, uint32_t events, struct stamp at)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if ((events & BROKEN) && getsockopt(t->fd, SOL_SOCKET, SO_ERROR,
	    &error, &n) < 0)
		error = errno;
	if (error) {
		failed(t, error, at);
		return;
	}
	t->connected = true;
	if (t->read && events & EPOLLIN)	/* it spoke at once */
		arm(t, EPOLLIN);
	else
		watch(t);
	t->stream.hooks->opened(t->stream.ctx, at);
}

static void on_readable(struct tcpstream *t, uint32_t events, struct stamp at)
{
	static uint8_t in[IN_ROOM];
	const struct stream_hooks *h = t->stream.hooks;
	size_t may = h->may(t->stream.ctx, at);
	ssize_t n;

	if (may == 0) {
		if (t->fd >= 0 && events & BROKEN)	/* told in every turn */
			arm(t, 0);
		return;
	}
	may = may < sizeof(in) ? may : sizeof(in);
	n = recv(t->fd, in, may, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		arm(t, EPOLLIN);
		return;
	}
	if (n == (ssize_t)may || (n > 0 && events & STOPS))
		arm(t, EPOLLIN);
	if (n < 0)
		h->ended(t->stream.ctx, "error", errno == ECONNRESET ||
		    errno == EPIPE ? "reset" : strerror(errno), at);
	else if (n == 0)
		h->ended(t->stream.ctx, "peer", "closed the connection", at);
	else
		h->bytes(t->stream.ctx, span_of(in, (size_t)n), at);
}

static void on_event(struct tcpstream *t, uint32_t events)
{
	struct stamp at = stamp_now();

	if (!t->connected) {
		on_connect(t, events, at);
	} else if (events & (EPOLLIN | BROKEN)) {
		on_readable(t, events, at);
	} else if (t->full) {
		t->full = false;
		watch(t);
		t->stream.hooks->room(t->stream.ctx, at);
	}
}

/* --- the set -------------------------------------------------------------------- */

static void on_turn(uv_poll_t *poll, int status, int events)
{
	struct tcpset *set = poll->data;
	struct epoll_event e[EVENTS];
	int n = epoll_wait(set->fd, e, EVENTS, 0);
	struct tcpstream *t;

	(void)status;
	(void)events;
	set->turning = true;
	for (int i = 0; i < n; i++) {
		t = e[i].data.ptr;
		if (t->fd >= 0)
			on_event(t, e[i].events);
	}
	set->turning = false;
	while ((t = set->closed)) {
		set->closed = t->next;
		free(t);
	}
}

struct tcpset *tcpset_open(uv_loop_t *loop)
{
	struct tcpset *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->fd = epoll_create1(EPOLL_CLOEXEC);
	if (set->fd < 0 || uv_poll_init(loop, &set->poll, set->fd) < 0) {
		if (set->fd >= 0)
			close(set->fd);
		free(set);
		return NULL;
	}
	set->poll.data = set;
	uv_poll_start(&set->poll, UV_READABLE, on_turn);
	return set;
}

static void on_closed(uv_handle_t *h)
{
	struct tcpset *set = h->data;

	close(set->fd);
	free(set);
}

void tcpset_close(struct tcpset *set)
{
	if (set)
		uv_close((uv_handle_t *)&set->poll, on_closed);
}

/* --- what the stream's user calls --------------------------------------------- */

static struct tcpstream *of(struct stream *s)
{
	return (struct tcpstream *)s;	/* its first member */
}

static void start(struct stream *s)
{
	struct tcpstream *t = of(s);
	struct sockaddr_storage ss;
	int one = 1, zero = 0;

	/* Requests are small and answered in turn: none waits for another. */
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* The one who dials speaks first: its first word bears the ACK that
	 * ends the handshake of TCP. */
	if (!t->connected)
		setsockopt(t->fd, IPPROTO_TCP, TCP_QUICKACK, &zero,
		    sizeof(zero));
	t->read = true;
	if (!t->connected && connect(t->fd, (struct sockaddr *)&ss,
	    sock_addr(&t->at, &ss)) < 0 && errno != EINPROGRESS)
		failed(t, errno, stamp_now());
	else if (t->connected)
		watch(t);
	else
		arm(t, EDGES);
}

static ssize_t put(struct stream *s, const uint8_t *bytes, size_t n)
{
	struct tcpstream *t = of(s);
	size_t done = 0;

	while (done < n) {
		ssize_t took = send(t->fd, bytes + done, n - done,
		    MSG_NOSIGNAL);

		if (took < 0 && errno == EINTR)
			continue;
		if (took < 0 && errno != EAGAIN && done == 0)
			return -1;
		if (took < 0)
			break;
		done += (size_t)took;
	}
	t->full = done < n;
	watch(t);
	return (ssize_t)done;
}

static void want(struct stream *s, bool on)
{
	of(s)->read = on;
	watch(of(s));
}

static bool local(struct stream *s, struct endpoint *e)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	return getsockname(of(s)->fd, (struct sockaddr *)&ss, &n) == 0 &&
	    sock_endpoint((struct sockaddr *)&ss, e);
}

/* A closed socket is in no set. */
static void end(struct stream *s)
{
	struct tcpstream *t = of(s);

	close(t->fd);
	t->fd = -1;
	if (!t->set->turning) {
		free(t);
		return;
	}
	t->next = t->set->closed;
	t->set->closed = t;
}

static const struct stream_ops ops = { .transport = "tcp", .start = start,
	.write = put, .read = want, .local = local, .close = end };

/* --- the beginning -------------------------------------------------------------- */

static struct tcpstream *make(struct tcpset *set, int fd)
{
	struct tcpstream *t = calloc(1, sizeof(*t));

	if (!t) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	t->stream.ops = &ops;
	t->set = set;
	t->fd = fd;
	return t;
}

struct stream *tcpstream_dial(struct tcpset *set, const struct endpoint *at,
    const struct endpoint *bind_to, uint16_t from, uint16_t to)
{
	int fd = sock_open(at->family, SOCK_STREAM, bind_to, from, to);
	struct tcpstream *t = fd < 0 ? NULL : make(set, fd);

	if (!t)
		return NULL;
	t->at = *at;
	return &t->stream;
}

struct stream *tcpstream_adopt(struct tcpset *set, int fd)
{
	struct tcpstream *t = make(set, fd);

	if (!t)
		return NULL;
	t->connected = true;
	return &t->stream;
}
