#include "monitor/cipher.h"

#include <stdlib.h>

#include "schema/draw.h"
#include "schema/dh.h"

struct cipher {
	struct mse_seal seal;
	struct mse_shake *shake;	/* NULL: over, and all of it taken */
	bool ready, secret_told;
	uint8_t x[DH_PRIVATE];
};

static void random_bytes(uint8_t *p, size_t n)
{
	for (size_t now; n > 0; p += now, n -= now) {
		now = n < 256 ? n : 256;
		draw_bits(p, now);
	}
}

static uint16_t pad_size(void)
{
	uint16_t n;

	draw_bits(&n, sizeof(n));
	return n % (MSE_PAD_MAX + 1);
}

/* Takes *conf over, all but keys and pads set. */
static struct cipher *begin(struct mse_conf *conf)
{
	struct cipher *c = calloc(1, sizeof(*c));

	if (c)
		c->shake = malloc(sizeof(*c->shake));
	if (!c || !c->shake)
		goto fail;
	random_bytes(c->x, sizeof(c->x));
	random_bytes(conf->pad, sizeof(conf->pad));
	conf->pad1 = pad_size();
	conf->pad2 = pad_size();
	if (dh_public(c->x, conf->key) < 0)
		goto fail;
	mse_shake_init(c->shake, conf);
	return c;
fail:
	cipher_free(c);
	return NULL;
}

struct cipher *cipher_dial(const uint8_t infohash[20], unsigned offer,
    struct span first)
{
	struct mse_conf conf = { .end = MSE_A, .allow = offer };

	memcpy(conf.skey, infohash, sizeof(conf.skey));
	conf.ia_n = (uint16_t)(first.n < MSE_IA_MAX ? first.n : MSE_IA_MAX);
	memcpy(conf.ia, first.p, conf.ia_n);
	return begin(&conf);
}

struct cipher *cipher_accept(mse_find *find, void *ctx)
{
	struct mse_conf conf = { .end = MSE_B, .prefer = MSE_PLAIN,
		.allow = MSE_PLAIN | MSE_RC4,
		.find = find, .ctx = ctx };

	return begin(&conf);
}

static void end_shake(struct cipher *c)
{
	free(c->shake);
	c->shake = NULL;
}

void cipher_free(struct cipher *c)
{
	if (!c)
		return;
	end_shake(c);
	free(c);
}

const char *cipher_bytes(struct cipher *c, struct span bytes)
{
	uint8_t secret[MSE_KEY];
	enum mse_want want;
	const char *reason;

	if (!c->shake || c->ready)
		return NULL;
	want = mse_shake_bytes(c->shake, bytes);
	if (want == MSE_WANT_SECRET) {
		if (dh_secret(c->x, mse_shake_key(c->shake), secret,
		    &reason) < 0)
			return reason;
		want = mse_shake_secret(c->shake, secret);
	}
	if (want == MSE_REFUSED)
		return c->shake->reader.fault.reason;
	if (want == MSE_DONE) {
		c->seal = c->shake->seal;
		c->ready = true;
	}
	return NULL;
}

const uint8_t *cipher_secret(struct cipher *c)
{
	if (c->secret_told || !c->shake || !c->shake->reader.secret_known)
		return NULL;
	c->secret_told = true;
	return c->shake->reader.secret;
}

size_t cipher_take(struct cipher *c, uint8_t *out, size_t room)
{
	struct mse_shake *s = c->shake;
	size_t n;

	if (!s)
		return 0;
	n = s->out_n < room ? s->out_n : room;
	memcpy(out, s->out, n);
	memmove(s->out, s->out + n, s->out_n - n);
	s->out_n -= n;
	if (c->ready && c->secret_told && s->out_n == 0)
		end_shake(c);
	return n;
}

bool cipher_ready(const struct cipher *c)
{
	return c->ready;
}

void cipher_seal(struct cipher *c, uint8_t *bytes, size_t n)
{
	mse_seal(&c->seal, bytes, n);
}
