/*
 * For tests of captures: packets, IP upwards, made from their parts.
 */
#ifndef TESTS_PACKET_KIT_H
#define TESTS_PACKET_KIT_H

#include <stdlib.h>

#include "capture/packet.h"

#define KIT_MAX 70000u

struct bytes {
	uint8_t b[KIT_MAX];
	size_t n;
};

static inline void add(struct bytes *o, const void *p, size_t n)
{
	if (n > KIT_MAX - o->n)
		abort();
	if (n)
		memcpy(o->b + o->n, p, n);
	o->n += n;
}

static inline void add8(struct bytes *o, unsigned v)
{
	uint8_t b = (uint8_t)v;

	add(o, &b, 1);
}

static inline void add16(struct bytes *o, unsigned v)
{
	uint8_t b[2];

	put_u16(b, (uint16_t)v);
	add(o, b, 2);
}

static inline void add32(struct bytes *o, uint32_t v)
{
	uint8_t b[4];

	put_u32(b, v);
	add(o, b, 4);
}

static inline void add_address(struct bytes *o, unsigned family, unsigned host)
{
	static const uint8_t v6[15] = { 0x20, 0x01, 0x0d, 0xb8 };

	if (family == 4) {
		add32(o, 0x0a000000u | host);
	} else {
		add(o, v6, sizeof(v6));
		add8(o, host);
	}
}

/* The IP header of n bytes above it; part: IPv4's flags and offset. */
static inline void add_ip(struct bytes *o, unsigned family, unsigned from,
    unsigned to, unsigned protocol, size_t n, unsigned id, unsigned part)
{
	if (family == 4) {
		add16(o, 0x4500);
		add16(o, (unsigned)n + 20);
		add16(o, id);
		add16(o, part);
		add8(o, 64);
		add8(o, protocol);
		add16(o, 0);
	} else {
		add32(o, 0x60000000u);
		add16(o, (unsigned)n);
		add8(o, protocol);
		add8(o, 64);
	}
	add_address(o, family, from);
	add_address(o, family, to);
}

static inline void add_tcp(struct bytes *o, unsigned from, unsigned to,
    uint32_t seq, uint32_t ack, unsigned flags, struct span data)
{
	add16(o, from);
	add16(o, to);
	add32(o, seq);
	add32(o, ack);
	add16(o, 0x5000 | flags);
	add16(o, 65535);
	add32(o, 0);
	add(o, data.p, data.n);
}

static inline void add_udp(struct bytes *o, unsigned from, unsigned to,
    struct span data)
{
	add16(o, from);
	add16(o, to);
	add16(o, (unsigned)data.n + 8);
	add16(o, 0);
	add(o, data.p, data.n);
}

/* A raw IP packet of one TCP segment or UDP datagram. */
static inline struct bytes tcp_packet(unsigned family, unsigned from,
    unsigned from_port, unsigned to, unsigned to_port, uint32_t seq,
    uint32_t ack, unsigned flags, struct span data)
{
	struct bytes o = { .n = 0 };

	add_ip(&o, family, from, to, 6, data.n + 20, 0, 0);
	add_tcp(&o, from_port, to_port, seq, ack, flags, data);
	return o;
}

static inline struct bytes udp_packet(unsigned family, unsigned from,
    unsigned from_port, unsigned to, unsigned to_port, struct span data)
{
	struct bytes o = { .n = 0 };

	add_ip(&o, family, from, to, 17, data.n + 8, 0, 0);
	add_udp(&o, from_port, to_port, data);
	return o;
}

#endif
