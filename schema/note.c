#include "schema/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

#define ED25519 1		/* signed-note's algorithm byte */
#define SIGNATURE 64
#define DASH "\xe2\x80\x94 "	/* U+2014 and a blank */

/* --- base64 ---------------------------------------------------------------- */

/* Reads exactly n bytes of canonical base64 (RFC 4648 section 4, padded). */
static bool base64_read(struct span text, uint8_t *out, size_t n)
{
	uint8_t bytes[144], again[200];

	if (text.n != (n + 2) / 3 * 4 || text.n >= sizeof(again))
		return false;
	if (EVP_DecodeBlock(bytes, text.p, (int)text.n) < 0)
		return false;
	/* OpenSSL forgives blanks and loose padding: only what we would have
	 * written is what was meant. */
	EVP_EncodeBlock(again, bytes, (int)n);
	if (memcmp(again, text.p, text.n) != 0)
		return false;
	memcpy(out, bytes, n);
	return true;
}

/* --- keys ------------------------------------------------------------------ */

static void key_id(const char *name, size_t n, const uint8_t public[32],
    uint8_t id[4])
{
	uint8_t sum[32], tail[34] = { '\n', ED25519 };
	SHA256_CTX ctx;

	memcpy(tail + 2, public, 32);
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, name, n);
	SHA256_Update(&ctx, tail, sizeof(tail));
	SHA256_Final(sum, &ctx);
	memcpy(id, sum, 4);
}

void note_fingerprint(const struct note_key *k, char out[65])
{
	uint8_t sum[32];

	SHA256(k->public, sizeof(k->public), sum);
	hex_of(sum, sizeof(sum), out);
}

static int key_take(struct note_key *k, EVP_PKEY *pkey)
{
	size_t n = sizeof(k->public);
	char print[65];

	if (EVP_PKEY_id(pkey) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(pkey, k->public, &n) != 1 ||
	    n != sizeof(k->public))
		return -1;
	note_fingerprint(k, print);
	snprintf(k->name, sizeof(k->name), "swarmwitness-%.16s", print);
	key_id(k->name, strlen(k->name), k->public, k->id);
	k->pkey = pkey;
	return 0;
}

/* We ask nobody for a pass phrase: an encrypted key is no key of ours. */
static int no_passphrase(char *buf, int size, int rw, void *ctx)
{
	(void)buf, (void)size, (void)rw, (void)ctx;
	return -1;
}

static int key_load(struct note_key *k, const char *path, int fd)
{
	EVP_PKEY *pkey;
	struct stat st;
	FILE *f;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_warn("key %s: not a file", path);
		close(fd);
		return -1;
	}
	if (st.st_mode & 077) {
		log_warn("key %s: others may read or write it (mode %04o); "
		    "make it 0600, or use another key", path,
		    (unsigned)st.st_mode & 07777);
		close(fd);
		return -1;
	}
	f = fdopen(fd, "r");
	if (f == NULL) {
		log_warn("key %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	pkey = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
	fclose(f);
	if (pkey == NULL || key_take(k, pkey) < 0) {
		EVP_PKEY_free(pkey);
		log_warn("key %s: not an unencrypted Ed25519 private key in "
		    "PEM (PKCS 8)", path);
		return -1;
	}
	return 0;
}

static EVP_PKEY *key_new(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_keygen(ctx, &pkey) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* Written whole beside its place and then linked there, which fails if another
 * process was first: nobody ever sees half a key, or overwrites one. */
static int key_make(const char *path)
{
	EVP_PKEY *pkey = key_new();
	char *new = NULL;
	FILE *f = NULL;
	int fd = -1, ok = -1;

	if (pkey == NULL || asprintf(&new, "%s.%d", path, (int)getpid()) < 0) {
		new = NULL;
		errno = ENOMEM;
		goto out;
	}
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		goto out;
	f = fdopen(fd, "w");
	if (f == NULL)
		goto out;
	fd = -1;
	if (PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL) != 1 ||
	    fflush(f) != 0 || fsync(fileno(f)) < 0)
		goto out;
	if (link(new, path) == 0 || errno == EEXIST)
		ok = 0;
out:
	if (ok < 0)
		log_warn("key %s: cannot make it: %s", path, strerror(errno));
	if (f)
		fclose(f);
	if (fd >= 0)
		close(fd);
	if (new)
		unlink(new);
	free(new);
	EVP_PKEY_free(pkey);
	return ok;
}

/* Makes the folders above path that are missing, for us alone. */
static void folders(const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL)
		return;
	for (char *p = copy + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		mkdir(copy, 0700);
	}
	free(copy);
}

static char *default_path(void)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int n;

	/* The XDG specification has relative paths ignored. */
	if (base && base[0] == '/')
		n = asprintf(&path, "%s/swarmwitness/key", base);
	else if (home && home[0] == '/')
		n = asprintf(&path, "%s/.config/swarmwitness/key", home);
	else {
		log_warn("no place for the signing key: HOME is not set; use "
		    "--key FILE");
		return NULL;
	}
	return n < 0 ? NULL : path;
}

int note_key_open(struct note_key *k, const char *path, char **path_out)
{
	char *file = path ? strdup(path) : default_path();
	int fd, got;

	*k = (struct note_key){ 0 };
	if (file == NULL)
		return -1;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		folders(file);
		if (key_make(file) < 0) {
			free(file);
			return -1;
		}
		fd = open(file, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		log_warn("key %s: %s", file, strerror(errno));
		free(file);
		return -1;
	}
	got = key_load(k, file, fd);
	if (got == 0 && path_out)
		*path_out = file;
	else
		free(file);
	return got;
}

void note_key_close(struct note_key *k)
{
	EVP_PKEY_free(k->pkey);
	*k = (struct note_key){ 0 };
}

void note_vkey(const struct note_key *k, char out[NOTE_VKEY_MAX])
{
	uint8_t bytes[33] = { ED25519 }, text[48];
	char id[9];

	memcpy(bytes + 1, k->public, 32);
	EVP_EncodeBlock(text, bytes, sizeof(bytes));
	snprintf(out, NOTE_VKEY_MAX, "%s+%s+%s", k->name,
	    hex_of(k->id, sizeof(k->id), id), (char *)text);
}

/* Names and origins as we take them: what the specifications allow (no blank,
 * no plus), and printable ASCII only. */
static bool name_ok(struct span s)
{
	if (s.n == 0 || s.n >= NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '+')
			return false;
	return true;
}

/* What comes before the next c, which is taken too; false if there is none. */
static bool until(struct cur *in, char c, struct span *s)
{
	const uint8_t *p = cur_left(in) ?
	    memchr(in->p, c, cur_left(in)) : NULL;

	if (p == NULL)
		return false;
	*s = cur_take(in, (size_t)(p - in->p));
	cur_take(in, 1);
	return true;
}

bool note_vkey_read(const char *text, struct note_key *k)
{
	struct cur in = cur_of(span_str(text));
	uint8_t bytes[33], said[4];
	struct span name, id;

	*k = (struct note_key){ 0 };
	if (!until(&in, '+', &name) || !name_ok(name) ||
	    !until(&in, '+', &id) || !hex_read(id, said, sizeof(said)) ||
	    !base64_read(cur_rest(&in), bytes, sizeof(bytes)) ||
	    bytes[0] != ED25519)
		return false;
	memcpy(k->name, name.p, name.n);
	memcpy(k->public, bytes + 1, sizeof(k->public));
	key_id(k->name, name.n, k->public, k->id);
	return memcmp(k->id, said, sizeof(said)) == 0;
}

/* --- notes ----------------------------------------------------------------- */

int note_sign(const struct note_key *k, const struct checkpoint *c,
    char out[NOTE_MAX])
{
	uint8_t root[48], signature[4 + SIGNATURE], text[96];
	size_t n, signed_n = SIGNATURE;
	EVP_MD_CTX *ctx;
	bool ok;

	if (k->pkey == NULL || !name_ok(span_str(c->origin)))
		return -1;
	EVP_EncodeBlock(root, c->root.b, sizeof(c->root.b));
	n = (size_t)snprintf(out, NOTE_MAX, "%s\n%llu\n%s\n", c->origin,
	    (unsigned long long)c->size, (char *)root);
	memcpy(signature, k->id, 4);
	ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
	    EVP_DigestSign(ctx, signature + 4, &signed_n, (uint8_t *)out, n)
	    == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -1;
	EVP_EncodeBlock(text, signature, sizeof(signature));
	n += (size_t)snprintf(out + n, NOTE_MAX - n, "\n" DASH "%s %s\n",
	    k->name, (char *)text);
	return (int)n;
}

/* A decimal as tlog-checkpoint writes it: no leading zero. */
static bool decimal(struct span s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)s.p[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

/* The text up to the signatures, which *in then stands at. */
static const char *read_text(struct cur *in, struct checkpoint *c)
{
	struct span origin, size, root, blank;

	if (!until(in, '\n', &origin) || !until(in, '\n', &size) ||
	    !until(in, '\n', &root) || !until(in, '\n', &blank))
		return "a checkpoint has three lines, then an empty one";
	if (!name_ok(origin))
		return "the origin is no name";
	if (!decimal(size, &c->size))
		return "the size is no decimal number";
	if (!base64_read(root, c->root.b, sizeof(c->root.b)))
		return "the root is not 32 bytes of base64";
	if (blank.n)
		return "a fourth line where the text should end";
	memcpy(c->origin, origin.p, origin.n);
	c->origin[origin.n] = '\0';
	return NULL;
}

/* The name and base64 of the next signature line. */
static const char *read_line(struct cur *in, struct span *name,
    struct span *base64)
{
	struct span line, dash;
	struct cur c;

	if (!until(in, '\n', &line))
		return "the last line does not end";
	c = cur_of(line);
	dash = cur_take(&c, sizeof(DASH) - 1);
	if (!span_is(dash, DASH) || !until(&c, ' ', name))
		return "not a signature line";
	*base64 = cur_rest(&c);
	/* Other kinds of signature are longer; none is under five bytes. */
	if (name->n == 0 || base64->n < 8 || base64->n % 4)
		return "not a signature line";
	return NULL;
}

static bool holds(const struct note_key *k, struct span text,
    const uint8_t signature[SIGNATURE])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
	    k->public, sizeof(k->public));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = pkey && ctx &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, signature, SIGNATURE, text.p, text.n) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* k NULL: only the form. Lines of other keys (a witness's) are passed over. */
static const char *read_note(const struct note_key *k, struct span note,
    struct checkpoint *c)
{
	struct cur in = cur_of(note);
	uint8_t signature[4 + SIGNATURE];
	struct span text, name, base64;
	bool any = false, held = false;
	const char *fault;

	*c = (struct checkpoint){ 0 };
	fault = read_text(&in, c);
	if (fault)
		return fault;
	text = span_of(note.p, (size_t)(in.p - note.p) - 1);
	for (; cur_left(&in); any = true) {
		fault = read_line(&in, &name, &base64);
		if (fault)
			return fault;
		if (k == NULL || !span_is(name, k->name) ||
		    !base64_read(base64, signature, sizeof(signature)) ||
		    memcmp(signature, k->id, sizeof(k->id)) != 0)
			continue;
		if (!holds(k, text, signature + 4))
			return "the signature does not hold";
		held = true;
	}
	if (!any)
		return "no signature";
	return k == NULL || held ? NULL : "not signed by this key";
}

const char *note_check(const struct note_key *k, struct span note,
    struct checkpoint *c)
{
	return read_note(k, note, c);
}

const char *note_read(struct span note, struct checkpoint *c)
{
	return read_note(NULL, note, c);
}
