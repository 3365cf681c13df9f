/*
 * Signed notes (C2SP signed-note and tlog-checkpoint): a checkpoint's text,
 * its Ed25519 line, and the verifier key that checks it. And the key's file.
 */
#ifndef SCHEMA_NOTE_H
#define SCHEMA_NOTE_H

#include "schema/merkle.h"

#define NOTE_MAX 1024
#define NOTE_NAME_MAX 80
#define NOTE_VKEY_MAX 192

struct note_key {
	char name[NOTE_NAME_MAX];	/* "swarmwitness-" and 16 hex digits of the
					 * fingerprint */
	uint8_t public[32];
	uint8_t id[4];		/* SHA-256(name LF 01 public), first four */
	void *pkey;		/* EVP_PKEY, NULL for a public key alone */
};

/*
 * The signing key in file, created 0600 with its folder on first use (PEM,
 * PKCS 8, Ed25519). Refused if others may read it. NULL path: the default,
 * $XDG_CONFIG_HOME or ~/.config, swarmwitness/key. 0, or -1 with the reason
 * logged. path_out (may be NULL) gets the path used, to be freed.
 */
int note_key_open(struct note_key *k, const char *path, char **path_out);
void note_key_close(struct note_key *k);

/* "NAME+HASH+BASE64(01 | key)". */
void note_vkey(const struct note_key *k, char out[NOTE_VKEY_MAX]);
/* Reads one; false if it is none or its hash is wrong. */
bool note_vkey_read(const char *text, struct note_key *k);
/* Lower-case hex SHA-256 of the 32 public bytes. */
void note_fingerprint(const struct note_key *k, char out[65]);

struct checkpoint {
	char origin[NOTE_NAME_MAX];
	uint64_t size;
	struct hash root;
};

/* The whole signed note; its length, or -1. */
int note_sign(const struct note_key *k, const struct checkpoint *c,
    char out[NOTE_MAX]);
/* Reads and checks one against k. NULL if it holds, else the reason. */
const char *note_check(const struct note_key *k, struct span note,
    struct checkpoint *c);
/* Reads the three lines without checking any signature. */
const char *note_read(struct span note, struct checkpoint *c);

#endif
