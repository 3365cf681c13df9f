/*
 * Streams over TCP sockets.
 */
#ifndef MONITOR_TCPSTREAM_H
#define MONITOR_TCPSTREAM_H

#include <uv.h>

#include "monitor/stream.h"

/* A socket that stream_start connects to at, bound as sock_open says. NULL
 * with errno. */
struct stream *tcpstream_dial(uv_loop_t *loop, const struct endpoint *at,
    const struct endpoint *bind_to, uint16_t from, uint16_t to);

/* An accepted socket's, from now on its own. NULL with errno, fd closed. */
struct stream *tcpstream_adopt(uv_loop_t *loop, int fd);

#endif
