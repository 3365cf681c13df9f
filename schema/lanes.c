#include "schema/lanes.h"

#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/log.h"

static void alone(struct lanes_one *lane, bool v1, bool v2)
{
	if (v1)
		SHA1(lane->bytes.p, lane->bytes.n, lane->sha1);
	if (v2)
		SHA256(lane->bytes.p, lane->bytes.n, lane->sha256);
}

#ifdef __x86_64__

#define NO_COMPAT_IMB_API_053	/* its old names are libcrypto's */
#include <intel-ipsec-mb.h>

/* With fewer libcrypto is faster, by the processor's SHA instructions. */
#define LEAST_SHA1 3u
#define LEAST_SHA256 5u

/* The checks of version 1.3 refuse messages above 64 KiB, as its HMACs must;
 * SHA-1 and SHA-256 alone count in 64 bits. The trial holds it to that. */
#define TRIAL (3u << 16)

struct lanes {
	IMB_MGR *mgr;
};

static void submit(IMB_MGR *mgr, struct lanes_one *lane, IMB_HASH_ALG alg)
{
	bool v1 = alg == IMB_AUTH_SHA_1;
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);

	*job = (IMB_JOB){ .cipher_mode = IMB_CIPHER_NULL,
		.cipher_direction = IMB_DIR_ENCRYPT,
		.chain_order = IMB_ORDER_HASH_CIPHER, .hash_alg = alg,
		.src = lane->bytes.p,
		.msg_len_to_hash_in_bytes = lane->bytes.n,
		.auth_tag_output = v1 ? lane->sha1 : lane->sha256,
		.auth_tag_output_len_in_bytes = v1 ? sizeof(lane->sha1) :
		    sizeof(lane->sha256) };
	for (job = IMB_SUBMIT_JOB_NOCHECK(mgr); job;
	    job = IMB_GET_COMPLETED_JOB(mgr))
		;
}

static void together(IMB_MGR *mgr, struct lanes_one *lane, unsigned n,
    IMB_HASH_ALG alg)
{
	for (unsigned i = 0; i < n; i++)
		if (alg == IMB_AUTH_SHA_256 || lane[i].v1)
			submit(mgr, &lane[i], alg);
	while (IMB_FLUSH_JOB(mgr))
		;
}

void lanes_take(struct lanes *l, struct lanes_one *lane, unsigned n)
{
	unsigned v1 = 0;
	bool by1, by256 = l && n >= LEAST_SHA256;

	for (unsigned i = 0; i < n; i++)
		v1 += lane[i].v1;
	by1 = l && v1 >= LEAST_SHA1;
	if (by1)
		together(l->mgr, lane, n, IMB_AUTH_SHA_1);
	if (by256)
		together(l->mgr, lane, n, IMB_AUTH_SHA_256);
	for (unsigned i = 0; i < n; i++)
		alone(&lane[i], !by1 && lane[i].v1, !by256);
}

/* Lengths apart, all above what 16 bits count. */
static bool trial(struct lanes *l)
{
	uint8_t *bytes = malloc(TRIAL);
	struct lanes_one lane[LANES], want;
	bool good = bytes != NULL;

	for (size_t i = 0; good && i < TRIAL; i++)
		bytes[i] = (uint8_t)(i * 167 + (i >> 8) * 13);
	for (unsigned i = 0; good && i < LANES; i++)
		lane[i] = (struct lanes_one){ .v1 = true, .bytes = span_of(
		    bytes + 61 * i, TRIAL - 8191 * i) };
	if (good)
		lanes_take(l, lane, LANES);
	for (unsigned i = 0; good && i < LANES; i++) {
		want = lane[i];
		alone(&want, true, true);
		good = memcmp(want.sha1, lane[i].sha1, 20) == 0 &&
		    memcmp(want.sha256, lane[i].sha256, 32) == 0;
	}
	free(bytes);
	return good;
}

bool lanes_possible(void)
{
	return __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512cd") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl");
}

struct lanes *lanes_new(void)
{
	struct lanes *l = malloc(sizeof(*l));
	IMB_ARCH arch;

	if (!l)
		return NULL;
	l->mgr = alloc_mb_mgr(0);
	if (!l->mgr)
		goto none;
	init_mb_mgr_auto(l->mgr, &arch);
	if (arch != IMB_ARCH_AVX512)
		goto none;
	if (trial(l))
		return l;
	log_warn("libIPSec_MB %s: its digests are not libcrypto's: it is not "
	    "used", lanes_library());
none:
	lanes_free(l);
	return NULL;
}

void lanes_free(struct lanes *l)
{
	if (l && l->mgr)
		free_mb_mgr(l->mgr);
	free(l);
}

const char *lanes_library(void)
{
	return imb_get_version_str();
}

#else

void lanes_take(struct lanes *l, struct lanes_one *lane, unsigned n)
{
	(void)l;
	for (unsigned i = 0; i < n; i++)
		alone(&lane[i], lane[i].v1, true);
}

bool lanes_possible(void)
{
	return false;
}

struct lanes *lanes_new(void)
{
	return NULL;
}

void lanes_free(struct lanes *l)
{
	(void)l;
}

const char *lanes_library(void)
{
	return NULL;
}

#endif
