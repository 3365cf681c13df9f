#include "report/pseudonym.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "schema/json.h"
#include "schema/log.h"

static void encrypt(const struct pseudonym *p, const uint8_t *in, int n,
    uint8_t *out)
{
	int got = 0;

	if (!EVP_EncryptUpdate(p->aes, out, &got, in, n) || got != n)
		log_die("AES failed");
}

void pseudonym_init(struct pseudonym *p, const uint8_t key[PSEUDONYM_KEY])
{
	*p = (struct pseudonym){ .aes = EVP_CIPHER_CTX_new() };
	memcpy(p->key, key, PSEUDONYM_KEY);
	if (p->aes == NULL || !EVP_EncryptInit_ex(p->aes, EVP_aes_128_ecb(),
	    NULL, key, NULL) || !EVP_CIPHER_CTX_set_padding(p->aes, 0))
		log_die("AES is not to be had");
	encrypt(p, key + 16, 16, p->pad);
}

void pseudonym_fini(struct pseudonym *p)
{
	EVP_CIPHER_CTX_free(p->aes);
	OPENSSL_cleanse(p, sizeof(*p));
}

struct endpoint pseudonym_of(const struct pseudonym *p,
    const struct endpoint *e)
{
	size_t bits = e->family == 4 ? 32 : e->family == 6 ? 128 : 0;
	uint8_t in[128 * 16], out[128 * 16];
	struct endpoint made = *e;

	/* block i: the first i bits are the address's, the rest the pad's */
	for (size_t i = 0; i < bits; i++) {
		uint8_t *b = in + 16 * i;
		size_t whole = i / 8;

		memcpy(b, p->pad, 16);
		memcpy(b, e->addr, whole);
		if (i % 8) {
			uint8_t mask = (uint8_t)(0xff00 >> i % 8);

			b[whole] = (uint8_t)((e->addr[whole] & mask) |
			    (p->pad[whole] & ~mask));
		}
	}
	if (bits)
		encrypt(p, in, (int)(16 * bits), out);
	for (size_t i = 0; i < bits; i++)
		if (out[16 * i] & 0x80)
			made.addr[i / 8] ^= (uint8_t)(0x80 >> i % 8);
	return made;
}

struct endpoint pseudonym_back(const struct pseudonym *p,
    const struct endpoint *e)
{
	size_t bits = e->family == 4 ? 32 : e->family == 6 ? 128 : 0;
	struct endpoint real = *e;
	uint8_t in[16], out[16];

	/* bit i was flipped by what the bits before it, real ones, give */
	for (size_t i = 0; i < bits; i++) {
		size_t whole = i / 8;
		uint8_t mask = (uint8_t)(0xff00 >> i % 8);

		memcpy(in, p->pad, 16);
		memcpy(in, real.addr, whole);
		if (i % 8)
			in[whole] = (uint8_t)((real.addr[whole] & mask) |
			    (p->pad[whole] & ~mask));
		encrypt(p, in, 16, out);
		if (out[0] & 0x80)
			real.addr[whole] ^= (uint8_t)(0x80 >> i % 8);
	}
	return real;
}

void pseudonym_id(const struct pseudonym *p, struct span hex, size_t keep,
    char *out)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1];
	size_t head = 2 * keep < hex.n ? 2 * keep : hex.n;
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), p->key, PSEUDONYM_KEY, hex.p, hex.n, mac, &n))
		log_die("HMAC failed");
	hex_of(mac, n, text);
	memcpy(out, hex.p, head);
	memcpy(out + head, text, hex.n - head);
	out[hex.n] = '\0';
}

/* --- the key file ---------------------------------------------------------------- */

static int make_key(const char *file, const char *safe,
    uint8_t key[PSEUDONYM_KEY])
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool bad;

	if (fd < 0) {
		log_warn("report: --pseudonymise: %s: %s", safe,
		    strerror(errno));
		return -1;
	}
	if (RAND_bytes(key, PSEUDONYM_KEY) != 1)
		log_die("no random bytes");
	bad = write(fd, key, PSEUDONYM_KEY) != PSEUDONYM_KEY || fsync(fd) < 0;
	if (close(fd) < 0)
		bad = true;
	if (bad) {
		log_warn("report: --pseudonymise: %s: %s", safe,
		    strerror(errno));
		unlink(file);
		return -1;
	}
	log_info("report: --pseudonymise: a new key in %s: whoever has it can "
	    "tell the addresses", safe);
	return 0;
}

static int read_key(int fd, const char *safe, uint8_t key[PSEUDONYM_KEY])
{
	uint8_t more;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_warn("report: --pseudonymise: %s: not a file", safe);
		return -1;
	}
	if (st.st_mode & 077) {
		log_warn("report: --pseudonymise: %s: others may read it; make "
		    "it 0600, or use another key", safe);
		return -1;
	}
	if (read(fd, key, PSEUDONYM_KEY) != PSEUDONYM_KEY ||
	    read(fd, &more, 1) != 0) {
		log_warn("report: --pseudonymise: %s: a key is %u bytes, no "
		    "more and no less", safe, PSEUDONYM_KEY);
		return -1;
	}
	return 0;
}

int pseudonym_open(struct pseudonym *p, const char *file)
{
	uint8_t key[PSEUDONYM_KEY];
	char safe[512];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	log_safe(span_str(file), safe, sizeof(safe));
	if (fd < 0 && errno != ENOENT) {
		log_warn("report: --pseudonymise: %s: %s", safe,
		    strerror(errno));
		return -1;
	}
	r = fd < 0 ? make_key(file, safe, key) : read_key(fd, safe, key);
	if (fd >= 0)
		close(fd);
	if (r == 0)
		pseudonym_init(p, key);
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}
