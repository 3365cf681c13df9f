/*
 * The Diffie-Hellman step of Message Stream Encryption: 768 bits, G = 2, an
 * exponent of 160 bits. wire/ has no such arithmetic; whoever drives wire/mse
 * calls this.
 */
#ifndef SCHEMA_DH_H
#define SCHEMA_DH_H

#include "wire/mse.h"

#define DH_PRIVATE 20u

/* Our public key for a random exponent. -1: libcrypto failed. */
int dh_public(const uint8_t x[DH_PRIVATE], uint8_t y[MSE_KEY]);

/* The secret. -1: the other end's key is degenerate (0, 1, P - 1 or more, with
 * which anybody knows the secret), or libcrypto failed; *reason says which. */
int dh_secret(const uint8_t x[DH_PRIVATE], const uint8_t theirs[MSE_KEY],
    uint8_t secret[MSE_KEY], const char **reason);

#endif
