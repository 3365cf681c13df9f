/*
 * Packets in, ordered bytes out: fragments put together, TCP and uTP
 * conversations followed in both directions at once, whatever was lost,
 * repeated, reordered or overlapping. Knows nothing of what is said in them.
 *
 * Nothing is guessed. What is missing is waited for while it may still come,
 * and is a gap once that is settled: the receiver acknowledged it in two
 * packets one after the other, and three more packets of the flow and
 * FLOW_WAIT_NS went by; the capture cut it off; the bound on memory is reached;
 * or the flow ends. Of bytes that came twice the first copy counts.
 *
 * Bytes of the two directions are told in the order of capture, except that
 * bytes which acknowledge others are told after those, if they come within that
 * same wait. Memory is bounded by FLOW_MEMORY for any input.
 */
#ifndef CAPTURE_FLOW_H
#define CAPTURE_FLOW_H

#include "capture/source.h"
#include "wire/endpoint.h"

#define FLOW_MEMORY (64u << 20)
#define FLOW_WAIT_NS 10000000LL
#define FLOW_IDLE_NS (900LL * 1000000000)	/* then a flow has ended */

enum flow_transport {
	FLOW_TCP,
	FLOW_UTP
};

enum flow_end {
	FLOW_FIN,		/* both sides said that they end */
	FLOW_RESET,		/* .by sent it */
	FLOW_REUSED,		/* its addresses and ports began a new one */
	FLOW_IDLE,		/* nothing for FLOW_IDLE_NS of packet time */
	FLOW_DISPLACED,		/* too many at once: the one idle for longest */
	FLOW_CAPTURE_END	/* the capture ended before it did */
};
const char *flow_end_text(enum flow_end end);
const char *flow_transport_text(enum flow_transport t);

/* Where in a capture. */
struct flow_at {
	int64_t utc_ns;
	uint64_t frame;
};

/*
 * Told at the first byte (or gap) of either side: what opens and says nothing
 * is no conversation. Sides: 0 is end[0]. If opened, that is the end that
 * opened it; else the capture began in mid-stream (no SYN was seen), and
 * end[0] is merely who was seen first.
 */
struct flow_open {
	enum flow_transport transport;
	struct endpoint end[2];
	bool opened;
	struct flow_at at;	/* of its first packet */
	struct flow_at answered; /* of the other end's first; frame 0: none */
};

struct flow_sink {
	void *ctx;
	/* The caller's own of the flow, handed back below. FLOW_UNWANTED:
	 * nothing more is told of it, not even its end. */
	void *(*open)(void *ctx, const struct flow_open *o);
	/* In order, without holes but those told. Lent for the call. False:
	 * the flow is unwanted from here on; closed is not told. */
	bool (*bytes)(void *ctx, void *flow, unsigned side, struct span s,
	    struct flow_at at);
	/* Missing between what was told and what is told next of that side. n
	 * 0: the size is not known (uTP: packets counts them). Where nothing is
	 * told next and no FIN was seen, the last unit that was acknowledged
	 * may have been the FIN and is not counted. */
	void (*gap)(void *ctx, void *flow, unsigned side, uint64_t n,
	    uint32_t packets, struct flow_at at);
	/* Bytes [offset, offset + n) of the side came again and differ from the
	 * first copy, which is the one that was told. Offsets count the bytes
	 * of gaps too (uTP: about where the side stands). at: of the later
	 * copy. Repeats are compared with what is held, and with the last
	 * RECENT_ENTRIES segments of this file if again is there. May be
	 * NULL. */
	void (*differs)(void *ctx, void *flow, unsigned side, uint64_t offset,
	    uint64_t n, struct flow_at at);
	/* by: side, for FLOW_RESET; for FLOW_FIN who was first. at: of the
	 * last packet. The caller frees its own. */
	void (*closed)(void *ctx, void *flow, enum flow_end end, unsigned by,
	    struct flow_at at);
	/* A UDP payload that is no part of a uTP flow. missing: bytes that the
	 * capture cut off. Datagrams of the shape of uTP (no tracker's, DHT's
	 * or LSD's is) that never prove to be are not told. May be NULL. */
	void (*datagram)(void *ctx, const struct endpoint *from,
	    const struct endpoint *to, struct span s, uint32_t missing,
	    struct flow_at at);
	/* Something was wrong with a packet: a constant phrase. May be NULL. */
	void (*odd)(void *ctx, const char *reason, struct flow_at at);
	/* Bytes of the file being read, anew (source_again); how many. May be
	 * NULL: then repeats of what was told already are not compared. */
	size_t (*again)(void *ctx, uint64_t offset, void *buf, size_t n);
	/* Whoever knows by other means how far a flow went wants all of it:
	 * silence does not end it (a clock that was set, a host that slept),
	 * while less than half of those that can be followed are, nor does a
	 * reset that was not heeded, or uTP's SYN on one that lives; and bytes
	 * beyond a FIN differ from it. */
	bool patient;
};
extern char flow_unwanted;
#define FLOW_UNWANTED ((void *)&flow_unwanted)

/* What went by, for the record of an import. */
struct flow_counts {
	uint64_t packets, tcp, udp, other, malformed;
	uint64_t cut;		/* the capture ends within what was needed */
	uint64_t fragments, fragments_lost;	/* lost: of packets that never
						 * became whole */
	uint64_t flows_tcp, flows_utp;	/* told */
	uint64_t half_open;	/* began and never said a byte */
	uint64_t repeated;	/* segments that brought nothing new */
	uint64_t unlike;	/* of these and others, differing ones */
	uint64_t outside;	/* segments that fit no flow's numbers */
	uint64_t gaps, gap_bytes;
};

struct flows;

/* The sink is copied. NULL on out of memory; later it dies (log_die). */
struct flows *flows_new(const struct flow_sink *sink);

/* The next packet. Calls the sink; the packet's bytes are not kept. */
void flows_packet(struct flows *f, const struct source_packet *p);

/* The next packets are of another file: offsets for again no longer hold. */
void flows_file(struct flows *f);

/* The capture has ended: all flows are closed. */
void flows_finish(struct flows *f);

struct flow_counts flows_counts(const struct flows *f);
/* Heap bytes now, and at most so far. */
size_t flows_memory(const struct flows *f);
size_t flows_memory_most(const struct flows *f);

/* Without flows_finish nothing more is told. NULL is allowed. */
void flows_free(struct flows *f);

#endif
