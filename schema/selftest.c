#include "schema/selftest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* FIPS 180-2, appendices A.1 and B.1. */
static bool sha1_abc(const struct note_key *key)
{
	static const uint8_t want[20] = { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06,
	    0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c,
	    0xd0, 0xd8, 0x9d };
	uint8_t got[20];

	(void)key;
	SHA1((const uint8_t *)"abc", 3, got);
	return memcmp(got, want, sizeof(want)) == 0;
}

static bool sha256_abc(const struct note_key *key)
{
	static const uint8_t want[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01,
	    0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0,
	    0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
	    0xf2, 0x00, 0x15, 0xad };
	uint8_t got[32];

	(void)key;
	SHA256((const uint8_t *)"abc", 3, got);
	return memcmp(got, want, sizeof(want)) == 0;
}

/* RFC 8032, section 7.1, test 1: the empty message. */
static bool ed25519_rfc(const struct note_key *key)
{
	static const uint8_t public[32] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1,
	    0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
	    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
	    0xf7, 0x07, 0x51, 0x1a };
	static const uint8_t signature[64] = { 0xe5, 0x56, 0x43, 0x00, 0xc3,
	    0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a,
	    0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0,
	    0x65, 0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3,
	    0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2,
	    0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43,
	    0x8e, 0x7a, 0x10, 0x0b };
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
	    public, sizeof(public));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t other[1] = { 0 };
	bool ok;

	(void)key;
	ok = pkey && ctx &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, signature, sizeof(signature), other, 0) == 1;
	EVP_MD_CTX_free(ctx);
	ctx = EVP_MD_CTX_new();
	ok = ok && ctx &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, signature, sizeof(signature), other, 1) != 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* The tree over eight leaves that Certificate Transparency's logs are tested
 * with (RFC 9162 section 2.1 defines it). */
static bool merkle_eight(const struct note_key *key)
{
	static const struct hash want = { { 0x5d, 0xc9, 0xda, 0x79, 0xa7, 0x06,
	    0x59, 0xa9, 0xad, 0x55, 0x9c, 0xb7, 0x01, 0xde, 0xd9, 0xa2, 0xab,
	    0x9d, 0x82, 0x3a, 0xad, 0x2f, 0x49, 0x60, 0xcf, 0xe3, 0x70, 0xef,
	    0xf4, 0x60, 0x43, 0x28 } };
	static const struct {
		uint8_t from, n;
	} leaves[8] = { { 0, 0 }, { 0x00, 1 }, { 0x10, 1 }, { 0x20, 2 },
	    { 0x30, 2 }, { 0x40, 4 }, { 0x50, 8 }, { 0x60, 16 } };
	struct hash leaf[8], root;
	struct merkle m;
	uint8_t line[16];

	(void)key;
	merkle_init(&m);
	for (int i = 0; i < 8; i++) {
		for (uint8_t k = 0; k < leaves[i].n; k++)
			line[k] = (uint8_t)(leaves[i].from + k);
		leaf[i] = merkle_leaf(line, leaves[i].n);
		merkle_add(&m, &leaf[i]);
	}
	root = merkle_root(&m);
	return memcmp(&root, &want, sizeof(want)) == 0;
}

/* This run's key signs what its public half accepts, and nothing else. */
static bool own_key(const struct note_key *key)
{
	struct checkpoint c = { .origin = "swarmwitness/selftest", .size = 1 },
	    got;
	char note[NOTE_MAX];
	int n = note_sign(key, &c, note);

	if (n <= 0 || note_check(key, span_of(note, (size_t)n), &got) != NULL)
		return false;
	note[strlen(c.origin) + 1] = '2';	/* another size */
	return note_check(key, span_of(note, (size_t)n), &got) != NULL;
}

static const struct {
	const char *name;
	bool (*holds)(const struct note_key *key);
} tests[] = {
	{ "sha1", sha1_abc },
	{ "sha256", sha256_abc },
	{ "ed25519", ed25519_rfc },
	{ "merkle", merkle_eight },
	{ "key", own_key },
};

bool selftest(const struct note_key *key, struct json *j)
{
	bool ok[sizeof(tests) / sizeof(tests[0])], all = true;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		ok[i] = tests[i].holds(key);
		all = all && ok[i];
	}
	json_bool(j, "ok", all);
	json_open(j, "tests", '[');
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		json_open(j, NULL, '{');
		json_str(j, "name", tests[i].name);
		json_bool(j, "ok", ok[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
	return all;
}
