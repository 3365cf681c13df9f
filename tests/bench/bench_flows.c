/*
 * From savefile to ordered bytes, nothing made of them: processor time and
 * memory. Beside it, of the same file in the same run, the SHA-256 of its
 * bytes. Captures are made here: one conversation of 1,448-byte segments;
 * 100,000 short ones; a million SYNs that nobody answers; one-byte segments
 * behind a hole.
 */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "capture/flow.h"
#include "schema/now.h"
#include "tests/packet_kit.h"

#define LONG_SEGMENTS 700000u	/* 1.0 GB of payload */
#define SHORTS 100000u

struct made {
	FILE *f;
	int64_t utc_ns;
	uint64_t packets;
};

static void little(uint8_t *p, uint32_t v)
{
	put_u32(p, __builtin_bswap32(v));
}

static void put(struct made *m, const void *p, size_t n)
{
	if (fwrite(p, 1, n, m->f) != n)
		abort();
}

static void begin(struct made *m)
{
	uint8_t h[24] = { 0 };

	m->f = fdopen(memfd_create("bench", 0), "w+");
	if (m->f == NULL)
		abort();
	m->utc_ns = 1700000000000000000;
	m->packets = 0;
	little(h, 0xa1b23c4d);
	little(h + 4, 2 | 4u << 16);
	little(h + 16, 262144);
	little(h + 20, LINK_RAW);
	put(m, h, sizeof(h));
}

static void packet(struct made *m, unsigned host, unsigned port, bool back,
    uint32_t seq, uint32_t ack, unsigned flags, struct span data)
{
	static struct bytes o;
	uint8_t h[16];

	o.n = 0;
	add_ip(&o, 4, back ? 2 : host, back ? host : 2, 6, 20 + data.n, 0, 0);
	add_tcp(&o, back ? 6881 : port, back ? port : 6881, seq, ack, flags,
	    data);
	m->utc_ns += 5000;
	m->packets++;
	little(h, (uint32_t)(m->utc_ns / 1000000000));
	little(h + 4, (uint32_t)(m->utc_ns % 1000000000));
	little(h + 8, (uint32_t)o.n);
	little(h + 12, (uint32_t)o.n);
	put(m, h, sizeof(h));
	put(m, o.b, o.n);
}

static void conversation(struct made *m, unsigned host, unsigned port,
    unsigned segments)
{
	static uint8_t data[1448];
	uint32_t at = 1;

	packet(m, host, port, false, 0, 0, PACKET_SYN, span_str(""));
	packet(m, host, port, true, 0, 1, PACKET_SYN | PACKET_ACK,
	    span_str(""));
	packet(m, host, port, false, 1, 1, PACKET_ACK, span_of(data, 68));
	for (unsigned i = 0; i < segments; i++) {
		data[i % sizeof(data)]++;
		packet(m, host, port, true, at, 69, PACKET_ACK,
		    span_of(data, sizeof(data)));
		at += sizeof(data);
		if (i & 1)
			packet(m, host, port, false, 69, at, PACKET_ACK,
			    span_str(""));
	}
	packet(m, host, port, true, at, 69, PACKET_FIN | PACKET_ACK,
	    span_str(""));
	packet(m, host, port, false, 69, at + 1, PACKET_FIN | PACKET_ACK,
	    span_str(""));
	packet(m, host, port, true, at + 1, 70, PACKET_ACK, span_str(""));
}

/* --- what is told is counted, no more --- */

struct sum {
	uint64_t flows, bytes, gaps;
	struct source *source;
};

static void *on_open(void *ctx, const struct flow_open *o)
{
	struct sum *s = ctx;

	(void)o;
	s->flows++;
	return s;
}

static bool on_bytes(void *ctx, void *flow, unsigned side, struct span b,
    struct flow_at at)
{
	struct sum *s = ctx;

	(void)flow;
	(void)side;
	(void)at;
	s->bytes += b.n;
	return true;
}

static void on_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct sum *s = ctx;

	(void)flow;
	(void)side;
	(void)packets;
	(void)at;
	s->gaps += n;
}

static void on_closed(void *ctx, void *flow, enum flow_end end, unsigned by,
    struct flow_at at)
{
	(void)ctx;
	(void)flow;
	(void)end;
	(void)by;
	(void)at;
}

static size_t on_again(void *ctx, uint64_t offset, void *buf, size_t n)
{
	return source_again(((struct sum *)ctx)->source, offset, buf, n);
}

static double hash_s(int fd)
{
	static uint8_t buf[1 << 20], sum[32];
	int64_t from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	SHA256_CTX sha;
	ssize_t n;

	SHA256_Init(&sha);
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		SHA256_Update(&sha, buf, (size_t)n);
	SHA256_Final(sum, &sha);
	return (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) / 1e9;
}

static void measure(const char *name, struct made *m)
{
	struct sum sum = { 0 };
	struct flow_sink sink = { .ctx = &sum, .open = on_open,
		.bytes = on_bytes, .gap = on_gap, .closed = on_closed,
		.again = on_again };
	struct flows *flows = flows_new(&sink);
	struct source_item item = { .kind = SOURCE_PACKET };
	double hash;
	int64_t from;
	long size;
	int fd;

	if (flows == NULL || fflush(m->f) != 0)
		abort();
	size = ftell(m->f);
	fd = dup(fileno(m->f));
	hash = hash_s(fd);
	lseek(fd, 0, SEEK_SET);
	from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	sum.source = source_of(fd, name, NULL);
	while (sum.source && item.kind != SOURCE_END) {
		if (source_next(sum.source, &item) < 0)
			abort();
		if (item.kind == SOURCE_PACKET)
			flows_packet(flows, &item.packet);
	}
	flows_finish(flows);
	double s = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) / 1e9;

	printf("%s: %.0f MB, %llu packets: %.3f s (%.0f ns a packet); its "
	    "SHA-256 %.3f s; %llu flows, %llu bytes, %llu missing; flows hold "
	    "%.1f MiB at most\n", name, (double)size / 1e6,
	    (unsigned long long)m->packets, s, s * 1e9 / (double)m->packets,
	    hash, (unsigned long long)sum.flows,
	    (unsigned long long)sum.bytes, (unsigned long long)sum.gaps,
	    (double)flows_memory_most(flows) / (1 << 20));
	source_close(sum.source);
	flows_free(flows);
	fclose(m->f);
}

int main(void)
{
	struct rusage use;
	struct made m;

	begin(&m);
	for (unsigned i = 0; i < SHORTS; i++)
		conversation(&m, 3 + i / 50000, 1000 + i % 50000, 4);
	measure("100,000 short conversations", &m);
	begin(&m);
	for (unsigned i = 0; i < 1000000; i++)
		packet(&m, 3 + i / 50000, 1000 + i % 50000, false, i * 7919u,
		    0, PACKET_SYN, span_str(""));
	measure("a million half-open flows", &m);
	begin(&m);
	packet(&m, 1, 1, false, 0, 0, PACKET_SYN, span_str(""));
	for (uint32_t i = 0; i < 1000000; i++)
		packet(&m, 1, 1, false, 3 + 2 * i, 1, PACKET_ACK,
		    span_str("x"));
	measure("a million one-byte segments, each behind a hole", &m);
	begin(&m);
	conversation(&m, 1, 1, LONG_SEGMENTS);
	measure("one conversation", &m);
	getrusage(RUSAGE_SELF, &use);
	printf("resident at most, the captures aside: %ld MiB\n",
	    use.ru_maxrss / 1024);
	return 0;
}
