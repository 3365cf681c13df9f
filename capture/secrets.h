/*
 * The Diffie-Hellman secrets of encrypted conversations, as cases and files
 * give them, found by the public key that a conversation begins with.
 */
#ifndef CAPTURE_SECRETS_H
#define CAPTURE_SECRETS_H

#include <sqlite3.h>

#include "capture/dissect.h"

struct secrets;

struct secrets *secrets_new(void);	/* dies when out of memory */
void secrets_free(struct secrets *s);

/* Those of a case's `encrypted` records. -1 logged. */
int secrets_case(struct secrets *s, sqlite3 *db);

/*
 * Lines of two or three fields in hex: the initiator's public key (96 bytes),
 * the secret (96 bytes), the SKEY (the 20 bytes of infohash, where known).
 * Empty lines and those that begin with # are comments. -1 logged, with the
 * line.
 */
int secrets_file(struct secrets *s, const char *file);

/* For dissect_conf.secret. */
bool secrets_find(void *secrets, const uint8_t key[MSE_KEY],
    struct dissect_secret *secret);

#endif
