/*
 * One handshake, frame, extended dict and peer id from the same bytes. What a
 * decoder took is what it needed: one byte less and it asks for more.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/peerwire.h"

#include <stdlib.h>

/* The first n bytes as a frame: the outcome and how much it took. */
static enum wire_status frame(const uint8_t *data, size_t n, size_t most,
    struct pw_msg *m, size_t *took)
{
	uint8_t *p = fuzz_copy(data, n);
	struct cur c = cur_of(span_of(p, n));
	struct wire_error err = { NULL, 0 };
	enum wire_status st = pw_next(&c, most, m, &err);

	demand(!c.bad && c.p >= p && c.p <= p + n);
	*took = (size_t)(c.p - p);
	demand(st != WIRE_MORE || *took == 0);
	demand(st != WIRE_BAD || (err.reason && err.offset <= *took));
	if (st == WIRE_OK && m->payload.n)
		demand(m->payload.p >= p &&
		    m->payload.p + m->payload.n == c.p);
	if (st == WIRE_OK)
		demand(m->id == PW_PIECE ? *took == 13 &&
		    m->bytes == m->length - 9 && m->bytes <= PW_BLOCK_MAX :
		    *took == 4 + (size_t)m->length && *took <= most);
	if (st == WIRE_BAD && m->lost)
		demand(*took <= 5);
	free(p);
	return st;
}

static void try_frame(const uint8_t *data, size_t n, size_t most)
{
	struct pw_msg m, again;
	size_t took, retook;
	enum wire_status st = frame(data, n, most, &m, &took);

	if (st == WIRE_MORE)
		return;
	demand(took >= 4);
	demand(frame(data, took, most, &again, &retook) == st);
	demand(retook == took && again.id == m.id && again.lost == m.lost);
	demand(frame(data, took - 1, most, &again, &retook) == WIRE_MORE);
}

static void try_handshake(const uint8_t *data, size_t n)
{
	uint8_t *p = fuzz_copy(data, n), out[PW_HANDSHAKE];
	struct cur c = cur_of(span_of(p, n));
	struct wire_error err = { NULL, 0 };
	struct pw_handshake h;

	switch (pw_handshake_next(&c, &h, &err)) {
	case WIRE_OK:
		pw_handshake_put(out, &h);
		demand(c.p == p + PW_HANDSHAKE && memcmp(out, p,
		    PW_HANDSHAKE) == 0);
		break;
	case WIRE_MORE:
		demand(c.p == p && n < PW_HANDSHAKE);
		break;
	case WIRE_BAD:
		demand(c.p == p && err.offset < n && err.offset < 20);
		c = cur_of(span_of(p, err.offset));
		demand(pw_handshake_next(&c, &h, &err) == WIRE_MORE);
		break;
	}
	free(p);
}

static void try_extended(const uint8_t *data, size_t n)
{
	uint8_t *p = fuzz_copy(data, n);
	struct wire_error err = { NULL, 0 };
	struct pw_extended x;

	if (pw_extended_read(span_of(p, n), &x, &err) == WIRE_OK) {
		demand(x.p >= -1 && x.reqq >= -1 && x.metadata_size >= -1);
		demand(x.yourip.n == 0 || x.yourip.n == 4 ||
		    x.yourip.n == 16);
		demand(!x.m.n || (x.m.p > p && x.m.p + x.m.n < p + n));
		demand(!x.v.n || (x.v.p > p && x.v.p + x.v.n < p + n));
	} else {
		demand(err.reason && err.offset <= n);
	}
	free(p);
}

static void try_client(const uint8_t *data)
{
	uint8_t *id = fuzz_copy(data, 20);
	char buf[PW_CLIENT_MAX];

	demand(pw_client(id, buf) == buf && buf[0] != '\0');
	demand(memchr(buf, 0, sizeof(buf)) != NULL);
	for (size_t i = 0; buf[i]; i++)
		demand(buf[i] >= ' ' && buf[i] <= '~');
	free(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	try_frame(data, n, 32768);
	try_frame(data, n, 1 << 20);
	try_frame(data, n, n);
	try_handshake(data, n);
	try_extended(data, n);
	if (n >= 20)
		try_client(data);
	return 0;
}
