/*
 * In which order one visit tries the ways to reach a peer: TCP, then uTP; a
 * plain handshake, then an encrypted one that leaves the choice to the peer,
 * then one that insists on RC4, with fresh keys each time. What worked before,
 * and what others said of it, comes first. Pure.
 *
 * A minute may lie between two attempts, so as much is learnt of each as can
 * be. TCP comes first because a connection that a peer takes, and then closes
 * without a handshake, tells an encrypted one next, where silence over uTP
 * tells nothing of the kind. Some take a connection and close it before a word
 * was said: they want no TCP, and to see that we say nothing for a moment
 * (ladder_hesitates).
 *
 *	transport does not answer	-> the other transport
 *	it answers, and ends without
 *	a handshake			-> same transport, next encryption
 *	a handshake			-> the visit is over
 */
#ifndef MONITOR_LADDER_H
#define MONITOR_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#define LADDER_TRIES 4		/* attempts in one visit at most */

/* How encrypted conversations are had at all (--encryption). */
enum ladder_crypt {
	LADDER_ALLOW,
	LADDER_OFF,
	LADDER_REQUIRE
};

/* What is known of an endpoint, as bits; the address book keeps them. */
enum ladder_known {
	LADDER_SAID_CRYPT = 1,	/* by PEX: it prefers encryption */
	LADDER_SAID_UTP = 2,
	LADDER_UTP = 4,		/* it answered over uTP */
	LADDER_TCP = 8,
	LADDER_PLAIN = 16,	/* it answered a plain handshake */
	LADDER_ANY = 32,	/* an encrypted one that left it the choice */
	LADDER_RC4 = 64,
	LADDER_SHUT = 128	/* it answers, but no plain handshake */
};

/* The way of one attempt. */
struct ladder_way {
	bool utp;
	uint8_t offer;		/* 0: plain; else MSE's crypto_provide */
};

struct ladder_conf {
	bool utp;		/* can be used for this address family */
	enum ladder_crypt crypt;
};

struct ladder {
	struct ladder_conf conf;
	struct ladder_way way;
	uint8_t known;
	uint8_t tries;
	bool tried[2];		/* TCP, uTP */
	bool tried_plain;
};

/* What an attempt came to. */
enum ladder_end {
	LADDER_SILENT,		/* no connection */
	LADDER_CLOSED,		/* a connection, and no handshake */
	LADDER_MET		/* a handshake, whatever it said */
};

/* The first way is in l->way. */
void ladder_begin(struct ladder *l, const struct ladder_conf *conf,
    uint8_t known);
/* The attempt under way ended so: what is known by now is in l->known. True:
 * l->way is to be tried next; false: the visit is over. */
bool ladder_next(struct ladder *l, enum ladder_end how);

/* Whether to say nothing for a moment once this attempt is connected: an end
 * before we spoke counts as LADDER_SILENT, since it is the transport that is
 * not wanted. */
bool ladder_hesitates(const struct ladder *l);

/* Where a visit stands between two attempts, for whoever puts it off; never 0.
 * ladder_resume goes on from there, or begins with mark 0. */
uint16_t ladder_mark(const struct ladder *l);
void ladder_resume(struct ladder *l, const struct ladder_conf *conf,
    uint8_t known, uint16_t mark);

#endif
