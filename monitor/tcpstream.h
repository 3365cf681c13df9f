/*
 * Streams over TCP sockets. They share one epoll set, a single handle of the
 * loop's: libuv's own poll handle takes seven system calls a connection, and
 * looks through all the events of a turn at each.
 */
#ifndef MONITOR_TCPSTREAM_H
#define MONITOR_TCPSTREAM_H

#include <uv.h>

#include "monitor/stream.h"

struct tcpset;

/* NULL with errno. */
struct tcpset *tcpset_open(uv_loop_t *loop);
/* When every stream of it is closed; gone once the loop has closed its handle.
 * NULL is allowed. */
void tcpset_close(struct tcpset *set);

/* A socket that stream_start connects to at, bound as sock_open says. NULL
 * with errno. */
struct stream *tcpstream_dial(struct tcpset *set, const struct endpoint *at,
    const struct endpoint *bind_to, uint16_t from, uint16_t to);

/* An accepted socket's, from now on its own. NULL with errno, fd closed. */
struct stream *tcpstream_adopt(struct tcpset *set, int fd);

#endif
