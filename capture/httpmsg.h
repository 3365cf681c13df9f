/*
 * HTTP/1.x as it stands on the wire (RFC 9112): the head of a request, the head
 * of a response, and the response's body without its framing. Pure.
 */
#ifndef CAPTURE_HTTPMSG_H
#define CAPTURE_HTTPMSG_H

#include "wire/cur.h"

#define HTTP_HEAD_MAX 16384u

struct http_request {
	struct span head;	/* line and headers, to the empty line */
	struct span method, target;
	struct span host;	/* .p NULL: none */
};

enum http_coding {
	HTTP_IDENTITY,
	HTTP_GZIP,
	HTTP_DEFLATE,
	HTTP_UNKNOWN
};

struct http_response {
	struct span head;
	int status;
	int64_t length;		/* -1: not said */
	bool chunked;
	enum http_coding coding;
};

/* The head of one message; *in moves past it. BAD: it is none, or longer than
 * HTTP_HEAD_MAX. Lines may end in a bare LF. */
enum wire_status http_request_next(struct cur *in, struct http_request *r,
    struct wire_error *err);
enum wire_status http_response_next(struct cur *in, struct http_response *r,
    struct wire_error *err);

enum http_body_state {
	HTTP_BODY_SIZE,		/* a chunk's length, or its trailer's lines */
	HTTP_BODY_DATA,
	HTTP_BODY_GAP,		/* the line's end behind a chunk */
	HTTP_BODY_TRAILER,
	HTTP_BODY_DONE,
	HTTP_BODY_BAD
};
struct http_body {
	enum http_body_state state;
	bool chunked, to_close;
	uint64_t left;		/* of the chunk, or of the body */
	unsigned line;		/* bytes of the line so far */
	bool digits, ext;
};

/* What follows that head. */
void http_body_init(struct http_body *b, const struct http_response *r);
/* The next bytes of the body, perhaps none, for want of more or at its end
 * (.state). *in moves past them and past framing. */
struct span http_body_next(struct http_body *b, struct cur *in);
/* The other end closed: whether the body is whole. */
bool http_body_close(struct http_body *b);

/* The value of a query's parameter, percent-decoded into out (at most room
 * bytes): its length, -1 if there is none or it does not fit. nth counts those
 * of that name. */
int http_param(struct span target, const char *name, unsigned nth,
    uint8_t *out, size_t room);

#endif
