/*
 * How much may be under way, and how long to wait for word of it: LEDBAT
 * (RFC 6817) over uTP's one-way delays, and TCP's round-trip estimator
 * (RFC 6298). Arithmetic only.
 */
#ifndef WIRE_LEDBAT_H
#define WIRE_LEDBAT_H

#include <stdbool.h>
#include <stdint.h>

#define LEDBAT_TARGET_US 100000	/* queueing delay we allow ourselves */
#define LEDBAT_BASE 10		/* minutes of lowest delays remembered */
#define LEDBAT_RECENT 4		/* newest samples; the lowest counts */
#define LEDBAT_CWND_MAX (1u << 20)

struct ledbat {
	uint32_t mss, cwnd, ssthresh;	/* bytes */
	bool slow_start;
	/* Delays are differences of two hosts' clocks: only their differences
	 * mean anything, and they wrap. */
	uint32_t base_us[LEDBAT_BASE], recent_us[LEDBAT_RECENT];
	unsigned bases, recents, at;
	uint64_t minute_us;	/* when base_us[0] was begun */
	uint32_t srtt_us, var_us;	/* 0: no sample yet */
};

void ledbat_init(struct ledbat *l, uint32_t mss);

/* acked bytes arrived while in_flight (these included) were under way.
 * delay_us is the far end's measurement as sent: 0 and INT32_MAX are none. */
void ledbat_ack(struct ledbat *l, uint32_t acked, uint32_t in_flight,
    uint32_t delay_us, uint64_t now_us);

/* A packet was lost (call once a round trip), or all were. */
void ledbat_loss(struct ledbat *l);
void ledbat_timeout(struct ledbat *l);

/* A round trip took so long: of a packet that was sent once only (Karn). */
void ledbat_rtt(struct ledbat *l, uint64_t sample_us);

/* BEP 29: 1 s until known, never below 0.5 s. */
uint64_t ledbat_rto_us(const struct ledbat *l);

#endif
