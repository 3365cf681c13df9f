/*
 * Pseudonyms of addresses: a keyed, prefix-preserving, one-to-one mapping, by
 * the scheme of Crypto-PAn (Xu, Fan, Ammar, Moon, 2002) with AES-128: two
 * addresses share as many leading bits as their pseudonyms do. The key is 32
 * bytes: the cipher's key and the padding. IPv6 likewise over 128 bits.
 */
#ifndef REPORT_PSEUDONYM_H
#define REPORT_PSEUDONYM_H

#include <stdio.h>

#include <openssl/evp.h>

#include "wire/endpoint.h"

#define PSEUDONYM_KEY 32u

struct pseudonym {
	EVP_CIPHER_CTX *aes;
	uint8_t key[PSEUDONYM_KEY], pad[16];
};

void pseudonym_init(struct pseudonym *p, const uint8_t key[PSEUDONYM_KEY]);
void pseudonym_fini(struct pseudonym *p);

/* Reads the key, or makes a file of a new one (0600). A file of another size,
 * or that others may read, is refused: -1 logged. */
int pseudonym_open(struct pseudonym *p, const char *file);

/* The port stays. */
struct endpoint pseudonym_of(const struct pseudonym *p,
    const struct endpoint *e);

/* The address that e stands for. */
struct endpoint pseudonym_back(const struct pseudonym *p,
    const struct endpoint *e);

/* Another id for an id of n bytes in hex: its first `keep` bytes, then bytes
 * of HMAC-SHA256 by the key. out has room for 2 n + 1, n at most 32. */
void pseudonym_id(const struct pseudonym *p, struct span hex, size_t keep,
    char *out);

/*
 * Whether an address is one of the case's. Where a text may look like an
 * address without being one (a client's version, a file's name), only such are
 * replaced.
 */
struct pseudonym_text {
	const struct pseudonym *p;
	bool (*known)(void *ctx, const char *ip);
	void *ctx;
};

/* Plain text with every address in it replaced; only known ones if wary. */
void pseudonym_text(const struct pseudonym_text *t, struct span text,
    bool wary, FILE *out);

/* Likewise, every address, into a string to be freed; a copy if p is NULL. */
char *pseudonym_copy(const struct pseudonym *p, const char *text);

/* The detail of a record: so treated, ids replaced, and what is secret or only
 * bytes in hex set to null. */
void pseudonym_detail(const struct pseudonym_text *t, struct span json,
    FILE *out);

/*
 * Makes a case of its own out of the one at `path`, as far as reports read it:
 * no raw bytes but torrents' metainfo (for --reference, which no output holds),
 * packets, digests of bytes or salts, and no address but its pseudonym. *into
 * is its folder, in TMPDIR, to be given to pseudonym_remove, which also frees
 * it. digest is evidence.db's own, if the case is sealed, else empty. -1
 * logged, *into possibly set.
 */
int pseudonym_case(const struct pseudonym *p, const char *path, char **into,
    char digest[65]);
void pseudonym_remove(char *into);

#endif
