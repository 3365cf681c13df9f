/*
 * Time-stamp tokens (RFC 3161) with libcrypto: the question, and what an
 * answer says. What carries them is tsapost's.
 */
#ifndef SCHEMA_TSA_H
#define SCHEMA_TSA_H

#include "wire/cur.h"

#define TSA_REQUEST_MAX 256u
#define TSA_NONCE 8u
#define TSA_POLICY_MAX 128u	/* an OID in dotted decimals */
#define TSA_WHY_MAX 200u

/* DER of a TimeStampReq: SHA-256 imprint, nonce, certReq true; policy may be
 * NULL. Its length, or -1: policy is no OID. */
int tsa_request(const uint8_t imprint[32], const uint8_t nonce[TSA_NONCE],
    const char *policy, uint8_t out[TSA_REQUEST_MAX]);
/* The imprint that a request bears; false if it is none of ours. */
bool tsa_request_read(struct span der, uint8_t imprint[32]);

enum tsa_outcome {
	TSA_OK,		/* a token for this request, its signature holds */
	TSA_REFUSED,	/* the authority said no */
	TSA_MALFORMED,	/* no TimeStampResp */
	TSA_MISMATCH,	/* imprint, nonce or policy are not those asked for */
	TSA_UNSIGNED	/* the signature does not hold */
};
/* As `stamp` records say it. */
const char *tsa_outcome_text(enum tsa_outcome o);

struct tsa_token {
	int64_t gen_utc_ns;
	int64_t accuracy_ns;		/* -1: not stated */
	char serial[130];		/* hex */
	char policy[TSA_POLICY_MAX];
	char signer[256];		/* its certificate's subject, ASCII */
	char signer_sha256[65];		/* of that certificate's DER */
};

/*
 * Holds a response against the request. The signature is checked against the
 * certificate in the token, which must be meant for time-stamping and valid at
 * the token's time; whom to trust is tsa_rooted's question. *t is filled as
 * far as it could be read, why (empty if TSA_OK) says what is wrong.
 */
enum tsa_outcome tsa_check(struct span request, struct span response,
    struct tsa_token *t, char why[TSA_WHY_MAX]);

/* Certificates to hold signers against: a PEM file or a folder as `openssl
 * rehash` makes it. NULL, logged. */
struct tsa_roots;
struct tsa_roots *tsa_roots_open(const char *path);
void tsa_roots_close(struct tsa_roots *r);
/* Whether the signer's chain leads to one of them, as of the token's time.
 * Revocation is not looked up. why: if not. */
bool tsa_rooted(const struct tsa_roots *r, struct span response,
    char why[TSA_WHY_MAX]);

#endif
