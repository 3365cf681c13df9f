#include "monitor/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "monitor/sock.h"
#include "schema/log.h"

#define BACKLOG 128
#define A_TURN 64	/* connections taken before others have a turn */
#define REST_MS 1000
#define SAY_EVERY 60u	/* rests */

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *rest)
{
	struct listener *l = rest->data;

	uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

static void say(struct listener *l, const char *why)
{
	if (l->rests++ % SAY_EVERY == 0)
		log_warn("cannot accept: %s (%u times so far)", why, l->rests);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	struct sockaddr_storage ss;
	struct endpoint from, local;
	socklen_t n;

	(void)status;
	(void)events;
	for (int i = 0; i < A_TURN; i++) {
		n = sizeof(ss);
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &n,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM) {
				say(l, strerror(errno));
				uv_poll_stop(&l->poll);
				uv_timer_start(&l->rest, on_rested, REST_MS,
				    0);
			}
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}
		if (!sock_endpoint((struct sockaddr *)&ss, &from)) {
			close(fd);
			continue;
		}
		n = sizeof(ss);
		if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0 ||
		    !sock_endpoint((struct sockaddr *)&ss, &local))
			local = (struct endpoint){ 0 };
		l->accepted(l->ctx, fd, &from, &local);
	}
}

int listener_open(struct listener *l, uv_loop_t *loop,
    const struct endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t n = sock_addr(at, &ss);
	int one = 1, why;

	l->fd = socket(at->family == 4 ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -1;
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		goto fail;
	if (sock_inline(l->fd) < 0)
		goto fail;
	if (at->family == 6 && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY,
	    &one, sizeof(one)) < 0)
		goto fail;
	if (bind(l->fd, (struct sockaddr *)&ss, n) < 0 ||
	    listen(l->fd, BACKLOG) < 0)
		goto fail;
	if (uv_poll_init(loop, &l->poll, l->fd) < 0) {
		errno = EIO;
		goto fail;
	}
	uv_timer_init(loop, &l->rest);
	l->poll.data = l->rest.data = l;
	return uv_poll_start(&l->poll, UV_READABLE, on_poll);
fail:
	why = errno;
	close(l->fd);
	l->fd = -1;
	errno = why;
	return -1;
}

void listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	uv_close((uv_handle_t *)&l->poll, NULL);
	uv_close((uv_handle_t *)&l->rest, NULL);
	close(l->fd);
	l->fd = -1;
}
