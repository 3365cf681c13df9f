/*
 * The synthetic swarm's tracker, by HTTP (BEP 3, 23) and UDP (BEP 15): bytes
 * in, bytes out. It names every peer that is now in the torrent asked about, as
 * many as one reply can hold.
 */
#ifndef BENCH_MANY_TRACKER_H
#define BENCH_MANY_TRACKER_H

#include "tests/bench/many_content.h"

#define MANY_DATAGRAM 65507u	/* the most that UDP over IPv4 carries */
#define MANY_MAGIC 0x41727101980ull

static inline uint32_t many_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static inline void many_put32(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline long many_find(const struct many *m, const uint8_t hash[20])
{
	for (unsigned t = 0; t < m->torrents; t++)
		if (memcmp(m->hash[t], hash, 20) == 0)
			return t;
	return -1;
}

/* The peers of torrent t, six bytes each, those that fit in room; port by
 * class. Bytes written. */
static inline size_t many_list(const struct many *m, const int *port, long t,
    uint8_t *out, size_t room)
{
	uint64_t first = t < 0 ? m->peers :
	    ((uint64_t)t * m->peers + m->torrents - 1) / m->torrents;
	size_t n = 0;

	for (uint64_t at = first + m->from; at < first + m->to &&
	    at < m->peers && n + 6 <= room; at++) {
		unsigned i = (unsigned)at;
		int at_port = port[many_class(m, i)];

		if (many_torrent(m, i) != (unsigned)t)
			break;
		many_put32(out + n, many_address(i));
		out[n + 4] = (uint8_t)(at_port >> 8);
		out[n + 5] = (uint8_t)at_port;
		n += 6;
	}
	return n;
}

/* --- HTTP ---------------------------------------------------------------------- */

static inline int many_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' &&
	    (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The torrent that the request asks about, or -1. */
static inline long many_asked(const struct many *m, const char *text)
{
	const char *p = strstr(text, "info_hash=");
	uint8_t h[20];

	if (!p)
		return -1;
	p += 10;
	for (int i = 0; i < 20; i++) {
		if (*p == '%' && many_hex(p[1]) >= 0 && many_hex(p[2]) >= 0) {
			h[i] = (uint8_t)(many_hex(p[1]) << 4 | many_hex(p[2]));
			p += 3;
		} else if (*p > ' ' && *p != '&') {
			h[i] = (uint8_t)*p++;
		} else {
			return -1;
		}
	}
	return many_find(m, h);
}

/* The answer about torrent t (-1: nobody is in it), its length in *n; the
 * caller's to free. NULL: no memory. */
static inline uint8_t *many_http(const struct many *m, const int *port, long t,
    size_t *n)
{
	size_t room = 6 * (size_t)m->peers, peers, head;
	uint8_t *text = malloc(room + 256), *list = malloc(room + 1);

	if (text && list) {
		peers = many_list(m, port, t, list, room);
		head = (size_t)snprintf((char *)text, 256,
		    "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
		    "Connection: close\r\n\r\nd8:intervali%de5:peers%zu:",
		    (int)m->interval_s, peers);
		memcpy(text + head, list, peers);
		text[head + peers] = 'e';
		*n = head + peers + 1;
	}
	free(list);
	return text;
}

/* The answer to a scrape about torrent t (BEP 48). */
static inline uint8_t *many_scrape(const struct many *m, long t, size_t *n)
{
	static const char head[] = "HTTP/1.0 200 OK\r\n"
	    "Connection: close\r\n\r\nd5:filesd20:";
	uint8_t *text = malloc(256);
	unsigned count = 0;

	for (unsigned i = 0; i < m->peers; i++)
		count += t >= 0 && many_torrent(m, i) == (unsigned)t;
	if (!text)
		return NULL;
	*n = sizeof(head) - 1;
	memcpy(text, head, *n);
	if (t >= 0)
		memcpy(text + *n, m->hash[t], 20);
	else
		memset(text + *n, 0, 20);
	*n += 20;
	*n += (size_t)snprintf((char *)text + *n, 128, "d8:completei%ue"
	    "10:downloadedi0e10:incompletei0eeee", count);
	return text;
}

/* --- UDP ----------------------------------------------------------------------- */

/* What the one who asks from this port must say; no other knows it. */
static inline uint64_t many_connection(uint16_t from)
{
	static uint32_t secret;

	if (!secret)
		secret = many_mix((uint32_t)(uintptr_t)&secret | 1) | 1;
	return (uint64_t)many_mix(secret ^ from) << 32 | many_mix(secret + from);
}

static inline size_t many_udp_no(uint8_t *out, const char *why)
{
	many_put32(out, 3);
	memcpy(out + 8, why, strlen(why));
	return 8 + strlen(why);
}

/* The answer to n bytes from that port, into MANY_DATAGRAM bytes; its length,
 * 0: none is due. *asked: the torrent of an announce, else -1. */
static inline size_t many_udp(const struct many *m, const int *port,
    uint16_t from, const uint8_t *in, size_t n, uint8_t *out, long *asked)
{
	uint64_t id = many_connection(from), said;
	uint32_t action;
	size_t peers = 0;

	*asked = -1;
	if (n < 16)
		return 0;
	said = (uint64_t)many_be32(in) << 32 | many_be32(in + 4);
	action = many_be32(in + 8);
	memcpy(out + 4, in + 12, 4);
	if (action == 0 && said == MANY_MAGIC) {
		many_put32(out, 0);
		many_put32(out + 8, id >> 32);
		many_put32(out + 12, (uint32_t)id);
		return 16;
	}
	if (said != id)
		return many_udp_no(out, "connection id mismatch");
	if (action != 1 || n < 98)
		return many_udp_no(out, "announces only");
	*asked = many_find(m, in + 16);
	if (*asked < 0)
		return many_udp_no(out, "no such torrent");
	if (many_be32(in + 80) != 3)	/* who stops wants nobody */
		peers = many_list(m, port, *asked, out + 20,
		    MANY_DATAGRAM - 20);
	many_put32(out, 1);
	many_put32(out + 8, m->interval_s);
	many_put32(out + 12, 0);
	many_put32(out + 16, peers / 6);
	return 20 + peers;
}

#endif
