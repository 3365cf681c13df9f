/*
 * Message Stream Encryption (the Vuze wiki's specification): a Diffie-Hellman
 * exchange behind random padding, then RC4 or plain bytes. Two things: the
 * reader of both directions, given the secret, for the dissector and for the
 * live monitor's record alike; and one end of the handshake, bytes in, bytes
 * out. Pure: the exponentiation is the caller's, who hands in public keys and
 * the secret (schema/dh.h), and so is the randomness. The structs are large;
 * only encrypted conversations need them.
 *
 *	A: Ya PadA
 *	B: Yb PadB
 *	A: H('req1' S)  H('req2' SKEY) ^ H('req3' S)
 *	   RC4(VC provide len(PadC) PadC len(IA))  RC4(IA)
 *	B: RC4(VC select len(PadD) PadD)
 *	then both as selected: RC4 going on, or plain
 */
#ifndef WIRE_MSE_H
#define WIRE_MSE_H

#include <openssl/rc4.h>

#include "cur.h"

#define MSE_KEY 96u		/* bytes of a public key, and of the secret */
#define MSE_PAD_MAX 512u
#define MSE_IA_MAX 512u		/* what we put into IA; others may say more */
#define MSE_PLAIN 1u		/* bits of crypto_provide and _select */
#define MSE_RC4 2u

/* Ahead of its payload (A: its IA) an end says at most so much. */
#define MSE_HEAD_MAX (MSE_KEY + MSE_PAD_MAX + 40 + 14 + MSE_PAD_MAX + 2)

enum mse_end {
	MSE_A,			/* the initiator */
	MSE_B
};

/* How a conversation starts: MSE_START_MORE while the bytes could be either
 * (a public key may begin like a handshake by chance). */
enum mse_start {
	MSE_START_MORE,
	MSE_START_PLAIN,
	MSE_START_CRYPT
};
enum mse_start mse_detect(struct span first);

/* H('req2' SKEY): by it an end finds the swarm that is meant. */
void mse_req2(const uint8_t skey[20], uint8_t req2[20]);

/* Finds the swarm's hash for an H('req2' SKEY); false: none of ours. */
typedef bool mse_find(void *ctx, const uint8_t req2[20], uint8_t skey[20]);

/* --- the reader ------------------------------------------------------------ */

enum mse_state {
	MSE_AT_KEY,		/* 96 bytes */
	MSE_AT_SYNC,		/* the pad, up to H('req1' S) or the VC */
	MSE_AT_SKEY,		/* A only: which swarm */
	MSE_AT_HEAD,		/* A: VC, provide, length of the pad; B: select
				 * and the length */
	MSE_AT_PAD,		/* PadC with the length of IA, PadD */
	MSE_AT_IA,		/* A only: payload, RC4 in any case */
	MSE_AT_PAYLOAD,
	MSE_AT_FAULT
};

struct mse_flow {
	enum mse_state state;
	uint8_t key[MSE_KEY];
	uint64_t offset;	/* wire bytes taken so far */
	uint32_t head;		/* wire bytes before the payload (A: IA), once
				 * the state is past MSE_AT_PAD */
	uint16_t pad1, pad2;	/* PadA, PadC; PadB, PadD */
	uint16_t ia_left;
	RC4_KEY rc4;
};

struct mse {
	struct mse_flow flow[2];	/* by enum mse_end */
	mse_find *find;
	void *ctx;
	bool secret_known, skey_known;
	uint8_t secret[MSE_KEY];
	uint8_t skey[20];
	uint32_t provide, select;	/* 0 while not read */
	uint16_t ia;		/* bytes of IA */
	struct wire_error fault;	/* .reason NULL: none; .offset in ... */
	enum mse_end fault_by;	/* ... this end's bytes */
};

/* find says which swarm A means, from MSE_AT_SKEY; NULL if mse_skey told. */
void mse_init(struct mse *m, mse_find *find, void *ctx);
void mse_secret(struct mse *m, const uint8_t secret[MSE_KEY]);
void mse_skey(struct mse *m, const uint8_t skey[20]);

/*
 * Reads one end's bytes as they come off the wire. *in moves past what was
 * understood; offer the rest again with more behind it, or when the secret or
 * the other end's head is there: B's head needs A's (the SKEY), A's payload
 * after IA needs B's (what was selected), unless A offered one way only.
 * Before the payload at most MSE_HEAD_MAX bytes are left in *in if the secret
 * and the other end's part are known. Payload in the clear goes to out, room
 * bytes of it at most; how many. out is not within *in. Of illegal input
 * m->fault tells, and nothing more is read of either end.
 */
size_t mse_read(struct mse *m, enum mse_end by, struct cur *in, uint8_t *out,
    size_t room);

/* The caller gives an end up: as if its bytes were illegal where they stand. */
void mse_refuse(struct mse *m, enum mse_end by, const char *reason);

/* n payload bytes of an end are missing (captures; 0: not known how many):
 * keeps the key stream in step. False: it cannot be done, the end is unreadable
 * from here. */
bool mse_gap(struct mse *m, enum mse_end by, uint64_t n);
/* The same where nothing behind the gap will be made sense of: the key stream,
 * which costs time, stays where it is. */
bool mse_pass(struct mse *m, enum mse_end by, uint64_t n);

/* Both heads were read, and A's IA is at its end. */
bool mse_settled(const struct mse *m);

/* --- one end of the handshake ----------------------------------------------- */

/* Seals what we say after the handshake. */
struct mse_seal {
	RC4_KEY rc4;
	bool plain;		/* nothing to do */
};
void mse_seal(struct mse_seal *s, uint8_t *bytes, size_t n);

struct mse_conf {
	enum mse_end end;
	unsigned allow;		/* MSE_PLAIN, MSE_RC4, or both */
	unsigned prefer;	/* B: which, if both would do */
	uint8_t key[MSE_KEY];	/* our public key */
	uint8_t pad[MSE_PAD_MAX];	/* random bytes ... */
	uint16_t pad1, pad2;	/* ... and how many for PadA or PadB, PadC or
				 * PadD; over MSE_PAD_MAX: that */
	uint8_t skey[20];	/* A */
	uint8_t ia[MSE_IA_MAX];	/* A: the start of what we say */
	uint16_t ia_n;
	mse_find *find;		/* B */
	void *ctx;
};

enum mse_want {
	MSE_WANT_BYTES,		/* of the other end */
	MSE_WANT_SECRET,	/* mse_shake_secret, from mse_shake_key */
	MSE_DONE,		/* the handshake is over; seal is to be used */
	MSE_REFUSED		/* shake->reader.fault says why */
};

#define MSE_OUT_MAX (2 * (MSE_HEAD_MAX + MSE_IA_MAX))

struct mse_shake {
	struct mse_conf conf;
	struct mse reader;	/* reads the other end */
	enum mse_want want;
	uint8_t kept[MSE_HEAD_MAX];
	size_t kept_n;
	bool greeted;		/* our key is out */
	struct mse_seal seal;	/* .rc4 runs on behind what is in out */
	uint8_t out[MSE_OUT_MAX];	/* to be sent; the caller empties it by
					 * setting out_n to 0 */
	size_t out_n;
};

/* Copies *conf. A's first bytes are in out at once. */
void mse_shake_init(struct mse_shake *s, const struct mse_conf *conf);
/* Bytes of the other end, from its first. What it says after its head (B: and
 * with it) is passed over: that is for a reader of the whole conversation. */
enum mse_want mse_shake_bytes(struct mse_shake *s, struct span bytes);
/* The other end's public key. */
const uint8_t *mse_shake_key(const struct mse_shake *s);
enum mse_want mse_shake_secret(struct mse_shake *s,
    const uint8_t secret[MSE_KEY]);

#endif
