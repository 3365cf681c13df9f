/*
 * What carries a conversation with one peer: bytes in order both ways, over
 * TCP (tcpstream.h) or uTP (utpmux.h), behind one face.
 */
#ifndef MONITOR_STREAM_H
#define MONITOR_STREAM_H

#include <sys/types.h>

#include "schema/record.h"
#include "wire/endpoint.h"

struct stream;

/* What the loop tells. Any hook may call stream_close; none is called after
 * that. */
struct stream_hooks {
	/* A dial was answered. Of an accepted uTP stream: the far end proved
	 * that it receives what is sent to its address. */
	void (*opened)(void *ctx, struct stamp at);
	/* A dial was not: "refused", "timeout", "unreachable", "reset" or
	 * "other", and what the system said. */
	void (*failed)(void *ctx, const char *why, const char *error,
	    struct stamp at);
	void (*bytes)(void *ctx, struct span bytes, struct stamp at);
	/* How many bytes may be read now; 0: none, and reading was stopped.
	 * Asked where the kernel holds them meanwhile, of TCP. */
	size_t (*may)(void *ctx, struct stamp at);
	/* It takes bytes again, after it took less than it was given. */
	void (*room)(void *ctx, struct stamp at);
	/* It is over: "peer" or "error", and why in a few words. */
	void (*ended)(void *ctx, const char *by, const char *why,
	    struct stamp at);
};

struct stream_ops {
	const char *transport;	/* as recorded */
	void (*start)(struct stream *s);
	ssize_t (*write)(struct stream *s, const uint8_t *bytes, size_t n);
	void (*read)(struct stream *s, bool on);
	bool (*local)(struct stream *s, struct endpoint *e);
	void (*close)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_hooks *hooks;
	void *ctx;
};

/* Dials, or takes up what was accepted. Hooks may be called at once. */
static inline void stream_start(struct stream *s,
    const struct stream_hooks *hooks, void *ctx)
{
	s->hooks = hooks;
	s->ctx = ctx;
	s->ops->start(s);
}

/* How many bytes it took: if fewer than n, room is told later. -1 with errno:
 * it is broken. */
static inline ssize_t stream_write(struct stream *s, const uint8_t *bytes,
    size_t n)
{
	return s->ops->write(s, bytes, n);
}

/* Whether bytes are wanted; at first they are. */
static inline void stream_read(struct stream *s, bool on)
{
	s->ops->read(s, on);
}

/* Our end's address and port; false if it is not known. */
static inline bool stream_local(struct stream *s, struct endpoint *e)
{
	return s->ops->local(s, e);
}

/* What was written is still sent if it can be. The stream is gone. */
static inline void stream_close(struct stream *s)
{
	s->ops->close(s);
}

#endif
