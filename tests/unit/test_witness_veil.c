/*
 * Encrypted conversations: under every choice and cut the records are those of
 * the plain one, and `encrypted` says what the handshake was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/veil.h"
#include "tests/witness_kit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What follows the two handshakes. */
static const char talk[] = "< all; < unchoke; > want; > req 0 0; > req 0 1; "
    "< blk 0 0; < blk 0 1; < have 3";

/* Both ends of the handshake, whose bytes the witness hears. */
struct veiled {
	struct wit t;
	struct mse_shake us, peer;
	struct mse_conf conf[2];	/* by enum side */
	uint8_t secret[MSE_KEY];
	size_t chunk;
	int secret_at;		/* told: 0 when first possible, 1 at once, 2
				 * before the end, 3 never */
	SHA256_CTX sum[2];	/* of the wire */
};

static void conf(struct veiled *v, enum side by, enum mse_end end,
    unsigned allow, unsigned prefer, uint16_t pad1, uint16_t pad2)
{
	struct mse_conf *c = &v->conf[by];

	*c = (struct mse_conf){ .end = end, .allow = allow, .prefer = prefer,
		.pad1 = pad1, .pad2 = pad2, .find = wit_skey, .ctx = &v->t };
	memset(c->key, by == SIDE_US ? 0x21 : 0x42, MSE_KEY);
	memset(c->pad, 0x99, MSE_PAD_MAX);
	memcpy(c->skey, v->t.kit.t->wire_hash[0], 20);
}

static struct mse_shake *shake_of(struct veiled *v, enum side by)
{
	return by == SIDE_US ? &v->us : &v->peer;
}

/* A side's wire bytes: to the other end, and to the witness. */
static void wire(struct veiled *v, enum side by, const uint8_t *p, size_t n)
{
	struct mse_shake *to = shake_of(v, by == SIDE_US ? SIDE_PEER : SIDE_US);

	SHA256_Update(&v->sum[by], p, n);
	while (n > 0) {
		size_t now = v->chunk && v->chunk < n ? v->chunk : n;

		if (mse_shake_bytes(to, span_of(p, now)) == MSE_WANT_SECRET) {
			mse_shake_secret(to, v->secret);
			if (to == &v->us && v->secret_at == 0)
				witness_secret(v->t.w, v->secret,
				    wit_now(&v->t));
		}
		wit_give(&v->t, by, p, now);
		p += now;
		n -= now;
	}
}

static bool turn(struct veiled *v, enum side by)
{
	struct mse_shake *s = shake_of(v, by);
	uint8_t out[MSE_OUT_MAX];
	size_t n = s->out_n;

	memcpy(out, s->out, n);
	s->out_n = 0;
	wire(v, by, out, n);
	return n > 0;
}

static void shake(struct veiled *v)
{
	for (int i = 0; i < 2; i++)
		SHA256_Init(&v->sum[i]);
	memset(v->secret, 0x77, MSE_KEY);
	if (v->secret_at == 1)
		witness_secret(v->t.w, v->secret, wit_now(&v->t));
	mse_shake_init(&v->us, &v->conf[SIDE_US]);
	mse_shake_init(&v->peer, &v->conf[SIDE_PEER]);
	while (turn(v, SIDE_US) || turn(v, SIDE_PEER))
		;
}

static void say(struct veiled *v, enum side by, const char *text)
{
	static uint8_t buf[40000];
	size_t n = wit_message(&v->t, by, text, buf);

	mse_seal(&shake_of(v, by)->seal, buf, n);
	wire(v, by, buf, n);
}

static void say_all(struct veiled *v, const char *s)
{
	while (*s) {
		say(v, *s == '<' ? SIDE_PEER : SIDE_US, s + 1);
		s += strcspn(s, ";");
		s += strspn(s, "; ");
	}
}

static const char *story_without_veil(struct veiled *v)
{
	wit_ask(&v->t, "DELETE FROM r WHERE kind='encrypted'");
	return wit_story(&v->t);
}

/* One conversation of the given kind; the stories must be the same. */
static void one(bool dialled, unsigned a, unsigned b, unsigned prefer,
    unsigned select, bool ia, size_t chunk, int secret_at)
{
	enum side by = dialled ? SIDE_US : SIDE_PEER;
	enum side to = dialled ? SIDE_PEER : SIDE_US;
	char want[512], hex[65];
	uint8_t hash[32];
	struct veiled v;
	struct wit plain;

	wit_open(&plain, true, false, dialled);
	wit_say(&plain, dialled ? "> greet; < greet" : "< greet; > greet");
	wit_say(&plain, talk);
	wit_say(&plain, "close x");

	memset(&v, 0, sizeof(v));
	wit_open(&v.t, true, false, dialled);
	v.chunk = chunk;
	v.secret_at = secret_at;
	witness_encrypted(v.t.w, by);
	conf(&v, by, MSE_A, a, 0, 33, 9);
	conf(&v, to, MSE_B, b, prefer, 500, 10);
	if (ia)
		v.conf[by].ia_n = (uint16_t)wit_message(&v.t, by, "greet",
		    v.conf[by].ia);
	shake(&v);
	assert_int_equal(v.us.want, MSE_DONE);
	assert_int_equal(v.peer.want, MSE_DONE);
	if (!ia)
		say(&v, by, "greet");
	say(&v, to, "greet");
	say_all(&v, talk);
	if (secret_at == 2)
		witness_secret(v.t.w, v.secret, wit_now(&v.t));
	assert_true(wit_greeted(&v.t));
	if (select == MSE_PLAIN && secret_at == 0)
		assert_true(witness_memory(v.t.w) < 1800);
	wit_say(&v.t, "close x");

	snprintf(want, sizeof(want), "%s ok %u %u 33 500 9 10 %d %d %d",
	    dialled ? "us" : "peer", a, select, ia ? 68 : 0,
	    96 + 33 + 40 + 14 + 9 + 2, 96 + 500 + 14 + 10);
	assert_string_equal(wit_ask(&v.t, "SELECT (detail->>'by')||' '||"
	    "(detail->>'outcome')||' '||(detail->>'provide')||' '||"
	    "(detail->>'select')||' '||(detail->>'pad_a')||' '||"
	    "(detail->>'pad_b')||' '||(detail->>'pad_c')||' '||"
	    "(detail->>'pad_d')||' '||(detail->>'ia')||' '||"
	    "(detail->>'bytes_a')||' '||(detail->>'bytes_b') FROM r "
	    "WHERE kind='encrypted'"), want);
	assert_string_equal(wit_ask(&v.t, "SELECT length(raw) = "
	    "(detail->>'bytes_a')+(detail->>'bytes_b') FROM r "
	    "WHERE kind='encrypted'"), "1");
	hex_of(v.secret, 32, hex);
	assert_memory_equal(wit_ask(&v.t, "SELECT detail->>'secret' FROM r "
	    "WHERE kind='encrypted'"), hex, 64);
	assert_string_equal(wit_ask(&v.t, "SELECT detail->>'skey' FROM r "
	    "WHERE kind='encrypted'"), v.t.kit.t->swarm);
	SHA256_Final(hash, &v.sum[SIDE_PEER]);
	assert_string_equal(wit_ask(&v.t, "SELECT detail->>'rx_sha256' FROM r "
	    "WHERE kind='closed'"), hex_of(hash, 32, hex));
	SHA256_Final(hash, &v.sum[SIDE_US]);
	assert_string_equal(wit_ask(&v.t, "SELECT detail->>'tx_sha256' FROM r "
	    "WHERE kind='closed'"), hex_of(hash, 32, hex));
	if (secret_at != 2) {
		char *got = strdup(story_without_veil(&v));

		assert_string_equal(got, wit_story(&plain));
		free(got);
	}
	/* Told late, the order between the two sides is lost. */
	assert_true(v.t.matched == 1 || secret_at == 2);
	wit_shut(&plain);
	wit_shut(&v.t);
}

static void choices(void **state)
{
	static const struct {
		unsigned a, b, prefer, select;
	} rows[] = {
		{ 3, 3, 1, 1 }, { 3, 3, 2, 2 }, { 1, 3, 0, 1 }, { 2, 3, 0, 2 }
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int how = 0; how < 12; how++)
			one(how & 1, rows[i].a, rows[i].b, rows[i].prefer,
			    rows[i].select, how & 2, 0, how / 4);
}

static void cuts(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 800; chunk += chunk < 20 ? 1 : 97)
		for (int how = 0; how < 4; how++)
			one(how & 1, 3, 3, how & 2 ? 2 : 1, how & 2 ? 2 : 1,
			    true, chunk, 0);
}

static void open_veiled(struct veiled *v, bool dialled, int secret_at)
{
	memset(v, 0, sizeof(*v));
	wit_open(&v->t, true, false, dialled);
	v->secret_at = secret_at;
	witness_encrypted(v->t.w, dialled ? SIDE_US : SIDE_PEER);
	conf(v, dialled ? SIDE_US : SIDE_PEER, MSE_A, 3, 0, 3, 4);
	conf(v, dialled ? SIDE_PEER : SIDE_US, MSE_B, 3, 2, 5, 6);
}

static const char *outcome(struct veiled *v)
{
	return wit_ask(&v->t, "SELECT (detail->>'outcome')||' '||"
	    "coalesce(detail->>'fault_by', '-')||' '||"
	    "coalesce(detail->>'fault_offset', '-')||' '||length(raw) "
	    "FROM r WHERE kind='encrypted'");
}

static void failures(void **state)
{
	struct veiled v;

	(void)state;
	/* The secret is never told: bytes are counted, nothing is read. */
	open_veiled(&v, true, 3);
	shake(&v);
	wit_say(&v.t, "close gone");
	assert_string_equal(wit_story(&v.t), ">encrypted; >closed");
	assert_string_equal(outcome(&v), "the secret is not known - - 280");
	wit_shut(&v.t);

	/* The peer hangs up at once. */
	open_veiled(&v, true, 0);
	mse_shake_init(&v.us, &v.conf[SIDE_US]);
	mse_shake_init(&v.peer, &v.conf[SIDE_PEER]);
	for (int i = 0; i < 2; i++)
		SHA256_Init(&v.sum[i]);
	turn(&v, SIDE_US);
	wit_say(&v.t, "close gone");
	assert_string_equal(outcome(&v), "the secret is not known - - 99");
	wit_shut(&v.t);

	/* ... and after our offer. */
	open_veiled(&v, true, 0);
	mse_shake_init(&v.us, &v.conf[SIDE_US]);
	mse_shake_init(&v.peer, &v.conf[SIDE_PEER]);
	for (int i = 0; i < 2; i++)
		SHA256_Init(&v.sum[i]);
	turn(&v, SIDE_US);
	turn(&v, SIDE_PEER);
	turn(&v, SIDE_US);
	wit_say(&v.t, "close gone");
	assert_string_equal(outcome(&v), "closed before its end - - 260");
	wit_shut(&v.t);

	/* Another swarm, or rubbish: illegal, and the rest is swallowed. */
	open_veiled(&v, false, 0);
	v.t.known = false;
	shake(&v);
	assert_int_equal(v.us.want, MSE_REFUSED);
	wit_say(&v.t, "close gone");
	assert_string_equal(wit_story(&v.t), "encrypted; >closed");
	assert_string_equal(outcome(&v),
	    "none of the swarms is meant peer 119 260");
	wit_shut(&v.t);

	open_veiled(&v, false, 0);
	for (int i = 0; i < 40; i++) {
		uint8_t rubbish[100] = { (uint8_t)i };

		wit_give(&v.t, SIDE_PEER, rubbish, sizeof(rubbish));
		witness_secret(v.t.w, v.secret, wit_now(&v.t));
	}
	assert_int_equal(witness_bytes(v.t.w, SIDE_PEER, "x", 1,
	    wit_now(&v.t)), -1);
	assert_true(v.t.most_memory < 6000);
	wit_say(&v.t, "close gone");
	assert_string_equal(outcome(&v), "no HASH('req1', S) within 628 bytes "
	    "peer 608 700");
	wit_shut(&v.t);
}

/* Without its secret no more is held than the bound. */
static void held(void **state)
{
	uint8_t *bytes = calloc(1, 65536);
	struct veiled v;

	(void)state;
	open_veiled(&v, false, 3);
	for (int i = 0; i < 20; i++)
		wit_give(&v.t, SIDE_PEER, bytes, 65536);
	assert_true(v.t.most_memory < 3 * VEIL_HOLD_MAX);
	assert_true(witness_memory(v.t.w) < 5000);
	wit_say(&v.t, "close gone");
	assert_string_equal(wit_ask(&v.t, "SELECT detail->>'rx_bytes' FROM r "
	    "WHERE kind='closed'"), "1310720");
	assert_memory_equal(outcome(&v), "more without a secret", 21);
	wit_shut(&v.t);
	free(bytes);
}

/* Bytes missing: inside a block's payload the stream goes on, in the handshake
 * nothing more can be read. */
static void gaps(void **state)
{
	uint8_t buf[17000];
	struct veiled v;
	size_t n;

	(void)state;
	open_veiled(&v, true, 1);
	v.conf[SIDE_US].ia_n = (uint16_t)wit_message(&v.t, SIDE_US, "greet",
	    v.conf[SIDE_US].ia);
	shake(&v);
	say_all(&v, "< greet; < all; < unchoke; > req 0 0; > req 1 0");
	n = wit_message(&v.t, SIDE_PEER, "blk 0 0", buf);
	mse_seal(&v.peer.seal, buf, n);
	wire(&v, SIDE_PEER, buf, 5000);
	witness_gap(v.t.w, SIDE_PEER, 1000, wit_now(&v.t));
	wire(&v, SIDE_PEER, buf + 6000, n - 6000);
	say_all(&v, "< have 2");
	wit_say(&v.t, "close x");
	assert_string_equal(wit_story(&v.t), ">greeted; >encrypted; handshake; "
	    "have_all 4/4; unchoke; >request[[0,0,16384],[1,0,16384]]; "
	    "piece 0 bytes missing at 0 of 2 blocks; gap 1000; have[2]4; "
	    "piece 1 closed at 0 of 2 blocks; >closed");
	wit_shut(&v.t);

	/* More than the rest of a block: whatever follows has no beginning, and
	 * is not worth its key stream. The other side goes on. */
	open_veiled(&v, true, 1);
	v.conf[SIDE_US].ia_n = (uint16_t)wit_message(&v.t, SIDE_US, "greet",
	    v.conf[SIDE_US].ia);
	shake(&v);
	say_all(&v, "< greet; < all");
	witness_gap(v.t.w, SIDE_PEER, UINT64_C(1) << 40, wit_now(&v.t));
	say_all(&v, "< have 2; > req 1 0");
	wit_say(&v.t, "close x");
	assert_string_equal(wit_story(&v.t), ">greeted; >encrypted; handshake; "
	    "have_all 4/4; gap 1099511627776; >request[[1,0,16384]]; "
	    "piece 1 closed, choked at 0 of 2 blocks; >closed");
	wit_shut(&v.t);

	open_veiled(&v, true, 1);
	witness_gap(v.t.w, SIDE_PEER, 10, wit_now(&v.t));
	shake(&v);
	wit_say(&v.t, "close x");
	assert_string_equal(wit_story(&v.t),
	    ">encrypted; gap 10; >closed");
	assert_string_equal(outcome(&v), "bytes missing peer 0 0");
	wit_shut(&v.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choices),
		cmocka_unit_test(cuts),
		cmocka_unit_test(failures),
		cmocka_unit_test(held),
		cmocka_unit_test(gaps)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
