/*
 * Our end of an encrypted conversation (wire/mse.h): keys, pads and the secret
 * are made here; what to send comes out.
 */
#ifndef MONITOR_CIPHER_H
#define MONITOR_CIPHER_H

#include "wire/mse.h"

struct cipher;

/* We begin: for the swarm of this infohash, offering MSE_PLAIN, MSE_RC4 or
 * both; first is the start of what we say, at most MSE_IA_MAX bytes. NULL: no
 * memory, or libcrypto failed. */
struct cipher *cipher_dial(const uint8_t infohash[20], unsigned offer,
    struct span first);
/* The peer begins, its bytes to come; find says which swarm it means. We take
 * what it offers, plain first: that keeps the packets readable. */
struct cipher *cipher_accept(mse_find *find, void *ctx);
void cipher_free(struct cipher *c);	/* NULL is allowed */

/* Bytes of the peer, from its first, while the handshake lasts. NULL, or why
 * it cannot go on. */
const char *cipher_bytes(struct cipher *c, struct span bytes);
/* The secret, once it is known, and only the first time: NULL otherwise. */
const uint8_t *cipher_secret(struct cipher *c);
/* Takes at most room bytes of what the handshake has to say; how many. */
size_t cipher_take(struct cipher *c, uint8_t *out, size_t room);

/* The handshake is over: what is said from now on is to be sealed, once and in
 * order. */
bool cipher_ready(const struct cipher *c);
void cipher_seal(struct cipher *c, uint8_t *bytes, size_t n);

#endif
