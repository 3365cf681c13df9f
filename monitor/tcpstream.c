#include "monitor/tcpstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/sock.h"
#include "schema/now.h"

#define IN_ROOM 65536u		/* read at once: a peer's share of a turn */

struct tcpstream {
	struct stream stream;
	uv_poll_t poll;
	struct endpoint at;
	int fd;
	int events;		/* what the poll handle waits for */
	bool connected, read, full;
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* The poll handle waits for what there is to do. */
static void watch(struct tcpstream *t)
{
	int want = 0;

	/* Who does not take what we say is not heard either. */
	if (!t->connected || t->full)
		want = UV_WRITABLE;
	else if (t->read)
		want = UV_READABLE;
	if (want == t->events)
		return;
	t->events = want;
	if (want)
		uv_poll_start(&t->poll, want, on_poll);
	else
		uv_poll_stop(&t->poll);
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

static void on_connect(struct tcpstream *t, struct stamp at)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error) {
		failed(t, error, at);
		return;
	}
	t->connected = true;
	watch(t);
	t->stream.hooks->opened(t->stream.ctx, at);
}

static void on_readable(struct tcpstream *t, struct stamp at)
{
	static uint8_t in[IN_ROOM];
	const struct stream_hooks *h = t->stream.hooks;
	size_t may = h->may(t->stream.ctx, at);
	ssize_t n;

	if (may == 0)
		return;
	n = recv(t->fd, in, may < sizeof(in) ? may : sizeof(in), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		h->ended(t->stream.ctx, "error", errno == ECONNRESET ||
		    errno == EPIPE ? "reset" : strerror(errno), at);
	else if (n == 0)
		h->ended(t->stream.ctx, "peer", "closed the connection", at);
	else
		h->bytes(t->stream.ctx, span_of(in, (size_t)n), at);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct tcpstream *t = poll->data;
	struct stamp at = stamp_now();

	if (!t->connected) {
		on_connect(t, at);
	} else if (status < 0 || (events & UV_READABLE)) {
		on_readable(t, at);
	} else if (events & UV_WRITABLE) {
		t->full = false;
		watch(t);
		t->stream.hooks->room(t->stream.ctx, at);
	}
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
	int one = 1;

	/* Requests are small and answered in turn: none waits for another. */
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	t->read = true;
	watch(t);
	if (!t->connected && connect(t->fd, (struct sockaddr *)&ss,
	    sock_addr(&t->at, &ss)) < 0 && errno != EINPROGRESS)
		failed(t, errno, stamp_now());
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

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void end(struct stream *s)
{
	struct tcpstream *t = of(s);

	uv_close((uv_handle_t *)&t->poll, on_closed);
	close(t->fd);
}

static const struct stream_ops ops = { .transport = "tcp", .start = start,
	.write = put, .read = want, .local = local, .close = end };

/* --- the beginning -------------------------------------------------------------- */

static struct tcpstream *make(uv_loop_t *loop, int fd)
{
	struct tcpstream *t = calloc(1, sizeof(*t));

	if (!t || uv_poll_init(loop, &t->poll, fd) < 0) {
		free(t);
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	t->stream.ops = &ops;
	t->poll.data = t;
	t->fd = fd;
	return t;
}

struct stream *tcpstream_dial(uv_loop_t *loop, const struct endpoint *at,
    const struct endpoint *bind_to, uint16_t from, uint16_t to)
{
	int fd = sock_open(at->family, SOCK_STREAM, bind_to, from, to);
	struct tcpstream *t = fd < 0 ? NULL : make(loop, fd);

	if (!t)
		return NULL;
	t->at = *at;
	return &t->stream;
}

struct stream *tcpstream_adopt(uv_loop_t *loop, int fd)
{
	struct tcpstream *t = make(loop, fd);

	if (!t)
		return NULL;
	t->connected = true;
	return &t->stream;
}
