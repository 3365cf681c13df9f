#include "schema/pair.h"

static void apart(SHA256_CTX *a, const uint8_t *p, SHA256_CTX *b,
    const uint8_t *q, size_t n)
{
	SHA256_Update(a, p, n);
	SHA256_Update(b, q, n);
}

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>

#include "schema/log.h"

#define BLOCK 64u
#define TRIAL 1000u
#define STATES __attribute__((target("sha,sse4.1,ssse3")))

/* FIPS 180-4, 4.2.2 */
static const uint32_t constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

/* The eight words of a state as SHA256RNDS2 wants them: a, b, e, f and c, d, g,
 * h, the first uppermost. */
struct state {
	__m128i abef, cdgh;
};

STATES static inline struct state load(const SHA_LONG h[8])
{
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const void *)h),
	    0xb1);
	__m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(
	    (const void *)(h + 4)), 0x1b);

	return (struct state){ _mm_alignr_epi8(cdab, efgh, 8),
	    _mm_blend_epi16(efgh, cdab, 0xf0) };
}

STATES static inline void store(struct state s, SHA_LONG h[8])
{
	__m128i feba = _mm_shuffle_epi32(s.abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);

	_mm_storeu_si128((void *)h, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((void *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds from round 4 * g on; w: the schedule's last sixteen words. */
STATES static inline void rounds(struct state *s, __m128i w[4], int g,
    const uint8_t *p)
{
	const __m128i big = _mm_set_epi64x(0x0c0d0e0f08090a0b,
	    0x0405060700010203);
	__m128i *x = &w[g % 4], last = w[(g + 3) % 4], m;

	if (g < 4)
		*x = _mm_shuffle_epi8(_mm_loadu_si128(
		    (const void *)(p + 16 * g)), big);
	else
		*x = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(
		    *x, w[(g + 1) % 4]), _mm_alignr_epi8(last, w[(g + 2) % 4],
		    4)), last);
	m = _mm_add_epi32(*x, _mm_loadu_si128(
	    (const void *)(constant + 4 * g)));
	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, m);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh,
	    _mm_shuffle_epi32(m, 0x0e));
}

STATES static void take_blocks(SHA_LONG h[8], const uint8_t *p, SHA_LONG i[8],
    const uint8_t *q, size_t blocks)
{
	struct state a = load(h), b = load(i);

	for (; blocks; blocks--, p += BLOCK, q += BLOCK) {
		struct state was_a = a, was_b = b;
		__m128i w[4], v[4];

		/* Unrolled, or the two do not overlap. */
#pragma GCC unroll 16
		for (int g = 0; g < 16; g++) {
			rounds(&a, w, g, p);
			rounds(&b, v, g, q);
		}
		a.abef = _mm_add_epi32(a.abef, was_a.abef);
		a.cdgh = _mm_add_epi32(a.cdgh, was_a.cdgh);
		b.abef = _mm_add_epi32(b.abef, was_b.abef);
		b.cdgh = _mm_add_epi32(b.cdgh, was_b.cdgh);
	}
	store(a, h);
	store(b, i);
}

/* Up to the end of a block that was begun; how many bytes. */
static size_t end_block(SHA256_CTX *c, const uint8_t *p, size_t n)
{
	size_t part = c->num ? BLOCK - c->num : 0;

	if (part > n)
		part = n;
	SHA256_Update(c, p, part);
	return part;
}

/* libcrypto counts bits, in two words. */
static void count(SHA256_CTX *c, uint64_t bytes)
{
	uint64_t bits = ((uint64_t)c->Nh << 32 | c->Nl) + 8 * bytes;

	c->Nl = (SHA_LONG)bits;
	c->Nh = (SHA_LONG)(bits >> 32);
}

static void together(SHA256_CTX *a, const uint8_t *p, SHA256_CTX *b,
    const uint8_t *q, size_t n)
{
	size_t i = end_block(a, p, n), k = end_block(b, q, n);
	size_t blocks = (n - (i > k ? i : k)) / BLOCK;

	if (blocks) {
		take_blocks(a->h, p + i, b->h, q + k, blocks);
		count(a, blocks * BLOCK);
		count(b, blocks * BLOCK);
	}
	i += blocks * BLOCK;
	k += blocks * BLOCK;
	SHA256_Update(a, p + i, n - i);
	SHA256_Update(b, q + k, n - k);
}

static bool has_instructions(void)
{
	unsigned a, b, c, d, features;

	if (!__get_cpuid(1, &a, &b, &features, &d) ||
	    !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return false;
	return (features & bit_SSSE3) && (features & bit_SSE4_1) &&
	    (b & bit_SHA);
}

/* Both in three parts, which begin and end within blocks. */
static bool trial(void)
{
	uint8_t bytes[2 * TRIAL], got[2][32], want[2][32];
	SHA256_CTX c[2];
	size_t part;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + (i >> 8) * 13);
	for (unsigned i = 0; i < 2; i++) {
		SHA256_Init(&c[i]);
		SHA256_Update(&c[i], bytes + i * TRIAL, i * 21);
		SHA256(bytes + i * TRIAL, TRIAL - 21 + i * 21, want[i]);
	}
	for (size_t at = 0; at < TRIAL - 21; at += part) {
		part = at == 0 ? 500 : at == 500 ? 31 : TRIAL - 21 - at;
		together(&c[0], bytes + at, &c[1], bytes + TRIAL + 21 + at,
		    part);
	}
	SHA256_Final(got[0], &c[0]);
	SHA256_Final(got[1], &c[1]);
	return memcmp(got, want, sizeof(got)) == 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool faster;

static void try_it(void)
{
	if (!has_instructions())
		return;
	faster = trial();
	if (!faster)
		log_warn("two SHA-256 side by side: not libcrypto's digests: "
		    "they are taken one by one");
}

bool pair_faster(void)
{
	pthread_once(&once, try_it);
	return faster;
}

void pair_update(SHA256_CTX *a, const uint8_t *p, SHA256_CTX *b,
    const uint8_t *q, size_t n)
{
	if (pair_faster())
		together(a, p, b, q, n);
	else
		apart(a, p, b, q, n);
}

#else

bool pair_faster(void)
{
	return false;
}

void pair_update(SHA256_CTX *a, const uint8_t *p, SHA256_CTX *b,
    const uint8_t *q, size_t n)
{
	apart(a, p, b, q, n);
}

#endif
