#include "schema/dh.h"

#include <openssl/bn.h>

/* The specification's prime: RFC 2409's first group but for its last bits. */
static const char prime_hex[] =
	"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD1"
	"29024E088A67CC74020BBEA63B139B22514A08798E3404DD"
	"EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245"
	"E485B576625E7EC6F44C42E9A63A36210000000000090563";

/* base ^ x mod P, constant in time over x; base NULL: G. */
static int power(const uint8_t x[DH_PRIVATE], const uint8_t *base,
    uint8_t out[MSE_KEY], const char **reason)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = NULL, *g = BN_new(), *e = BN_new(), *r = BN_new();
	BIGNUM *last = NULL;
	int status = -1;

	*reason = "libcrypto failed";
	if (!ctx || !g || !e || !r || !BN_hex2bn(&p, prime_hex))
		goto out;
	last = BN_dup(p);
	if (!last || !BN_sub_word(last, 1) || !BN_bin2bn(x, DH_PRIVATE, e))
		goto out;
	if (!(base ? BN_bin2bn(base, MSE_KEY, g) != NULL : BN_set_word(g, 2)))
		goto out;
	if (BN_is_zero(g) || BN_is_one(g) || BN_cmp(g, last) >= 0) {
		*reason = "a degenerate public key";
		goto out;
	}
	BN_set_flags(e, BN_FLG_CONSTTIME);
	if (BN_mod_exp_mont_consttime(r, g, e, p, ctx, NULL) &&
	    BN_bn2binpad(r, out, MSE_KEY) == (int)MSE_KEY)
		status = 0;
out:
	BN_free(p);
	BN_free(last);
	BN_free(g);
	BN_clear_free(e);
	BN_clear_free(r);
	BN_CTX_free(ctx);
	return status;
}

int dh_public(const uint8_t x[DH_PRIVATE], uint8_t y[MSE_KEY])
{
	const char *reason;

	return power(x, NULL, y, &reason);
}

int dh_secret(const uint8_t x[DH_PRIVATE], const uint8_t theirs[MSE_KEY],
    uint8_t secret[MSE_KEY], const char **reason)
{
	return power(x, theirs, secret, reason);
}
