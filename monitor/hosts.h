/*
 * What is remembered of an address, whatever its ports and swarms: when it may
 * be dialled again, which ports were knocked on today, how often it called us.
 * Pure like the address book, whose part it is.
 */
#ifndef MONITOR_HOSTS_H
#define MONITOR_HOSTS_H

#include "wire/endpoint.h"

#define HOSTS_NONE UINT32_MAX
#define HOSTS_PORTS_A_DAY 8
#define HOSTS_NETS 65536u	/* a power of two */

struct host {
	struct endpoint at;	/* port 0 */
	int64_t ready_ns;	/* not dialled before */
	int64_t day_ns;		/* when the ports began to count */
	int64_t in_ns;		/* when incoming began to count */
	int64_t forged_ns;	/* when one that may be forged was admitted */
	int64_t spoke_ns;	/* when it last spoke BitTorrent to us */
	int64_t turn_ns;	/* the last that was given out */
	uint32_t refs;		/* candidates and open connections */
	uint32_t chain;		/* same bucket; free list */
	uint32_t older, newer;	/* those without refs, by age */
	uint16_t ports[HOSTS_PORTS_A_DAY];
	uint8_t port_count;
	uint8_t in_open, in_count;
};

/* Networks of IPv6 (/64): whoever has an address there can have 2^64 of them.
 * Those whose keyed hashes meet share one, and wait for each other. */
struct hosts_net {
	int64_t ready_ns, turn_ns;	/* of who never spoke to us */
	uint16_t in_open;
};

struct hosts {
	void *(*memory)(void *old, size_t bytes);
	uint8_t key[16];
	struct host *host;
	struct hosts_net *net;	/* HOSTS_NETS */
	uint32_t *bucket;	/* a power of two */
	uint32_t most, count, room, free, buckets;
	uint32_t oldest, newest;	/* without refs */
};

/* A keyed hash: hostile peers choose addresses. */
uint32_t hosts_hash(const uint8_t key[16], uint32_t tag,
    const struct endpoint *at);

/* Keeps most addresses at most; 0: a million. False: no memory. memory as
 * realloc, and free for 0 bytes. */
bool hosts_init(struct hosts *t, uint32_t most,
    void *(*memory)(void *old, size_t bytes), const uint8_t key[16]);
void hosts_fini(struct hosts *t);

/* The number of at's address, or HOSTS_NONE. */
uint32_t hosts_find(const struct hosts *t, const struct endpoint *at);
/* The same, made if need be, and held once more until hosts_drop. */
uint32_t hosts_hold(struct hosts *t, const struct endpoint *at, int64_t now_ns);
void hosts_drop(struct hosts *t, uint32_t i);

/* It was not dialled within a minute: whoever forgets it dials nobody twice. */
bool hosts_rested(const struct hosts *t, uint32_t i, int64_t now_ns);

/*
 * When this port of it may be knocked on (now_ns: now), and that it was: an
 * address once a minute, and what never spoke to us, of one /64 of global IPv6
 * addresses, once in five seconds.
 */
int64_t hosts_ready(const struct hosts *t, uint32_t i, uint16_t port,
    int64_t now_ns);
/*
 * The same, but who must wait gets a turn of its own behind those that others
 * were given: else all would be looked at whenever one may be dialled. Turns
 * are within an hour, and no promise. Line_up is for who is new, and always
 * takes a turn, which is now if there was none.
 */
int64_t hosts_turn(struct hosts *t, uint32_t i, uint16_t port,
    int64_t now_ns);
int64_t hosts_line_up(struct hosts *t, uint32_t i, uint16_t port,
    int64_t now_ns);
void hosts_knock(struct hosts *t, uint32_t i, uint16_t port, int64_t now_ns);

/* It spoke BitTorrent to us; whether it did within a day. */
void hosts_heard(struct hosts *t, uint32_t i, int64_t now_ns);
bool hosts_spoke(const struct hosts *t, uint32_t i, int64_t now_ns);

/* It calls us: may it? */
bool hosts_may(const struct hosts *t, uint32_t i, bool forged, int64_t now_ns);
/* The same, and if so counted as open until hosts_left. forged: see
 * book_accept. */
bool hosts_admit(struct hosts *t, uint32_t i, bool forged, int64_t now_ns);
void hosts_left(struct hosts *t, uint32_t i);

#endif
