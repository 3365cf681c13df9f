/*
 * One end of a uTP conversation (BEP 29): datagrams and the time in, datagrams
 * and bytes in order out. No socket, clock, randomness or heap: the caller
 * owns the UDP socket, shared with others, and lends every buffer.
 *
 * For each datagram from (ip, port):
 *
 *	if (!utp_packet_plausible(datagram, &p))	not uTP: DHT, tracker
 *	n = utp_packet_ids(&p, ids);			look (ip, port, id) up
 *	found and utp_takes(u, &p):	utp_input(u, &p, now, &err)
 *	none, and p.type is SYN:	utp_accept(new, ...) if wanted
 *	none:				utp_packet_refuse
 *
 * and then, once for all datagrams that were waiting (what came together is
 * acknowledged together):
 *
 *	while ((s = utp_read(u)).n)	take bytes, utp_consume(u, n)
 *	while ((n = utp_output(u, out, room, now)))	send
 *	a timer for utp_deadline(u), and then utp_timeout(u, now) and output
 *
 * Each new conversation needs a fresh pair of random numbers. If connecting
 * fails, try again with a new id: libtorrent does not answer a SYN twice.
 */
#ifndef WIRE_UTP_H
#define WIRE_UTP_H

#include "utpin.h"
#include "utpout.h"
#include "utppacket.h"

#define UTP_STATES(X) \
	X(CONNECTING, "connecting") /* or accepted, unproven */ \
	X(CONNECTED,  "connected") \
	X(CLOSING,    "closing")    /* our FIN is not acknowledged, or theirs \
				     * has not come */ \
	X(CLOSED,     "closed")     /* ask output once more, then forget it */

/* Why it is closed. */
#define UTP_ENDS(X) \
	X(NONE,      "open") \
	X(FIN,       "fin")         /* both said that they were done */ \
	X(REFUSED,   "refused")     /* a RESET answered our SYN */ \
	X(RESET,     "reset")       /* by the far end */ \
	X(TIMEOUT,   "timed out")   /* no acknowledgement, or no proof */ \
	X(MALFORMED, "malformed")   /* acknowledged what was never sent */ \
	X(LOCAL,     "local")       /* utp_reset, or no FIN came to ours */

enum utp_state {
#define X(id, text) UTP_##id,
	UTP_STATES(X)
#undef X
};

enum utp_end {
#define X(id, text) UTP_END_##id,
	UTP_ENDS(X)
#undef X
};

struct utp_conf {
	uint32_t window;	/* bytes, advertised at most */
	uint16_t mtu;		/* bytes of the largest datagram we send: one
				 * that no path fragments */
	uint8_t syns, tries;	/* transmissions without an answer before the
				 * end: of a SYN, of anything else */
	uint64_t prove_us;	/* an accepted conversation's time to prove
				 * itself */
	uint64_t linger_us;	/* of CLOSING without progress */
	uint64_t keepalive_us;	/* a packet at least so often; 0: never */
};

#define UTP_CONF_DEFAULT ((struct utp_conf){ .window = 65536, .mtu = 1400, \
	.syns = 3, .tries = 5, .prove_us = 10000000, .linger_us = 5000000, \
	.keepalive_us = 29000000 })

#define UTP_MTU_MIN 256u
#define UTP_WINDOW_MAX (1u << 20)

/* Lent for the conversation's life. */
struct utp_memory {
	struct utp_block *blocks;	/* UTP_BLOCKS(conf.window) of them */
	uint16_t nblocks;
	uint8_t *ring;			/* bytes written and not acknowledged */
	size_t ring_n;
};

struct utp_count {
	uint64_t packets_in, packets_out;
	uint64_t bytes_in, bytes_out;	/* payload: read in order; sent, each
					 * byte once */
	uint64_t resent, duplicate, outside, malformed;
};

struct utp {
	struct utp_conf conf;
	enum utp_state state;
	enum utp_end end;
	uint16_t recv_id, send_id;
	uint16_t syn;		/* the SYN's seq, ours or theirs */
	bool accepted;		/* they began */
	bool proven;
	bool close_wanted, ack_due, reset_due, probe;
	bool ack_again;		/* after a FIN: see say_state */
	uint8_t strikes, timeouts;
	uint32_t reply_us;	/* what we say of their last packet's delay */
	uint32_t their_window, told_window;
	int32_t close_reason;	/* theirs; -1: none */
	uint64_t rto_at, until_us, sent_at;	/* 0: unset; until_us: proof
						 * or linger */
	struct utpin in;
	struct utpout out;
	struct utp_count count;
};

/*
 * Dials: recv_id and seq are random. A window or mtu outside of what is sane,
 * or more than the memory holds, is cut to it.
 */
void utp_connect(struct utp *u, const struct utp_conf *conf,
    const struct utp_memory *m, uint16_t recv_id, uint16_t seq,
    uint64_t now_us);

/*
 * Answers a SYN; seq is random. Until the far end acknowledged seq (see
 * utp_proven) the SYN's source address may be forged: the state is CONNECTING,
 * nothing but the answer is sent (once a SYN), and no byte is believed.
 */
void utp_accept(struct utp *u, const struct utp_conf *conf,
    const struct utp_memory *m, const struct utp_packet *syn, uint16_t seq,
    uint64_t now_us);

/* Whether a packet from the right address and port belongs to it. */
bool utp_takes(const struct utp *u, const struct utp_packet *p);

enum utp_result {
	UTP_TAKEN,
	UTP_IGNORED,	/* sound, and of no use: late, repeated, outside */
	UTP_MALFORMED	/* *err: it acknowledges what was never sent. Three
			 * of these end the conversation. */
};

/* A packet that utp_takes. */
enum utp_result utp_input(struct utp *u, const struct utp_packet *p,
    uint64_t now_us, struct wire_error *err);

/* Bytes in order (see utpin_read); utp_eof: the far end is done and all of it
 * was read. */
struct span utp_read(const struct utp *u);
void utp_consume(struct utp *u, size_t n);
bool utp_eof(const struct utp *u);

/* How many bytes were kept for sending; 0 once closing. May be called before
 * it is connected. */
size_t utp_write(struct utp *u, struct span bytes);
size_t utp_unsent(const struct utp *u);	/* written, not acknowledged */

/* The next datagram to send now, or 0. room is at least conf.mtu. */
size_t utp_output(struct utp *u, uint8_t *out, size_t room, uint64_t now_us);

/* When utp_timeout is due, or UINT64_MAX; being early does no harm. */
uint64_t utp_deadline(const struct utp *u);
void utp_timeout(struct utp *u, uint64_t now_us);

/* Orderly: what was written goes first, then FIN. What still arrives is
 * acknowledged and dropped; what is in order now may still be read. */
void utp_close(struct utp *u, uint64_t now_us);

/* At once, and says so to the far end (but to an unproven one). */
void utp_reset(struct utp *u);

/* Whether the far end showed that it receives what we send to its address. */
static inline bool utp_proven(const struct utp *u)
{
	return u->proven;
}

/* "refused", "timeout": as records say it. */
const char *utp_end_name(enum utp_end e);

#endif
